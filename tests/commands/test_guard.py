"""What happens around a command: output that has nowhere to go, an interrupt, too little memory."""

import subprocess
import sys
from pathlib import Path

import pytest
from wnodes_engine.commands.guard import guarded

SOUND = "policy t\nshare a 100%\nassign a otherwise\nroute job, vmjob, vm, pool to farm\n"


@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("</dev/null", 0, ""),
        (">/dev/full", 1, "wnodes-policy: cannot write: No space left on device"),
        ("| true; exit ${PIPESTATUS[0]}", 141, ""),
    ],
)
@pytest.mark.parametrize("command", ["check FILE", "workload --jobs 9999"])
def test_output_that_has_nowhere_to_go_ends_a_command_quietly(
    tmp_path: Path, command: str, redirection: str, status: int, said: str
) -> None:
    if "true" in redirection:
        command = "workload --jobs 9999"  # enough for the pipe to be found broken
    (tmp_path / "t.policy").write_text(SOUND)
    shell = ["/bin/bash", "-c"]
    line = f"{sys.executable} -m wnodes_engine.cli {command.replace('FILE', 't.policy')} {redirection}"
    done = subprocess.run([*shell, line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stderr.strip() == said


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (MemoryError(), 1, "wnodes: there is not enough memory\n"),
    ],
)
def test_what_happens_to_a_command_from_outside_is_no_traceback(
    capsys: pytest.CaptureFixture[str], raised: BaseException, status: int, said: str
) -> None:
    def run() -> int:
        raise raised

    assert guarded("wnodes", run) == status
    assert capsys.readouterr().err == said
