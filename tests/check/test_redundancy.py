"""Rules are told to be needless only where they are, and what is told is shown by a request for `eval`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from strategies.refusing import ASSIGN, HEAD, ROUTE, compiled, refused, several
from wnodes_engine.check.boxes import boxes, covers
from wnodes_engine.check.policy import check_policy
from wnodes_engine.cli import main
from wnodes_engine.findings import Finding
from wnodes_engine.language.load import load_text

STATE = "now: 2026-03-02T12:00:00Z\nnodes: [{name: n1, cores: 4000, memory: 900TiB, gpus: 64}]\n"


def findings_of(text: str) -> list[Finding]:
    return check_policy(load_text(HEAD + text + ROUTE, "t.policy"))[1]


WITNESSED = [
    # What is written, the code, and what `eval` makes of the witness.
    ('deny "one" when gpus > 0\ndeny "two" when gpus > 2 and kind == vm\n', "W112", ["one", "two"]),
    ('deny "one" when in a\ndeny "two" when in a.y and "ops" in roles\n', "W112", ["one", "two"]),
    ('deny "one" when kind == vm\ndeny "two" when kind == vm and image.approved\n', "W112", ["one", "two"]),
    ("cap memory 4GiB\ncap memory 8GiB when walltime == unlimited\n", "W112", ["cap", "cap"]),
    ("quota for each user in a when cores > 8: cores <= 8\n", "W113", ["quota"]),
    ('quota for group "cms" in a.y: running <= 0\n', "W113", ["quota"]),
]


@pytest.mark.parametrize(("text", "code", "refused"), WITNESSED)
def test_eval_refuses_the_request_that_a_finding_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, code: str, refused: list[str]
) -> None:
    (tmp_path / "t.policy").write_text(HEAD + ASSIGN + text + ROUTE)
    (tmp_path / "state.yaml").write_text(STATE)
    (finding,) = findings_of(ASSIGN + text)
    assert finding.code == code
    assert finding.witness is not None
    (tmp_path / "request.yaml").write_text(finding.witness)
    files = [str(tmp_path / "t.policy"), "--state", str(tmp_path / "state.yaml")]
    assert main(["eval", *files, "--request", str(tmp_path / "request.yaml"), "--format", "json"]) == 0
    decision = json.loads(capsys.readouterr().out)
    assert decision["outcome"] == "deny"
    reasons = sorted(r["message"] if r["code"] == "rule" else r["code"] for r in decision["reasons"])
    assert [word in reason for word, reason in zip(refused, reasons, strict=True)] == [True] * len(refused)


def test_eval_sends_the_request_of_an_unreached_assignment_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = (
        'assign a.x when group in {"cms", "atlas"}\nassign a.y when group == "atlas"\nassign b otherwise\n'
    )
    (tmp_path / "t.policy").write_text(HEAD + rules + ROUTE)
    (tmp_path / "state.yaml").write_text(STATE)
    finding = next(finding for finding in findings_of(rules) if finding.code == "W104")
    assert finding.witness is not None
    (tmp_path / "request.yaml").write_text(finding.witness)
    files = [str(tmp_path / "t.policy"), "--state", str(tmp_path / "state.yaml")]
    assert main(["eval", *files, "--request", str(tmp_path / "request.yaml"), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["share"] == "a.x"


@pytest.mark.parametrize(
    "rules",
    [
        'deny "a" when gpus > 0 and cores < 8\ndeny "b" when gpus > 1 and cores > 4\n',
        'deny "a" when user.cores > 8 and in a\ndeny "b" when user.cores > 8 and in b\n',
        'deny "a" when time.hour < 8\ndeny "b" when time.hour < 9 and cores > 4\n',
        'deny "a" when cores * 2 > gpus\ndeny "b" when cores * 3 > gpus\n',  # not a box: nothing is told
        'deny "a" when has name and name like "x*"\ndeny "b" when has name and name startswith "x"\n',
        'window w = "Sat"\nduring w { deny "a" when gpus > 0 }\ndeny "b" when gpus > 1\n',
        "cap cores 64\ncap cores 32 when in a\n",
        "cap walltime 7d unless in b\ncap walltime 30d\n",
        "quota for each user: gpus <= 0, cores <= 1, running <= 1\n",
        "quota for each user when count >= 8: cores <= 4\n",  # it may begin with fewer
    ],
)
def test_what_has_a_meaning_of_its_own_is_no_finding(rules: str) -> None:
    assert findings_of(ASSIGN + rules) == []


def test_of_two_that_say_the_same_the_later_is_told() -> None:
    (finding,) = findings_of(ASSIGN + 'deny "a" when gpus > 0\ndeny "b" when not gpus == 0\n')
    assert (finding.code, finding.span.line) == ("W112", 8)


def test_a_list_of_a_thousand_assignments_is_compared_to_its_end() -> None:
    rules = "".join(f'assign a.x when group == "g{n}"\n' for n in range(1000))
    rules += 'assign a.y when group == "g7" and cores > 2\nassign b otherwise\n'
    (finding,) = [finding for finding in findings_of(rules) if finding.code == "W104"]
    assert finding.notes[0].span.line == 4 + 7


# ---------------------------------------------------------------- laws


@settings(deadline=None, max_examples=40)
@given(several)
def test_without_a_needless_rule_the_same_requests_are_refused(asked: list[str]) -> None:
    rules = [f'deny "r{at}" when {condition}\n' for at, condition in enumerate(asked)]
    told = {f.span.line for f in findings_of(ASSIGN + "".join(rules)) if f.code == "W112"}
    kept = [rule for at, rule in enumerate(rules) if 7 + at not in told]
    every, fewer = (compiled(HEAD + ASSIGN + "".join(some) + ROUTE) for some in (rules, kept))
    assert refused(every) == refused(fewer)


@settings(deadline=None, max_examples=60)
@given(several)
def test_boxes_cover_only_what_they_cover(asked: list[str]) -> None:
    one, other = asked[:2]
    policy, _ = check_policy(
        load_text(HEAD + ASSIGN + f'deny "a" when {one}\ndeny "b" when {other}\n' + ROUTE, "t.policy")
    )
    assert policy is not None
    wide, narrow = (boxes(rule.condition.expr) for rule in policy.denies)
    if wide is None or narrow is None or not all(any(covers(w, n) for w in wide) for n in narrow):
        return
    first, second = (
        refused(compiled(HEAD + ASSIGN + f'deny "r" when {condition}\n' + ROUTE))
        for condition in (one, other)
    )
    assert all(outer or not inner for outer, inner in zip(first, second, strict=True))
