"""The oracle keeps the laws of the design, so that agreeing with it means something."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from oracle.answers import Answer, Why
from oracle.interpreter import Oracle
from oracle.tree import RESOURCES, Amounts, Tree, nominal
from strategies import farms, streams
from strategies.checking import checked
from strategies.policies import policies, trees
from wnodes_engine.check.checked import UNLIMITED, Arithmetic, Ceiling, CheckedPolicy, Const
from wnodes_engine.language.vocabulary import Type
from wnodes_engine.values import Code, Node, Outcome, Request

NOW = streams.BEGIN
HUGE = Node("zz", cores=10**6, memory=10**9, gpus=10**6, disk=10**9)

amounts = st.fixed_dictionaries({r: st.integers(0, 40) for r in RESOURCES})


def policy_of(statements: str) -> CheckedPolicy:
    return checked(f"policy p\n{statements}\nroute job, vmjob, vm, pool to simulated\n")


def job(request_id: str, **asked: object) -> Request:
    asked = {"kind": "job", "origin": "local", "user": "ann", "group": "cms", "submitted": NOW} | asked
    return msgspec.convert({"id": request_id} | asked, Request)


def tree_of(policy: CheckedPolicy, capacity: Amounts, used: dict[int, Amounts]) -> Tree:
    return Tree(policy.shares, nominal(policy.shares, capacity), used)


# ---------------------------------------------------------------------- tree


@given(trees(), amounts, st.data())
def test_what_counts_and_what_is_kept_is_the_capacity(
    tree: tuple[list[str], list[str], list[str]], capacity: dict[str, int], data: st.DataObject
) -> None:
    lines, leaves, _ = tree
    policy = policy_of("\n".join([*lines, f"assign {leaves[0]} otherwise"]))
    shares = tree_of(policy, capacity, {})
    for r in RESOURCES:
        kept = sum(shares.kept(share.index, r) for share in policy.shares)
        assert shares.counted_on(0, r) + kept == capacity[r]


@given(trees(), amounts, st.data())
def test_taking_what_is_free_never_over_commits_the_farm(
    tree: tuple[list[str], list[str], list[str]], capacity: dict[str, int], data: st.DataObject
) -> None:
    lines, leaves, _ = tree
    policy = policy_of("\n".join([*lines, f"assign {leaves[0]} otherwise"]))
    used = {share.index: dict.fromkeys(RESOURCES, 0) for share in policy.shares if share.is_leaf}
    for _ in range(data.draw(st.integers(0, 6))):
        leaf, r = data.draw(st.sampled_from(sorted(used))), data.draw(st.sampled_from(RESOURCES))
        shares = tree_of(policy, capacity, used)
        free = shares.free(leaf, r)
        assert 0 <= free <= shares.most(leaf, r)
        taken = data.draw(st.integers(0, int(free)))
        used[leaf] = used[leaf] | {r: used[leaf][r] + taken}
        after = tree_of(policy, capacity, used)
        assert after.total_use(0, r) <= capacity[r]
        assert after.free(leaf, r) == free - taken
        for share in policy.shares:
            assert after.use_above(share.index, r) <= after.counted_on(share.index, r) + after.borrow(
                share.index, r
            )


@pytest.mark.parametrize(
    ("statements", "capacity", "expected"),
    [
        ("share a 50% share b 25%", 100, [100, 50, 25]),
        ("share a 33.33% share b 33.33%", 10, [10, 3, 3]),
        ("share a 40 cores share b 20% share c weight 3 share d weight 1", 100, [100, 40, 20, 30, 10]),
        ("share a 40 cores share b 40 cores", 20, [20, 10, 10]),
        ("share a 40 cores share b 20%", 30, [30, 26, 3]),
        ("share a 50% { share c 50% share d weight 1 } share b weight 1", 100, [100, 50, 25, 25, 50]),
    ],
)
def test_amounts_are_absolute_then_percent_then_weights(
    statements: str, capacity: int, expected: list[int]
) -> None:
    policy = policy_of(f"{statements} assign b otherwise")
    shares = tree_of(policy, {"cores": capacity}, {})
    assert [amount["cores"] for amount in shares.amount] == expected


def test_a_resource_that_is_not_named_follows_the_cores() -> None:
    policy = policy_of("share a 50%, 10% gpus share b 25% assign b otherwise")
    shares = tree_of(policy, {"cores": 8, "memory": 1000, "gpus": 20}, {})
    assert [a["memory"] for a in shares.amount] == [1000, 500, 250]
    assert [a["gpus"] for a in shares.amount] == [20, 2, 5]


@pytest.mark.parametrize(
    ("statements", "used", "free", "most"),
    [
        ("share a 60% share b 40%", {}, [100, 100, 100], [100, 100, 100]),
        ("share a 60% borrow none share b 40%", {}, [100, 60, 100], [100, 60, 100]),
        ("share a 60% borrow 10% share b 40%", {1: 50}, [50, 16, 50], [100, 66, 100]),
        ("share a 60% lend none share b 40%", {}, [40, 100, 40], [40, 100, 40]),
        ("share a 60% lend 50% share b 40%", {1: 10}, [70, 90, 70], [70, 100, 70]),
        ("share a 60% lend 50% share b 40%", {1: 40, 2: 20}, [40, 40, 40], [70, 100, 70]),
    ],
)
def test_borrowing_and_lending_are_limited(
    statements: str, used: dict[int, int], free: list[int], most: list[int]
) -> None:
    policy = policy_of(f"{statements} assign b otherwise")
    shares = tree_of(policy, {"cores": 100}, {n: {"cores": cores} for n, cores in used.items()})
    assert [shares.free(n, "cores") for n in range(3)] == free
    assert [shares.most(n, "cores") for n in range(3)] == most


# ------------------------------------------------------------------- answers


def test_a_request_takes_the_fullest_node_that_fits() -> None:
    nodes = [Node("n1", 8, 100), Node("n2", 4, 100), Node("n3", 2, 100), Node("n4", 2, 100, gpus=1)]
    oracle = Oracle(policy_of("share a 100% assign a otherwise"), nodes)
    oracle.submit(job("r1", cores=2), NOW)
    oracle.submit(job("r2", cores=1, submitted=NOW + 1), NOW)
    oracle.submit(job("r3", cores=3, count=3, submitted=NOW + 2), NOW)
    started = {s.request.id: [(p.node, p.parts) for p in s.placement] for s in oracle.schedule(NOW).starts}
    assert started == {"r1": [("n3", 1)], "r2": [("n2", 1)], "r3": [("n2", 1), ("n1", 2)]}


def test_spreading_goes_round_the_emptiest_nodes() -> None:
    nodes = [Node("n1", 8, 100), Node("n2", 4, 100), Node("n3", 2, 100)]
    oracle = Oracle(policy_of("share a 100% assign a otherwise place pool, job spread"), nodes)
    answer = oracle.decide(job("r", count=5), NOW)
    assert [(p.node, p.parts) for p in answer.placement] == [("n1", 2), ("n2", 2), ("n3", 1)]


def test_an_entitled_share_goes_before_a_borrower_and_then_the_least_served() -> None:
    oracle = Oracle(
        policy_of('share a 25% share b 50% assign a when group == "cms" assign b otherwise'),
        [Node("n", 8, 1)],
    )
    for i, group in enumerate(["cms", "cms", "cms", "alice", "alice"]):
        oracle.submit(job(f"r{i}", group=group, cores=1), NOW)
    assert [s.request.id for s in oracle.schedule(NOW).starts] == ["r3", "r4", "r0", "r1", "r2"]


# ---------------------------------------------------- every reason is true


def mended(policy: CheckedPolicy, answer: Answer, by: int = 0) -> CheckedPolicy:
    """The policy with all mended that the reasons name, each limit raised by what is short plus `by`."""
    for reason in answer.reasons:
        policy = mend(policy, reason, by)
    return policy


def mend(policy: CheckedPolicy, reason: Why, by: int) -> CheckedPolicy:
    at = (reason.file, reason.line)
    short = UNLIMITED if reason.short is None else int(reason.short) + by
    match reason.code:
        case Code.CAP:
            caps = (replace(c, value=c.value + short) if place(c) == at else c for c in policy.caps)
            return replace(policy, caps=tuple(caps))
        case Code.RULE:
            return replace(policy, denies=tuple(rule for rule in policy.denies if place(rule) != at))
        case Code.UNROUTED:
            kinds = frozenset({"job", "vmjob", "vm", "pool"})
            last = replace(policy.routes[0], kinds=kinds, condition=policy.assigns[-1].condition)
            return replace(policy, routes=(*policy.routes, last))
        case Code.QUOTA:
            quotas = (
                replace(q, ceilings=tuple(raised(c, reason, short) for c in q.ceilings))
                for q in policy.quotas
            )
            return replace(policy, quotas=tuple(quotas))
        case Code.SHARE | Code.NEVER_SHARE:
            unbound = (
                replace(s, portions=replace(s.portions, borrow={}, lend={})) if s.portions else s
                for s in policy.shares
            )
            return replace(policy, shares=tuple(unbound))
        case _:
            unlimited = tuple(q for q in policy.quotas if not q.nodes)
            return replace(policy, node_rules=(), places=(), quotas=unlimited)


def raised(ceiling: Ceiling, reason: Why, short: int) -> Ceiling:
    if place(ceiling) != (reason.file, reason.line) or ceiling.resource != reason.resource:
        return ceiling
    more = Const(short, Type.NUMBER, ceiling.span)
    return replace(ceiling, bound=Arithmetic("+", ceiling.bound, more, Type.NUMBER, ceiling.span))


def place(statement: object) -> tuple[str, int]:
    span = statement.span  # type: ignore[attr-defined]
    return span.path, span.line


def played(policy: CheckedPolicy, nodes: list[Node], stream: list[streams.Event]) -> tuple[Oracle, int]:
    """An oracle that a stream was played to, without comparing it with anything, and what time it is then."""
    oracle, now = Oracle(policy, nodes), NOW
    for i, step in enumerate(stream):
        match step:
            case streams.Submit(request):
                oracle.submit(replace(request, id=f"r{i}"), now)
            case streams.Schedule():
                oracle.schedule(now)
            case streams.Finish(n) if oracle.state.held:
                oracle.finish(sorted(oracle.state.held)[n % len(oracle.state.held)], now)
            case streams.Pass(seconds):
                now += seconds
            case _:
                pass
    return oracle, now


@given(policies(), farms.nodes(), streams.streams(15), farms.requests(NOW))
def test_mending_all_reasons_changes_the_answer(
    text: str, nodes: list[Node], stream: list[streams.Event], request: Request
) -> None:
    policy = checked(text)
    oracle, now = played(policy, nodes, stream)
    answer = oracle.decide(request, now)
    assume(answer.outcome is not Outcome.START)
    assert answer.reasons
    oracle.policy = oracle.state.policy = mended(policy, answer)
    codes = {reason.code for reason in answer.reasons}
    if codes & {Code.NODE, Code.NEVER_NODE, Code.SHARE, Code.NEVER_SHARE}:
        oracle.set_node(HUGE)
    if codes & {Code.BEHIND, Code.RESERVED}:
        oracle.state.queue.clear()
    after = oracle.decide(request, now)
    if answer.outcome is Outcome.DENY:
        assert after.outcome is not Outcome.DENY
    else:
        assert after.outcome is Outcome.START


@given(policies(), farms.nodes(), streams.streams(15), farms.requests(NOW))
@settings(max_examples=20)  # few answers have a limit that is short
def test_what_is_short_is_exactly_short(
    text: str, nodes: list[Node], stream: list[streams.Event], request: Request
) -> None:
    policy = checked(text)
    oracle, now = played(policy, nodes, stream)
    answer = oracle.decide(request, now)
    limits = [r for r in answer.reasons if r.code in (Code.QUOTA, Code.CAP) and r.short is not None]
    assume(limits)
    almost = Answer(answer.outcome, reasons=(limits[0],))
    oracle.policy = oracle.state.policy = mended(policy, almost, by=-1)
    after = oracle.decide(request, now)
    same = [
        r
        for r in after.reasons
        if (r.code, r.resource, r.line) == (limits[0].code, limits[0].resource, limits[0].line)
    ]
    assert same
    assert same[0].short == 1


@given(policies(), farms.nodes(), streams.streams())
def test_no_node_and_no_share_is_over_committed(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    oracle, _ = played(checked(text), nodes, stream)
    state = oracle.state
    assert all(amount >= 0 for node in state.nodes.values() for amount in state.room(node).values())
    tree = state.tree()
    for share in oracle.policy.shares:
        for r in state.resources:
            assert tree.use_above(share.index, r) <= tree.most(share.index, r)
            assert tree.free(share.index, r) >= 0
