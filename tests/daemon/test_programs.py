"""The programs where only the policy tools are installed."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from wnodes_daemon import programs


@pytest.mark.parametrize(("program", "library"), [(programs.wnodesd, "uvicorn"), (programs.wnodes, "httpx")])
def test_a_program_without_its_libraries_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    program: Callable[[], int],
    library: str,
) -> None:
    for name in [name for name in sys.modules if name.startswith("wnodes_daemon.")]:  # what brings it in
        if name != "wnodes_daemon.programs":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)  # as if it were not there
    assert program() == 1
    assert f"{library} is missing: pip install 'wnodes[daemon]'" in capsys.readouterr().err
