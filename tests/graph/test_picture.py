"""What is in the picture of a policy, and how it is written down."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from strategies.checking import checked
from wnodes_engine.cli import main
from wnodes_engine.commands.inputs import read_policy
from wnodes_engine.graph import drawing
from wnodes_engine.graph.drawing import as_dot
from wnodes_engine.graph.mermaid import as_mermaid
from wnodes_engine.graph.picture import Picture, picture_of

POLICIES = Path(__file__).parents[2] / "policies"
SHIPPED = sorted(POLICIES.glob("*.policy"))
TEXT = """
policy p "a <small> farm"
share grid 60% {
    share lhc   75% borrow 10%
    share small 25% lend none
}
share local 40%
assign grid.lhc when group == "cms"
assign grid.small when origin == grid
assign local otherwise
quota for each user in grid: cores <= 12
quota for each project: running <= 5
preempt local for grid.lhc when waited > 5m by requeue after 1m
route job to slurm queue "{share}"
route vm, pool, vmjob to openstack through slurm
"""


def picture(capacity: tuple[int, ...] | None = None) -> Picture:
    return picture_of(checked(TEXT), capacity)


def texts(of: Picture, kind: str) -> list[str]:
    return [" ".join(box.lines) for box in of.boxes if box.kind == kind]


def arrows(of: Picture, kind: str) -> set[tuple[str, str]]:
    said = {box.id: box.lines[0] for box in of.boxes}
    return {(said[arrow.start], said[arrow.end]) for arrow in of.arrows if arrow.kind == kind}


def test_every_share_hangs_on_the_one_above_it_and_says_what_it_was_promised() -> None:
    assert texts(picture(), "share") == [
        "farm",
        "grid 60%",
        "lhc 75% borrow 10%",
        "small 25% lend none",
        "local 40%",
    ]
    tree = {("farm", "grid"), ("farm", "local"), ("grid", "lhc"), ("grid", "small")}
    assert arrows(picture(), "holds") == tree


def test_with_a_farm_every_share_says_what_it_is_worth_there() -> None:
    shown = texts(picture((100, 1 << 20, 0, 0, 0)), "share")
    assert shown[1].startswith("grid 60% = 60 cores")
    assert "45 cores" in shown[2]


def test_quotas_stand_at_the_shares_that_they_limit() -> None:
    limited = {(start[:21], end) for start, end in arrows(picture(), "limits")}
    assert limited == {("quota for each user i", "grid"), ("quota for each projec", "farm")}


def test_room_is_made_by_victims_for_beneficiaries() -> None:
    (rule,) = texts(picture(), "rule")
    assert rule == "preempt local for grid.lhc when waited > 5m by requeue after 1m"
    assert {start for start, _ in arrows(picture(), "gives")} == {"local"}
    assert {end for _, end in arrows(picture(), "takes")} == {"lhc"}


def test_routes_lead_to_their_targets() -> None:
    carried = {end for _, end in arrows(picture(), "carries")}
    assert carried == {"slurm", "openstack"}
    assert [arrow.label for arrow in picture().arrows if arrow.kind == "carries"] == ["", "through slurm"]


def test_nothing_that_a_policy_says_can_break_out_of_its_box() -> None:
    mermaid = as_mermaid(picture())
    assert '"' not in re.sub(r'(?<=[\[(/{|])"|"(?=[\])/}|])', "", mermaid)
    assert "<small>" not in mermaid


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_policy_is_drawn_whole(path: Path) -> None:
    policy = read_policy(str(path), None).checked
    made = picture_of(policy)
    ids = {box.id for box in made.boxes}
    assert len(ids) == len(made.boxes)
    assert {end for arrow in made.arrows for end in (arrow.start, arrow.end)} <= ids
    counted = [
        len([box for box in made.boxes if box.kind == kind]) for kind in ("share", "quota", "rule", "route")
    ]
    assert counted == [len(policy.shares), len(policy.quotas), len(policy.preempts), len(policy.routes)]
    assert all(box.id in as_mermaid(made) and box.id in as_dot(made) for box in made.boxes)


# ------------------------------------------------------------------ the command


def test_mermaid_is_what_is_printed_if_nothing_else_is_asked_for(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    assert main(["graph", str(SHIPPED[0])]) == 0
    assert capsysbinary.readouterr().out.startswith(b"flowchart LR\n")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize(("form", "begins"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_graphviz_draws_it_into_a_file(tmp_path: Path, form: str, begins: bytes) -> None:
    out = tmp_path / "picture"
    assert main(["graph", str(SHIPPED[0]), "--format", form, "--output", str(out)]) == 0
    assert out.read_bytes().startswith(begins)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (None, "install the system's package graphviz"),
        (subprocess.TimeoutExpired("dot", 60), "took more than 60 seconds"),
        (subprocess.CompletedProcess([], 1, b"", b"first\nout of paper\n"), "`dot` failed: out of paper"),
    ],
)
def test_what_keeps_graphviz_from_drawing_is_told(
    fault: object, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object, **__: object) -> object:
        if isinstance(fault, Exception):
            raise fault
        return fault

    monkeypatch.setattr(drawing.shutil, "which", lambda _: None if fault is None else "/usr/bin/dot")
    monkeypatch.setattr(drawing.subprocess, "run", run)
    assert main(["graph", str(SHIPPED[0]), "--format", "svg"]) == 1
    assert told in capsys.readouterr().err


def test_a_policy_that_is_not_sound_is_told_and_not_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.policy"
    broken.write_text("policy p\nshare a 120%\nassign a otherwise\n")
    assert main(["graph", str(broken)]) == 1
    assert "broken.policy:2" in capsys.readouterr().err
