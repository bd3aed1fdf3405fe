"""The laws of making room: no more than is needed, within budgets, and whoever is entitled gets its own."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import assume, event, given, note, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from oracle import laws
from oracle.mirror import Mirror
from strategies import farms, streams
from strategies.checking import checked
from strategies.closed import leave
from strategies.policies import Asking, trees
from strategies.preemption import makes_room_for_nearly_all
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.values import Node, Preemption, Request

NOW = streams.BEGIN
MINUTE, HOUR = 60, 3600

Stream = list[streams.Event]

thin = st.builds(
    Request,
    st.just("?"),
    st.sampled_from(["job", "vmjob"]),
    st.just("local"),
    st.sampled_from(["ann", "cid"]),
    st.sampled_from(["cms", "alice"]),
    st.just(NOW - 9 * HOUR),
    roles=st.frozensets(st.sampled_from(["ops", "trial"])),
    cores=st.just(1),
    image=st.none(),
)
"""Small work of ann and cid."""
wide = st.builds(
    Request,
    st.just("?"),
    st.sampled_from(["job", "vmjob"]),
    st.just("local"),
    st.just("bob"),
    st.just("cms"),
    st.just(NOW),
    cores=st.integers(1, 2),
    count=st.integers(2, 5),
    image=st.none(),
)
"""Work of bob for which several have to leave."""

Case = tuple[str, list[Node], Stream]


@st.composite
def pressed(draw: farms.Draw, rules: st.SearchStrategy[str]) -> Case:
    """A farm that ann and cid have filled bit by bit, on which bob has to have room made, time and again."""
    shares, leaves, _ = draw(trees(Asking(room=True, rules=False)))
    mine, *others = draw(st.permutations(leaves))
    text = "\n".join(
        [
            "policy pressed",
            *shares,
            f'assign {mine} when user == "bob" assign {others[0]} when user == "ann"',
            f"assign {others[-1]} otherwise",
            'priority +5 when "trial" in roles',
            draw(rules),
            "route job, vmjob, vm, pool to simulated",
        ]
    )
    some = st.one_of(thin, thin, farms.pressing(NOW - HOUR, ("ann", "cid")))
    crowd = st.lists(some.map(streams.Submit), min_size=4, max_size=8)
    late = st.lists(
        st.one_of(wide, farms.pressing(NOW, ("bob", "ann"))).map(streams.Submit), min_size=1, max_size=3
    )
    stream: Stream = []
    for seconds in draw(st.lists(st.sampled_from([0, 300, 1800]), min_size=2, max_size=3)):
        stream += [*draw(crowd), streams.Schedule(), streams.Pass(seconds)]
    for seconds in draw(st.lists(st.sampled_from([60, 900, 2500]), min_size=2, max_size=4)):
        stream += [*draw(late), streams.Schedule(), streams.LeaveAll(), streams.Schedule()]
        stream += [streams.Pass(seconds), streams.Schedule(), streams.Finish(draw(st.integers(0, 9)))]
    return text, draw(farms.tight()), stream


def played(case: Case) -> Iterator[tuple[Mirror, streams.Event]]:
    """The engine and a record of what it has done, before each event of the stream."""
    mirror = begun(case)
    for step in case[2]:
        yield mirror, step
        mirror.play(step)


def begun(case: Case) -> Mirror:
    """The engine and a record, before the stream."""
    text, nodes, _ = case
    note(text)
    note("\n".join(map(str, nodes)))
    return Mirror(checked(text), nodes)


@given(pressed(makes_room_for_nearly_all()))
@settings(max_examples=60)
def test_whoever_has_room_made_starts_as_soon_as_all_that_were_told_to_leave_have(case: Case) -> None:
    for mirror, step in played(case):
        if step == streams.LeaveAll() and mirror.state.pledges:
            event("promised")
            promised = set(mirror.state.pledges)
            mirror.leave_all()
            mirror.schedule()
            assert promised <= set(mirror.state.held)


@given(pressed(makes_room_for_nearly_all()))
@settings(max_examples=200)
def test_no_victim_could_be_put_back_and_a_rule_allows_each_of_them(case: Case) -> None:
    for mirror, step in played(case):
        if step == streams.Schedule():
            event(f"plans: {min(laws.every_plan(mirror), 3)}")


budgets = ["at most 1 per victim", "at most 1 per victim, 3 per hour", "at most 2 per hour"]
whom = ["reclaim for any", "preempt fairly", "preempt self when waited >= 0s taking longest runtime"]
bounded = st.tuples(*map(st.sampled_from, (whom, budgets))).map(
    lambda drawn: f"{drawn[0]} {drawn[1]} by requeue, shelve for vm, pool"
)


@given(pressed(bounded))
@settings(max_examples=60)
def test_no_rule_tells_more_to_leave_in_an_hour_nor_anybody_more_often_than_it_says(case: Case) -> None:
    told: list[tuple[int, Preemption]] = []
    mirror = begun(case)
    for step in case[2]:
        if step != streams.Schedule():
            mirror.play(step)
            continue
        often = {order.victim: laws.times_left(mirror.state, order.victim) for _, order in told}
        done = mirror.schedule()
        told = [entry for entry in told if entry[1].victim not in done.reprieves]
        told += [(mirror.now, order) for order in done.preemptions]
        for order in done.preemptions:
            taking = mirror.policy.preempts[order.rule].taking
            lately = [o for at, o in told if o.rule == order.rule and at > mirror.now - HOUR]
            if taking.per_hour is not None or taking.per_victim is not None:
                event("a budget")
            assert taking.per_hour is None or len(lately) <= taking.per_hour
            assert taking.per_victim is None or often.get(order.victim, 0) < taking.per_victim


# --------------------------------------------------------------- what is its own

PATIENCE, WARNING = 600, 120

sparing = st.sampled_from(
    ["", ' sparing "ops" in roles', " sparing runtime < 2h", ' sparing runtime < 1h or group == "cms"']
)
budget = st.sampled_from(["", " at most 6 per hour", " at most 1 per victim, 3 per hour"])


@given(trees(Asking(room=True, rules=False)), sparing, budget, farms.tight(), st.data())
@settings(max_examples=40)
def test_a_share_within_its_amount_has_its_own_after_patience_a_minute_and_the_warning_time(
    tree: tuple[list[str], list[str], list[str]],
    spares: str,
    budget: str,
    nodes: list[Node],
    data: st.DataObject,
) -> None:
    """Single cores, so that any core that is freed is one that fits."""
    shares, leaves, _ = tree
    assume(len(leaves) > 2)
    mine, *others = data.draw(st.permutations(leaves))
    text = "\n".join(
        [
            "policy entitled",
            *shares,
            f'assign {mine} when user == "bob" assign {others[0]} when user == "ann"',
            f"assign {others[1]} otherwise",
            "route job, vmjob, vm, pool to simulated",
            f"reclaim for any when waited >= {PATIENCE}s{spares}{budget} by requeue after {WARNING}s",
        ]
    )
    note(text)
    state = State(compile_policy(checked(text)), nodes)
    begin = NOW - 3 * HOUR
    for i in range(sum(node.cores for node in nodes)):
        begin = min(NOW, begin + data.draw(st.sampled_from([0, 0, 0, 20 * MINUTE])))
        state.submit(replace(data.draw(thin), id=f"r{i:02}"), begin)
        state.schedule(begin)
    assert not state.waiting
    most = 6 if "6 per hour" in budget else 3 if "3 per hour" in budget else 12
    able = [n for n in range(1, most + 1) if n <= may_be_taken(state, mine, n, spares, NOW + PATIENCE)]
    assume(able)
    event("entitled")
    left = data.draw(st.sampled_from([*able, *[able[-1]] * len(able)]))  # often to all that it can have
    own = []
    while left:
        parts = data.draw(st.integers(1, min(3, left)))
        own.append(Request(f"mine{left}", "job", "local", "bob", "cms", NOW, cores=1, count=parts))
        state.submit(own[-1], NOW)
        left -= parts
    told: list[Preemption] = []
    for now in range(NOW, NOW + PATIENCE + MINUTE + WARNING + 1, MINUTE):
        for order in told:
            if order.leave_by <= now:
                leave(state, order, now)
        told += state.schedule(now).preemptions
    assert {request.id for request in own} <= set(state.running)


def may_be_taken(state: State, mine: str, wanted: int, spares: str, now: int) -> int:
    """How many cores of others, who are not spared, are above what is theirs, where `mine` is within its own.

    What is taken from a share is taken from those above it: whoever is over, all the way from where the two
    leaves meet, may be taken, in any order.
    """
    use = {share.path: share.used["cores"] for share in state.shares(now)}
    amount = {share.path: share.nominal["cores"] for share in state.shares(now)}
    above = ways_up(mine)
    victims = [
        allocation
        for allocation in state.running.values()
        if not (
            ('"ops"' in spares and "ops" in allocation.request.roles)
            or ("< 2h" in spares and now - allocation.started < 2 * HOUR)
            or ("< 1h" in spares and now - allocation.started < HOUR)
            or ('"cms"' in spares and allocation.request.group == "cms")
        )
    ]
    taken = 0
    for allocation in victims:
        theirs = ways_up(state.tree.shares[allocation.claim.leaf].path)
        below = [share for share in theirs if share not in above]
        ours = [share for share in above if share not in theirs]
        if all(use[n] + wanted <= amount[n] for n in ours) and all(use[n] > amount[n] for n in below):
            for share in theirs:
                use[share] -= 1
            taken += 1
    return taken


def ways_up(path: str) -> list[str]:
    """The share and all above it but the farm."""
    names = path.split(".")
    return [".".join(names[: n + 1]) for n in range(len(names))]
