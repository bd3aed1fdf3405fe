"""check --fix takes out what nothing needs: no decision changes, and a second time there is nothing to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from strategies.refusing import ASSIGN, HEAD, ROUTE, compiled, refused, several
from wnodes_engine.check.mending import SAFE, mended
from wnodes_engine.check.policy import check_policy
from wnodes_engine.cli import main
from wnodes_engine.language.load import load_text

NIGHTLY = 'window w = "Sat"\nduring w {\n    cap cores 9\n%s}\n'
MENDED = [
    ('let old = {"a"}\ncap cores 64\n', "cap cores 64\n"),
    ("cap cores 64  # agreed\ncap cores 99\n", "cap cores 64  # agreed\n"),
    ("cap cores 64\ncap cores 99  # why?\n", "cap cores 64\n  # why?\n"),
    ('let x = 9\nlet y = x\ndeny "a" when gpus > 1\ndeny "b" when gpus > y\n', 'deny "a" when gpus > 1\n'),
    ("default cores 2\ndefault cores 4 when gpus > 0\n", "default cores 2\n"),
    ('deny "a" when group in {"x", "y", "x"}\n', 'deny "a" when group in {"x", "y"}\n'),
    ('deny "a" when group in {"x" # one\n , "x"}\n', 'deny "a" when group in {"x" # one\n }\n'),
    ('window w = "Sat"\n', ""),
    (NIGHTLY % "    cap cores 12\n", NIGHTLY % ""),
    ('group g = nodes "a*"\ncap cores 64 cap cores 65\n', "cap cores 64 \n"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "left"), MENDED)
def test_what_nothing_needs_is_taken_out(written: str, left: str) -> None:
    program, done = mended(load_text(HEAD + ASSIGN + written + ROUTE, "t.policy"))
    assert done
    assert program.sources[0].text == HEAD + ASSIGN + left + ROUTE


@pytest.mark.parametrize(
    "text",
    ['deny "no" when kind == job and kind == vm\n', "quota for each user: running <= 0\n", "cap corse 64\n"],
)
def test_what_may_be_a_mistake_is_left_to_its_author(text: str) -> None:
    whole = load_text(HEAD + ASSIGN + text + ROUTE, "t.policy")
    assert mended(whole) == (whole, [])


@settings(deadline=None, max_examples=40)
@given(several)
def test_mending_changes_no_decision_and_leaves_nothing_to_mend(asked: list[str]) -> None:
    text = HEAD + ASSIGN + "".join(f'deny "r" when {condition}\n' for condition in asked) + ROUTE
    program, _ = mended(load_text(text, "t.policy"))
    assert refused(compiled(program.sources[0].text)) == refused(compiled(text))
    assert not SAFE & {finding.code for finding in check_policy(program)[1]}
    assert mended(program) == (program, [])


def test_fix_writes_every_file_and_says_what_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main_file, more = tmp_path / "t.policy", tmp_path / "more.policy"
    text = HEAD + ASSIGN + 'include "more.policy"\nlet b = 4\n' + ROUTE
    main_file.write_text(text)
    more.write_text("cap cores 64\ncap cores 65\n")
    more.chmod(0o640)
    assert main(["check", "--fix", "--diff", str(main_file)]) == 0
    shown = capsys.readouterr().out
    assert "-let b = 4\n" in shown
    assert "-cap cores 65\n" in shown
    assert main_file.read_text() == text
    assert main(["check", "--fix", "--strict", str(main_file)]) == 0
    told = capsys.readouterr()
    assert told.out.endswith("t.policy: no findings\n")
    assert f"mended: {more}:2: W112" in told.err
    assert more.read_text() == "cap cores 64\n"
    assert more.stat().st_mode & 0o777 == 0o640
    assert main_file.read_text() == text.replace("let b = 4\n", "")
    assert main(["check", "--fix", "--diff", str(main_file)]) == 0
    assert capsys.readouterr().out == ""


def test_fix_leaves_what_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "t.policy"
    path.write_text(HEAD + ASSIGN + "let b = 4\n" + ROUTE)
    assert main(["check", "--fix", "--ignore", "W105", str(path)]) == 0
    assert "let b = 4" in path.read_text()


def test_diff_without_fix_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", "--diff", str(tmp_path / "t.policy")])
    assert ended.value.code == 2
