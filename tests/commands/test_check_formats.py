"""Findings in the forms that CI systems read, and which of them are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import yaml
from wnodes_engine.cli import main

ROOT = Path(__file__).parents[2]
SOUND = "policy t\nshare a 100%\nassign a otherwise\nroute job, vmjob, vm, pool to farm\n"
WARNED = SOUND + 'let unused = {"x"}\n'
BROKEN = WARNED + 'deny "no" when walltime > 7\n'
Told = Callable[..., tuple[int, str]]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    monkeypatch.chdir(tmp_path)

    def check(*options: str, text: str = BROKEN) -> tuple[int, str]:
        Path("t.policy").write_text(text)
        return main(["check", "t.policy", *options]), capsys.readouterr().out

    return check


def test_sarif_has_each_finding_with_its_rule_and_place(told: Told) -> None:
    status, out = told("--format", "sarif")
    run = json.loads(out)["runs"][0]
    assert status == 1
    assert [result["level"] for result in run["results"]] == ["error"]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {r["ruleId"] for r in run["results"]}
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "t.policy"
    assert (place["region"]["startLine"], place["region"]["startColumn"]) == (6, 27)


def test_github_gets_an_annotation_a_line_with_its_signs_escaped(told: Told) -> None:
    _, out = told("--format", "github")
    assert out.startswith("::error file=t.policy,line=6,endLine=6,col=27,endColumn=27,title=E110::")
    assert out.count("\n") == 1
    assert told("--format", "github", text=WARNED)[1].startswith("::warning file=t.policy,line=5,")


def test_junit_has_a_case_for_each_file_that_fails_with_its_errors(told: Told) -> None:
    _, out = told("--format", "junit")
    suite = Xml.fromstring(out)[0]  # noqa: S314 - we have just written it
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert "6:27: error[E110]" in (suite[0].findtext("failure") or "")


def test_a_file_without_errors_is_a_case_that_passes_and_tells_its_warnings(told: Told) -> None:
    for text, inside in ((SOUND, 0), (WARNED, 1)):
        status, out = told("--format", "junit", text=text)
        suite = Xml.fromstring(out)[0]  # noqa: S314 - we have just written it
        assert (status, suite.get("tests"), suite.get("failures"), len(suite[0])) == (0, "1", "0", inside)
    assert "5:5: warning[" in (suite[0].findtext("system-out") or "")


def test_the_code_quality_report_keeps_its_fingerprints_while_lines_move(told: Told) -> None:
    reports = [
        json.loads(told("--format", "codequality", text=text)[1]) for text in (BROKEN, "# one\n" + BROKEN)
    ]
    assert [issue["severity"] for issue in reports[0]] == ["major"]
    assert reports[0][0]["fingerprint"] == reports[1][0]["fingerprint"]
    assert [report[0]["location"]["lines"]["begin"] for report in reports] == [6, 7]


@pytest.mark.parametrize(
    ("options", "warnings"),
    [((), 1), (("--ignore", "W"), 0), (("--select", "E"), 0), (("--select", "w1"), 1)],
)
def test_warnings_can_be_chosen_and_errors_are_always_told(
    told: Told, options: tuple[str, ...], warnings: int
) -> None:
    status, out = told("--format", "json", *options, text=WARNED)
    assert (status, json.loads(out)["warnings"]) == (0, warnings)
    assert told("--strict", *options, text=WARNED)[0] == warnings
    status, out = told("--format", "json", *options, text=BROKEN)
    assert (status, json.loads(out)["errors"]) == (1, 1)


def test_a_code_that_is_not_there_is_misuse(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        told("--ignore", "W999")
    assert exit_.value.code == 2
    assert "there is no code `W999`" in capsys.readouterr().err


def test_a_circle_of_three_rules_is_told_once_with_all_of_them(told: Told) -> None:
    rules = "".join(
        f"preempt {victim} for {other} by requeue after 1m\n" for victim, other in ("ab", "bc", "ca")
    )
    shares = "policy t\nshare a 30%\nshare b 30%\nshare c 40%\nassign a when origin == grid\n"
    rest = "assign b when origin == local\nassign c otherwise\nroute job, vmjob, vm, pool to farm\n"
    _, out = told("--format", "json", text=shares + rest + rules)
    (circle,) = [found for found in json.loads(out)["findings"] if found["code"] == "W107"]
    assert circle["message"] == "3 rules let these shares push out each other in a circle"
    assert len(circle["notes"]) == 2


@pytest.mark.parametrize(
    "file", ["examples/ci/github.yml", "examples/ci/gitlab.yml", ".pre-commit-hooks.yaml"]
)
def test_the_examples_for_ci_call_what_there_is(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / file).read_text()
    assert yaml.safe_load(text)
    calls = [line.split("wnodes-policy ", 1)[1] for line in text.splitlines() if ": wnodes-policy " in line
             or "- wnodes-policy " in line]  # fmt: skip
    assert calls
    for call in calls:
        command, *options = call.split(">")[0].replace("|| true", "").split()
        with pytest.raises(SystemExit):
            main([command, "--help"])
        known = capsys.readouterr().out
        if command in ("check", "fmt"):
            assert all(option in known for option in options if option.startswith("--"))
            if "--format" in options:
                assert options[options.index("--format") + 1] in known


def test_a_request_that_shows_a_finding_is_told_in_every_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.policy"
    rules = "policy t\nshare a 100%\nassign a otherwise\nroute job, vmjob, vm, pool to farm\n"
    path.write_text(rules + "cap cores 64\ncap cores 128\n")
    for form in ("text", "json", "sarif", "github", "junit", "codequality"):
        main(["check", str(path), "--format", form])
        assert "cores: 129}" in capsys.readouterr().out, form
