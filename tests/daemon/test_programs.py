"""The programs where only the policy tools are installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = "import sys; sys.modules[{!r}] = None; from wnodes_daemon import programs; sys.exit(programs.{}())"


@pytest.mark.parametrize(("program", "library"), [("wnodesd", "uvicorn"), ("wnodes", "httpx")])
def test_a_program_without_its_libraries_says_what_to_install(program: str, library: str) -> None:
    argv = [sys.executable, "-c", WITHOUT.format(library, program)]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr == f"{program}: {library} is missing: pip install 'wnodes[daemon]'\n"
