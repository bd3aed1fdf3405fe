"""What can be written at the cursor, which is the `|` of each text."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsp.scene import FARM, POLICY, SITE
from wnodes_engine.lsp.completion import choices
from wnodes_engine.lsp.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "farm.yaml").write_text(FARM)
    desk = Desk(tmp_path, tmp_path / "site.yaml")
    desk.put("p.policy", POLICY)
    return desk


@pytest.mark.parametrize(
    ("written", "offered", "not_offered"),
    [
        (POLICY + "as|", {"assign", "quota", "share"}, {"cores", "grid"}),
        (POLICY + "assign |", {"grid.lhc", "local"}, {"kind", "nights"}),
        (POLICY + "assign grid.|", {"grid.lhc", "grid.small"}, {"kind"}),
        (POLICY + "deny \"x\" when |", {"cores", "budget", "lhc", "not"}, {"grid.lhc", "waited"}),
        (POLICY + "deny \"x\" when in |", {"grid", "grid.lhc"}, {"cores"}),
        (POLICY + "deny \"x\" when kind == |", {"vm", "pool", "job"}, {"cores"}),
        (POLICY + "deny \"x\" when kind in {vm, |", {"pool", "job"}, {"cores"}),
        (POLICY + "deny \"x\" when group == \"|", {"cms", "theory"}, {"ops", "cores"}),
        (POLICY + "deny \"x\" when group in {\"cms\", \"|", {"cms", "theory"}, {"ops"}),
        (POLICY + "deny \"x\" when \"|", {"ops"}, {"cms"}),
        (POLICY + "deny \"x\" when has |", {"image", "project"}, {"cores"}),
        (POLICY + "quota for |", {"each", "group", "nodes"}, {"cores"}),
        (POLICY + "quota for each user in |", {"grid", "local"}, {"lhc"}),
        (POLICY + "quota for each user in grid: |", {"cores", "core_hours", "waiting"}, {"walltime"}),
        (POLICY + "quota for group \"|", {"cms", "theory"}, {"ops"}),
        (POLICY + "order grid by |", {"age", "fairshare", "priority"}, {"cores"}),
        (POLICY + "order grid by fairshare of |", {"user", "group"}, {"age"}),
        (POLICY + "during |", {"nights"}, {"grid"}),
        (POLICY + "during nights { |", {"share", "quota", "deny"}, {"assign", "order"}),
        (POLICY + "share more 5% |", {"borrow", "lend", "cores"}, {"when"}),
        (POLICY + "cap |", {"walltime", "cores"}, {"queue"}),
        (POLICY + "route |", {"job", "vm"}, {"slurm"}),
        (POLICY + "route job to |", {"slurm"}, {"job"}),
        (POLICY + "route job to slurm queue \"{|", {"share", "leaf", "group"}, {"cms"}),
        (POLICY + "# as|", set(), {"assign"}),
        ("policy p \"x\"\nshare a 50% {\n    |", {"share"}, {"assign"}),
    ],
)  # fmt: skip
def test_completion_offers_what_can_stand_there(
    desk: Desk, written: str, offered: set[str], not_offered: set[str]
) -> None:
    before, _, after = written.partition("|")
    desk.put("p.policy", before + after)
    reading = desk.read("p.policy")
    found = {choice.text for choice in choices(before, reading.mentions, reading.place)}
    assert offered <= found
    assert not not_offered & found


def test_completion_has_an_answer_wherever_one_stops(desk: Desk) -> None:
    for end in range(len(POLICY) + 1):
        assert isinstance(choices(POLICY[:end], (), desk.read("p.policy").place), list)
