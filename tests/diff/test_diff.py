"""What differs between two policies, and the requests that show it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from wnodes_engine.cli import main
from wnodes_engine.commands.inputs import read_policy
from wnodes_engine.core import State, decide
from wnodes_engine.diff.answers import FARM
from wnodes_engine.wire import Known, convert, to_request

POLICIES = Path(__file__).parents[2] / "policies"
OLD = """
policy p "a farm"
share grid 60% {
    share lhc   50%
    share small 50%
}
share local 40% borrow any
default walltime 1h
cap count 10 when kind == pool
assign grid.lhc when origin == grid and group == "cms"
assign grid.small when origin == grid
assign local otherwise
deny "no guests at night" when group == "guest" and cores > 4
quota for each user in local: cores <= 12
priority +100 when group == "ops"
route vm, pool to openstack through slurm
route job, vmjob to slurm queue "{share}"
"""


def found(folder: Path, new: str, *arguments: str, old: str = OLD) -> dict[str, Any]:
    """What the command finds, as JSON."""
    (folder / "old.policy").write_text(old)
    (folder / "new.policy").write_text(new)
    out = folder / "out"
    argv = ["diff", str(folder / "old.policy"), str(folder / "new.policy"), "--format", "json"]
    with out.open("w") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", file)
        assert main([*argv, "--at", "2026-11-25T12:00", *arguments]) == 0
    read: dict[str, Any] = json.loads(out.read_text())
    return read


def shown(of: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The requests by what has become of them, as plain values."""
    made: dict[str, list[dict[str, Any]]] = {}
    for each in of["requests"]:
        made.setdefault(each["what"], []).append(yaml.safe_load(each["request"]))
    return made


def test_layout_and_comments_do_not_count(tmp_path: Path) -> None:
    new = OLD.replace("share grid 60% {", "share grid   60%   {  # the larger part").replace(
        "deny ", "deny\n    "
    )
    same = found(tmp_path, new)
    assert (same["statements"], same["requests"]) == ([], [])
    assert same["tried"] > 50


@pytest.mark.parametrize(
    ("change", "what", "wanted"),
    [
        (("cores > 4", "cores > 2"), "denied", {"group": "guest", "cores": 3}),
        (("cores > 4", "cores > 8"), "allowed", {"group": "guest", "cores": 5}),
        (("cores <= 12", "cores <= 8"), "denied", {"cores": 9}),
        (("cores <= 12", "cores <= 16"), "allowed", {"cores": 13}),
        (("cap count 10", "cap count 20"), "allowed", {"kind": "pool", "count": 11}),
        (('group == "cms"', 'group == "atlas"'), "share", {"origin": "grid", "group": "cms"}),
        (('queue "{share}"', 'queue "all"'), "route", {"kind": "job"}),
    ],
)
def test_a_change_is_shown_by_a_request_at_its_edge(
    tmp_path: Path, change: tuple[str, str], what: str, wanted: dict[str, Any]
) -> None:
    requests = shown(found(tmp_path, OLD.replace(*change)))[what]
    assert any(wanted.items() <= request.items() for request in requests), requests


def test_each_request_is_answered_otherwise_by_the_two_as_it_is_told(tmp_path: Path) -> None:
    new = (
        OLD.replace("cores > 4", "cores > 2")
        .replace("cores <= 12", "cores <= 16")
        .replace('"cms"', '"atlas"')
    )
    told = found(tmp_path, new)["requests"]
    assert {each["what"] for each in told} == {"denied", "allowed", "share"}
    for each in told:
        answers = []
        for name in ("old.policy", "new.policy"):
            state = State(read_policy(str(tmp_path / name), None), FARM)
            request = to_request(convert(yaml.safe_load(each["request"])), "r", each["at"], Known())
            decision = decide(state, request, each["at"])
            answers.append("denied" if decision.outcome == "deny" else f"in {decision.share}")
        assert answers == [each["old"], each["new"]]


def test_shares_are_compared_by_what_they_are_promised(tmp_path: Path) -> None:
    new = OLD.replace("share lhc   50%", "share lhc 70%").replace("share small 50%", "share tiny 30%")
    new = new.replace("grid.small", "grid.tiny")
    shares = [each for each in found(tmp_path, new)["statements"] if each["kind"] == "share"]
    assert [(each.get("old"), each.get("new")) for each in shares] == [
        ("grid.lhc 50%", "grid.lhc 70%"),
        ("grid.small 50%", None),
        (None, "grid.tiny 30%"),
    ]


def test_an_order_that_counts_is_a_difference_and_one_that_does_not_is_none(tmp_path: Path) -> None:
    first = 'assign grid.lhc when origin == grid and group == "cms"\n'
    second = "assign grid.small when origin == grid\n"
    swapped = found(tmp_path, OLD.replace(first + second, second + first))
    assert {each["kind"] for each in swapped["statements"] if each["moved"]} == {"assign"}
    assert shown(swapped)["share"][0]["group"] == "cms"
    quota, priority = "quota for each user in local: cores <= 12\n", 'priority +100 when group == "ops"\n'
    assert found(tmp_path, OLD.replace(quota + priority, priority + quota))["statements"] == []


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.policy")), ids=lambda path: path.stem)
def test_a_shipped_policy_differs_in_nothing_from_itself(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", str(path), str(path), "--exit-code"]) == 0
    assert capsys.readouterr().out.startswith("nothing differs")


def test_a_log_is_replayed_under_both(tmp_path: Path) -> None:
    jobs = (f"{n} {n * 10} 0 3600 1 -1 -1 1 7200 -1 1 {n % 5} {n % 3} -1 1 1 -1 -1" for n in range(1, 200))
    lines = "\n".join([*jobs, ""])
    (tmp_path / "log.swf").write_text("; UnixStartTime: 1100000000\n" + lines)
    (tmp_path / "farm.yaml").write_text("nodes:\n  - {name: 'n[1-2]', cores: 16, memory: 64GiB}\n")
    new = OLD.replace("cores <= 12", "cores <= 2")
    old, replayed = found(
        tmp_path, new, "--farm", str(tmp_path / "farm.yaml"), "--trace", str(tmp_path / "log.swf")
    )["replayed"]
    assert old["jobs"]["read"] == replayed["jobs"]["read"] == 199


def test_statements_and_requests_are_told_to_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.policy").write_text(OLD)
    (tmp_path / "new.policy").write_text(OLD.replace("cores <= 12", "cores <= 8"))
    argv = ["diff", str(tmp_path / "old.policy"), str(tmp_path / "new.policy"), "--exit-code"]
    assert main(argv) == 3
    said = capsys.readouterr().out
    assert (
        "  - quota for each user in local: cores <= 12\n  + quota for each user in local: cores <= 8\n"
        in said
    )
    assert "requests that are denied now" in said
    assert "in local → denied" in said
    assert "user somebody may have 8 cores" in said


def test_what_cannot_be_compared_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.policy").write_text(OLD)
    (tmp_path / "new.policy").write_text("policy p\n")
    pair = ["diff", str(tmp_path / "old.policy"), str(tmp_path / "new.policy")]
    assert main(pair) == 1
    assert "new.policy:1" in capsys.readouterr().err
    assert main([*pair[:2], pair[1], "--at", "noon"]) == 2
    assert "2026-11-27T03:00" in capsys.readouterr().err
    assert main([*pair[:2], pair[1], "--trace", "log.swf"]) == 2
    assert "--farm" in capsys.readouterr().err
