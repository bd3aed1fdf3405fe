"""The programs of this package: they say what to install where the extra `daemon` is missing."""

from __future__ import annotations

import sys
from importlib import import_module


def wnodesd() -> int:
    """The daemon."""
    return _run("wnodesd", "wnodes_daemon.main")


def wnodes() -> int:
    """The command for people."""
    return _run("wnodes", "wnodes_daemon.people")


def _run(program: str, module: str) -> int:
    try:
        main = import_module(module).main
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("wnodes_"):
            raise
        library = (error.name or "").partition(".")[0]
        sys.stderr.write(f"{program}: {library} is missing: pip install 'wnodes[daemon]'\n")
        return 1
    return int(main())
