"""wnodes-policy fmt as it is run: what it writes, and with which status it exits."""

import subprocess
import sys
from pathlib import Path

import pytest
from wnodes_engine.cli import main
from wnodes_engine.format import policy

UNTIDY = "policy  t\nshare a   100%\n"
TIDY = "policy t\n\nshare a 100%\n"
POLICIES = Path(__file__).parents[2] / "policies"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t.policy"
    path.write_text(UNTIDY)
    return path


def test_a_file_is_put_into_the_layout_and_then_left(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", str(file)]) == 0
    assert file.read_text() == TIDY
    assert capsys.readouterr().out == f"{file}: formatted\n"
    before = file.stat()
    assert main(["fmt", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def test_check_changes_nothing_and_tells(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "--check", str(file)]) == 1
    assert "is not in the canonical layout" in capsys.readouterr().out
    assert file.read_text() == UNTIDY
    file.write_text(TIDY)
    assert main(["fmt", "--check", str(file)]) == 0


def test_diff_shows_what_would_change(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "--diff", str(file)]) == 1
    shown = capsys.readouterr().out
    assert "-share a   100%\n" in shown
    assert "+share a 100%\n" in shown
    assert file.read_text() == UNTIDY


def test_standard_input_comes_out_in_the_layout() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wnodes_engine.cli", "fmt", "-"],
        input=UNTIDY, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == TIDY


def test_a_file_with_errors_is_left_and_its_errors_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.policy", tmp_path / "bad.policy"
    good.write_text(UNTIDY)
    bad.write_text("policy t\nshare a %\n")
    assert main(["fmt", str(bad), str(good)]) == 1
    assert f"{bad}:2:9: error" in capsys.readouterr().err
    assert bad.read_text() == "policy t\nshare a %\n"
    assert good.read_text() == TIDY


def test_permissions_are_kept_and_a_link_stays_one(file: Path, tmp_path: Path) -> None:
    file.chmod(0o640)
    link = tmp_path / "link.policy"
    link.symlink_to(file)
    assert main(["fmt", str(link)]) == 0
    assert link.is_symlink()
    assert file.read_text() == TIDY
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_folder_that_cannot_be_written_to_is_told(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wnodes_engine.files.os.fsync", full)
    assert main(["fmt", str(file)]) == 1
    assert "cannot be written: no space left on device" in capsys.readouterr().err
    assert file.read_text() == UNTIDY
    assert list(file.parent.iterdir()) == [file]


def test_what_would_mean_something_else_is_never_written(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(policy, "lines_of", lambda words, *_: iter([words[0].text]))
    assert main(["fmt", str(file)]) == 1
    assert "a defect of fmt" in capsys.readouterr().err
    assert file.read_text() == UNTIDY


@pytest.mark.parametrize("name", ["tier1", "university", "cloud-first"])
def test_the_shipped_policies_are_in_the_layout(name: str) -> None:
    assert main(["fmt", "--check", str(POLICIES / f"{name}.policy")]) == 0
