"""Random policies under which room is made, and streams in which victims leave."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st
from strategies import farms, streams, words
from strategies.played import Leave, Step
from wnodes_engine.values import Image, Node, Request

_CONDITIONS = (
    "",
    "",
    "",
    "",
    "when waited > 1m",
    "when kind != vm",
    'when "ops" not in roles',
    "when user.running < 4",
    "when victim.priority <= priority",
    "when victim.runtime > 1m or cores > 1",
    'when has image and image.name == "sl6" and waited > 1m',
    'when cores < 6 and "night" not in tags and priority >= 0',
)
_OWN = ("when victim.priority + 2 < priority", "when priority > victim.priority", "when waited > 10m")
_FOR = (
    "reclaim for any",
    "reclaim for a.d",
    "preempt b for a",
    "preempt a for b even below nominal even borrowing including native",
    "preempt a.c for a.d even below nominal",
    "preempt fairly",
    "preempt fairly in a",
)
_SPARING = ("", "", "sparing runtime < 2m", 'sparing "trial" in roles')
_TAKING = ("", "", "taking lowest priority, shortest runtime", "taking largest size, earliest start")
_AT_MOST = (
    "",
    "at most 1 per victim",
    "at most 2 per hour",
    "at most 9 per victim, 1 per hour",
    "at most 3 per hour",
)
_BY = (
    "by requeue for job, vmjob, shelve for vm, pool",
    "by suspend for job, vmjob, delete for vm, pool",
    "by checkpoint for job, suspend for vmjob, delete for vm",
    "by delete",
)
_AFTER = ("", "", "after 30s", "after 5m", "after 2h")


@cache
def policies() -> st.SearchStrategy[str]:
    """A policy with one to three rules that make room, quotas, and priorities that grow."""
    clauses = [st.sampled_from(some) for some in (_SPARING, _TAKING, _AT_MOST, _BY, _AFTER)]
    rule = st.one_of(
        st.tuples(st.sampled_from(_FOR), st.sampled_from(_CONDITIONS), *clauses),
        st.tuples(st.just("preempt self"), st.sampled_from(_OWN), *clauses),
    ).map(" ".join)
    quotas = st.sampled_from(
        ["", "quota for each user: cores <= 9", "quota for each group: core_hours <= 20 per 6h, gpus <= 1"]
    )
    orders = st.sampled_from(
        ["", "order a by fairshare of user half-life 1h, priority, age", "order any by priority, age strict"]
    )
    amounts = st.sampled_from(
        [
            "share a 60% { share c 50% share d 50% } share b 40%",
            "share a weight 1 { share c 90% share d 10% } share b weight 3",
        ]
    )
    windows = st.sampled_from(
        [
            "",
            'window w = "22:14-22:40" during w { reclaim for b by requeue }',
            'window w = "22:14-22:40" during w { share b 10% }',
        ]
    )
    return st.tuples(amounts, st.lists(rule, min_size=1, max_size=3), quotas, orders, windows).map(
        lambda drawn: (
            f"""policy making_room
{drawn[0]}
default walltime 1h when kind == job
assign a.c when group == "alice" assign a.d when group == "cms" assign b otherwise
priority +5 when "ops" in roles priority +1 per 1m waited when kind == job
{drawn[2]}
{drawn[3]}
{chr(10).join(drawn[1])}
{drawn[4]}
route job, vmjob, vm, pool to simulated
"""
        )
    )


@cache
def nodes() -> st.SearchStrategy[list[Node]]:
    """One to three nodes, soon full."""
    return st.lists(st.sampled_from(words.NODE_NAMES), min_size=1, max_size=3, unique=True).flatmap(
        lambda names: st.tuples(
            *(
                st.builds(
                    Node,
                    st.just(name),
                    st.sampled_from([4, 6, 8]),
                    st.sampled_from([16384, 32768]),
                    st.sampled_from([0, 2]),
                    st.just(10240),
                    st.sampled_from([800, 1000]),
                )
                for name in names
            )
        ).map(list)
    )


@cache
def crowded(max_size: int = 40) -> st.SearchStrategy[list[Step]]:
    """Many ask, passes come often, and victims leave when they are told to, or end before."""
    some = st.integers(0, 20)
    request = farms.requests(streams.BEGIN)
    steps: dict[str, st.SearchStrategy[Step]] = {
        "submit": st.builds(streams.Submit, request),
        "pass": st.just(streams.Schedule()),
        "leave": st.builds(Leave, some),
        "time": st.builds(streams.Pass, st.sampled_from([1, 30, 60, 600, 4000])),
        "finish": st.builds(streams.Finish, some),
        "requeue": st.builds(streams.Requeue, some),
        "cancel": st.builds(streams.Cancel, some),
        "ask": st.builds(streams.Ask, request),
        "native": st.builds(streams.Native, request, some),
        "flip": st.builds(streams.Flip, some),
        "resize": st.builds(streams.Resize, some, st.sampled_from([4, 8])),
    }
    often = ["submit"] * 12 + ["pass"] * 8 + ["leave"] * 4 + ["time"] * 3 + ["finish"] * 2
    step = st.sampled_from(often + [name for name in steps if name not in often]).flatmap(steps.__getitem__)
    return st.tuples(_filled(), st.lists(step, min_size=max_size // 2, max_size=max_size)).map(
        lambda drawn: drawn[0] + drawn[1]
    )


def _filled() -> st.SearchStrategy[list[Step]]:
    """The farm is full of what may be borrowed, so that whoever comes then needs room."""
    borrower = st.builds(
        Request,
        id=st.just("?"),
        kind=st.sampled_from(["job", "vmjob", "vm"]),
        origin=st.just("grid"),
        user=st.sampled_from(words.USERS),
        group=st.sampled_from(["guest", "guest", "guest", "alice"]),
        submitted=st.just(streams.BEGIN),
        roles=st.sampled_from([frozenset(), frozenset(["trial"])]),
        cores=st.sampled_from([1, 2]),
        image=st.just(Image("id-sl6", "sl6", approved=True)),
    )
    return st.lists(st.builds(streams.Submit, borrower), min_size=8, max_size=16).map(
        lambda asked: [*asked, streams.Schedule(), streams.Pass(90)]
    )
