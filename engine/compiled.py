"""The build hook that makes C extensions of the decision core, where a build asks for it.

Plain Python is the default and what is read. `make compiled` switches this on for an environment of its own.
"""

from __future__ import annotations

import os
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED: Final = (
    "wnodes_engine/core/*.py",
    "wnodes_engine/simulate/replay.py",
    "wnodes_engine/simulate/leaving.py",
)
LEFT_OUT: Final = {
    "wnodes_engine/core/__init__.py",
    "wnodes_engine/core/claim.py",  # classes of msgspec: mypyc leaves their options out, and does not say so
}


class CompiledCore(BuildHookInterface[Any]):
    """Compiles what `COMPILED` names with mypyc, and puts the extensions beside the modules in the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises RuntimeError for an editable install: its modules are read where they are written."""
        if version == "editable":
            raise RuntimeError("the compiled core cannot be installed with --editable: install it without")
        from mypyc.build import mypycify  # only a build that compiles has it
        from setuptools import Distribution

        self._folder = TemporaryDirectory()  # kept until the wheel is written
        built = Path(self._folder.name)
        with chdir(Path(self.root, "engine")):
            files = sorted(str(path) for pattern in COMPILED for path in Path().glob(pattern))
            modules = [file for file in files if file not in LEFT_OUT]
            extensions = mypycify(
                ["--config-file=", "--strict", *modules],
                opt_level="3",
                debug_level="0",
                target_dir=str(built / "c"),
            )
            command = Distribution({"name": "wnodes", "ext_modules": extensions}).get_command_obj("build_ext")
            command.build_lib, command.build_temp = str(built / "lib"), str(built / "o")
            command.ensure_finalized()
            command.run()
        for extension in (built / "lib").rglob("*.so"):
            build_data["force_include"][str(extension)] = os.fspath(extension.relative_to(built / "lib"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
