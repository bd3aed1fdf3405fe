"""A policy held against the nodes of its site: what means nothing there, and nothing else."""

from __future__ import annotations

import pytest
import yaml
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.findings import Finding
from wnodes_engine.language.load import load_text
from wnodes_engine.values import Node, Outcome
from wnodes_engine.wire import Known, convert, to_request

NODES = [Node(f"wn{n}", cores=16, memory=64 << 10, gpus=0, disk=0) for n in range(4)]
NODES.append(Node("gpu1", cores=16, memory=64 << 10, gpus=2, disk=0))
ROUTE = "route job, vmjob, vm, pool to farm\n"


def findings_of(text: str, nodes: list[Node] = NODES) -> list[Finding]:
    policy, findings = check_policy(load_text(f"policy t\n{text}{ROUTE}", "t.policy"), nodes=nodes)
    assert policy is not None, findings
    return findings


TWO = "share a %s\nshare b 40%%\nassign a when %s\nassign b otherwise\n"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (TWO % ("50 cores", "gpus > 0"), "W114", "82 cores are promised below the farm, which has 80 cores"),
        (
            TWO % ("50% borrow none", "cores >= 41"),
            "W115",
            "holds 40 cores at most, and each asks for 41 cores",
        ),
        (TWO % ("50%, 0% gpus borrow none", "gpus > 1"), "W115", "0 gpus at most, and each asks for 2 gpus"),
        (TWO % ("1% borrow none", "origin == grid"), "W115", "0 cores at most, and each asks for 1 cores"),
        (TWO % ("50%", "origin == grid") + 'nodes "gpx*" only when gpus > 0\n', "W111", "this rule is for"),
        (TWO % ("50%", "origin == grid") + 'quota for nodes with "ib": cores <= 4\n', "W111", "this quota"),
    ],
)
def test_what_means_nothing_on_this_farm_is_told(text: str, code: str, said: str) -> None:
    (finding,) = findings_of(text)
    assert finding.code == code
    assert said in finding.message
    assert findings_of(text, []) == []  # without nodes nothing is known


@pytest.mark.parametrize(
    "text",
    [
        TWO % ("48 cores", "gpus > 0"),
        TWO % ("1%", "origin == grid"),  # it may borrow
        TWO % ("50% borrow none", "cores >= 41 or cores >= 2"),
        TWO % ("50% borrow none", "count >= 50"),  # of which one is enough to begin with
        'window w = "Sat"\n' + TWO % ("1% borrow none", "origin == grid") + "during w { share a 60% }\n",
        TWO % ("50%", "origin == grid") + "quota for each user: cores <= 8000\n",  # a farm grows
        TWO % ("50%", "origin == grid")
        + 'downtime "2026-12-03 06:00" to "2026-12-04 18:00" on nodes "gone*"\n',
    ],
)
def test_what_may_still_happen_is_no_finding(text: str) -> None:
    assert findings_of(text) == []


def test_a_share_that_can_start_nothing_starts_nothing() -> None:
    text = f"policy t\n{TWO % ('50% borrow none', 'cores >= 41 and gpus == 0')}{ROUTE}"
    policy, (finding,) = check_policy(load_text(text, "t.policy"), nodes=NODES)
    assert policy is not None
    assert finding.witness is not None
    request = to_request(convert(yaml.safe_load(finding.witness)), "r", 0, Known())
    large = [Node("big", cores=80, memory=64 << 10, gpus=0, disk=0)]
    decision = decide(State(compile_policy(policy), large), request, 0)
    assert (decision.outcome, decision.share) == (Outcome.DENY, "a")
