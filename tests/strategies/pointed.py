"""Policies and farms of a few sorts, each so narrow that what it is about happens in most streams."""

from __future__ import annotations

from hypothesis import strategies as st
from strategies import words
from strategies.conditions import one_of
from strategies.farms import Draw
from wnodes_engine.values import Node

SHARES = (
    "share red 50% share green 50%",
    "share red 70% share green 30% borrow any",
    "share red weight 1 share green weight 2 lend 50%",
    "share red 60% { share one 50% share two 50% } share green 40%",
)
ASSIGNS = """assign LEAF when user == "ann"
assign green otherwise
route job, vmjob, vm, pool to simulated"""
WHO_MAKES_ROOM = (
    "reclaim for any by requeue",
    "reclaim for any taking largest size by suspend for job, vmjob, requeue",
    "preempt red for green by requeue",
    "preempt red for green even below nominal taking earliest start at most 4 per hour by delete after 1m",
    "preempt green for red even borrowing by requeue",
    "preempt fairly by suspend",
    "preempt self when victim.runtime > 10m by requeue",
)
GROUPS = [f"group g{name} = nodes {nodes}" for name, nodes in words.NODE_GROUPS.items()]


@st.composite
def in_groups(draw: Draw, power: bool = False) -> str:
    """All parts have to be in one group, and room is made; benchmark `power` may be short as well."""
    how, groups = draw(one_of("pack", "spread")), draw(one_of("ga, gb", "gb, ga", "gb, ga, gg", "gone, gb"))
    kinds = draw(one_of("job, vmjob, vm, pool", "job, vm"))
    over = draw(one_of("in one of", "in one of", "in one of", "over"))
    rules = draw(st.lists(one_of(*WHO_MAKES_ROOM), min_size=1, max_size=2))
    limits = [draw(_power())] if power else draw(st.lists(_on_nodes(), max_size=1))
    return _policy(draw, *GROUPS, f"place {kinds} {how} {over} {groups}", *rules, *limits)


@st.composite
def short_of_power(draw: Draw) -> str:
    """Shares and quotas for hs23 that the fast nodes are too much for."""
    more = draw(st.lists(st.one_of(_power(), _on_nodes(), _place(), _preferred()), max_size=3))
    return _policy(draw, *GROUPS, draw(_power()), *more)


@st.composite
def kept_out(draw: Draw) -> str:
    """Quotas for nodes that leave hardly any."""
    limits = draw(st.lists(_on_nodes(), min_size=1, max_size=4))
    more = draw(st.lists(st.one_of(_place(), _preferred()), max_size=2))
    return _policy(draw, *GROUPS, *limits, *more)


@st.composite
def farms(draw: Draw, factors: bool = False) -> list[Node]:
    """Three to six nodes that differ in cores, and in their benchmark factor if so told."""
    names = draw(st.lists(st.sampled_from(words.NODE_NAMES), min_size=3, max_size=6, unique=True))
    factor = st.sampled_from([500, 800, 1000, 2000]) if factors else st.just(1000)
    cores, gpus = st.sampled_from([2, 4, 4, 6]), st.sampled_from([0, 0, 0, 2])
    return [
        Node(name, draw(cores), 65536, gpus=draw(gpus), disk=102400, factor=draw(factor)) for name in names
    ]


def _policy(draw: Draw, *statements: str) -> str:
    shares = draw(one_of(*SHARES))
    assigns = ASSIGNS.replace("LEAF", "red.one" if "one" in shares else "red")
    order = draw(one_of("", "", "order any by age strict", "order any by priority, age"))
    return "\n".join(["policy pointed", shares, assigns, order, *statements])


def _power() -> st.SearchStrategy[str]:
    return one_of(
        "quota for each user: hs23 <= 8",
        "quota for each user: hs23 <= 5",
        'quota for user "ann": hs23 <= 12 else deny',
        "quota for share green: hs23 <= 10",
        "quota for each group: hs23 <= 6, cores <= 9",
    )


def _on_nodes() -> st.SearchStrategy[str]:
    which = one_of('"a*"', '"b*"', "all", '"a1", "b1"', '"a1"', '"*2"', '"gpu*"')
    what = one_of("machines <= 1", "cores <= 4", "cores <= 2", "cores <= 0", "cores <= farm.cores / 4")
    end = one_of("", "", " else deny")
    return st.tuples(which, what, end).map(lambda drawn: "quota for nodes {}: {}{}".format(*drawn))


def _place() -> st.SearchStrategy[str]:
    return one_of(
        "place job, vmjob, vm, pool spread",
        "place job, vm pack in one of ga, gb",
        "place job, vmjob, pool spread over gb, ga",
        "place job, pool pack over ga, gb",
    )


def _preferred() -> st.SearchStrategy[str]:
    return one_of(
        'nodes "a*" preferred when kind == job',
        'nodes "b*" only when kind in {job, vm}',
        'nodes "gpu*" preferred when cores > 1',
    )
