"""A blocked head of a best-effort leaf starts when it was promised to, or before, whoever passes it."""

from __future__ import annotations

from hypothesis import event, given, note, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from strategies import farms, streams
from strategies.checking import checked
from strategies.policies import GROUPS
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.values import Node, Request

NOW = streams.BEGIN

SHARES = (
    "share a 100% share b 0%",
    "share a 70% share b 0% share kept 30% lend none",
    "share a 50% borrow none share b 0% borrow any share kept 50% lend 50%",
)
"""`a` comes before `b`, which owns nothing and borrows; nobody else asks."""

ORDERS = ("order a by age", "order a by priority, age", "order a by age, size", "order any by size, age")
PLACES = (
    "",
    "place job, vmjob spread",
    "place job, pool spread over ga, gb",
    "place job, vm pack in one of ga, gb",
    'nodes "a*" preferred when cores > 2',
    'downtime "2023-11-14 22:30" to "2023-11-14 23:10" on nodes "a*"',
)

policies = st.tuples(*map(st.sampled_from, (SHARES, ORDERS, PLACES, PLACES))).map(
    lambda drawn: "\n".join(
        [
            "policy promises",
            'assign a when user == "ann" assign b otherwise',
            'priority +5 when "ops" in roles',
            *GROUPS,
            *dict.fromkeys(drawn),
            "route job, vmjob, vm, pool to simulated",
        ]
    )
)


def ending(*users: str) -> st.SearchStrategy[Request]:
    """Requests of these users, that end."""
    return st.builds(
        lambda request, user: replace(request, user=user),
        farms.requests(NOW, farms.ENDING),
        st.sampled_from(users),
    )


lasts = st.sampled_from([1, 1, 1, 2, 5])
"""What part of its walltime it runs."""


@given(
    policies,
    farms.nodes(most=3),
    st.lists(ending("ann", "bob"), min_size=5, max_size=20),
    st.lists(st.tuples(st.integers(1, 900), ending("bob"), lasts), max_size=25),
    st.data(),
)
@settings(max_examples=100)
def test_nobody_who_passes_a_head_delays_what_it_was_promised(
    text: str,
    nodes: list[Node],
    crowd: list[Request],
    arrivals: list[tuple[int, Request, int]],
    data: st.DataObject,
) -> None:
    note(text)
    state = State(compile_policy(checked(text)), nodes)
    for i, request in enumerate(crowd):
        state.submit(replace(request, id=f"r{i:02}"), NOW)
    coming = []
    at = NOW
    for i, (gap, request, _) in enumerate(arrivals):
        at += gap
        coming.append((at, replace(request, id=f"late{i:02}", submitted=at)))
    ends: dict[str, int] = {}
    promised: dict[str, int] = {}
    now = NOW
    while True:
        for id_ in [id_ for id_, end in ends.items() if end <= now]:
            state.finish(id_, now)
            del ends[id_]
        while coming and coming[0][0] <= now:
            state.submit(coming.pop(0)[1], now)
        for start in state.schedule(now).starts:
            walltime = start.allocation.claim.walltime
            ends[start.request.id] = now + max(1, walltime // data.draw(lasts))
            if start.request.id in promised:
                event("a promise was kept")
                assert now <= promised.pop(start.request.id)
        head, start_by = promise(state, now)
        if head is not None:
            assert start_by <= promised.get(head, start_by), "the promise has been put off"
            promised[head] = start_by
        assert all(now < due for due in promised.values())
        nexts = [*ends.values(), *(at for at, _ in coming[:1]), *promised.values()]
        if not nexts:
            break
        now = min(nexts)


def promise(state: State, now: int) -> tuple[str | None, int]:
    """The head of `a` and when it is to start, if it was promised anything."""
    a = next(share.index for share in state.tree.shares if share.path == "a")
    for reservation in state.reservations(now):
        if reservation.claim.leaf == a:
            _, head = state.queues[a].first_free(lambda _: False, now // 60) or (None, None)
            assert head is not None
            return head.head().request.id, reservation.start
    return None, 0
