"""A question to a farm, and the same with what some reasons of the answer name put right."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from msgspec import structs
from strategies import words
from strategies.streams import BEGIN
from wnodes_engine.check.checked import (
    And,
    Assign,
    Attr,
    CheckedPolicy,
    Compare,
    Condition,
    Const,
    Has,
    NodeRule,
    NodeSet,
    Not,
    Quota,
    Route,
    Share,
)
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.core.decide import admit
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import RESOURCES, Type
from wnodes_engine.values import Code, Decision, Node, Placement, Reason, Request

NAME = "asked"
"""The name of every request that is asked about: of no other, so that rules can be told to leave it alone."""


@dataclass(frozen=True)
class Question:
    """Who runs where, who waits in which share, and who asks; what runs began five minutes before."""

    policy: CheckedPolicy
    nodes: tuple[Node, ...]
    running: tuple[tuple[Request, tuple[Placement, ...]], ...]
    waiting: tuple[tuple[Request, str], ...]
    request: Request

    def answer(self) -> Decision:
        """What the engine says."""
        state = State(compile_policy(self.policy), self.nodes)
        for request, placement in self.running:
            state.start(request, placement, BEGIN - 300)
        for request, _ in self.waiting:
            claim, _ = admit(state, request)
            assert claim is not None
            state.enqueue(request, claim)
        return decide(state, self.request, BEGIN)


def crowded(
    policy: CheckedPolicy, nodes: list[Node], requests: Iterable[Request], asked: Request
) -> Question:
    """A question to a farm on which one pass has started what it could of these requests."""
    state = State(compile_policy(policy), nodes)
    for i, request in enumerate(requests):
        state.submit(structs.replace(request, id=f"r{i:02}"), BEGIN - 300)
    state.schedule(BEGIN - 300)
    running = [(held.request, state.placement(held.where)) for held in state.running.values()]
    waiting = [(w.request, policy.shares[w.claim.leaf].path) for w in state.waiters.values()]
    asked = structs.replace(asked, id=NAME, name=NAME)
    return Question(policy, tuple(nodes), tuple(running), tuple(waiting), asked)


def mended(question: Question, answer: Decision, reasons: Iterable[Reason]) -> Question:
    """The question, with what these reasons name put right."""
    policy, span = question.policy, question.policy.shares[0].span
    for reason in reasons:
        match reason.code:
            case Code.RULE:
                denies = tuple(rule for rule in policy.denies if rule.span.line != reason.line)
                policy = structs.replace(policy, denies=denies)
            case Code.CAP:
                policy = structs.replace(
                    policy, caps=tuple(c for c in policy.caps if c.span.line != reason.line)
                )
            case Code.UNROUTED:
                policy = structs.replace(policy, routes=(*policy.routes, anything_goes(span)))
            case Code.UNASSIGNED:
                leaf = next(share.index for share in policy.shares if share.is_leaf)
                everybody = Assign(leaf, Condition(None), span)
                policy = structs.replace(policy, assigns=(*policy.assigns, everybody))
            case Code.QUOTA:
                quotas = (left for q in policy.quotas for left in without(q, reason, span))
                policy = structs.replace(policy, quotas=tuple(quotas))
            case Code.SHARE | Code.NEVER_SHARE:
                question, policy = with_more_to_give(question, reason), unbounded(policy, reason.resource)
            case Code.BEHIND:
                question = without_those_of(question, str(answer.share))
            case Code.RESERVED:
                head = re.search(r"delay the head of (\S+), which", reason.message)
                assert head is not None
                question = without_those_of(question, head[1])
    question = replace(question, policy=policy)
    codes = {reason.code for reason in reasons}
    if codes & {Code.NODE, Code.NEVER_NODE}:
        question = on_one_node(question, even_down=Code.NEVER_NODE in codes)
    return question


# ------------------------------------------------------------------ statements


def anything_goes(span: Span) -> Route:
    """A route for everybody."""
    return Route(frozenset(words.KINDS), "simulated", *[None] * 5, Condition(None), span)


def without(quota: Quota, reason: Reason, span: Span) -> list[Quota]:
    """The quota, but for what the reason names: from that, who asks is excepted."""
    named = [c for c in quota.ceilings if (c.span.line, c.resource) == (reason.line, reason.resource)]
    if not named:
        return [quota]
    asked = And(
        (Has("name", False, span), Compare("==", name(span), Const(NAME, Type.STRING, span), span)), span
    )
    of_others = Not(asked, span)
    tests = of_others if quota.condition.expr is None else And((quota.condition.expr, of_others), span)
    others = tuple(ceiling for ceiling in quota.ceilings if ceiling not in named)
    excepting = structs.replace(quota, ceilings=tuple(named), condition=Condition(tests))
    return [excepting, structs.replace(quota, ceilings=others)] if others else [excepting]


def name(span: Span) -> Attr:
    """The request's name."""
    return Attr("name", Type.STRING, False, span)


# ---------------------------------------------------------------------- amounts


def unbounded(policy: CheckedPolicy, resource: str) -> CheckedPolicy:
    """The same without any limit on borrowing and lending of that resource; of cores: of all.

    Shares have as much of the rest as they have of the cores: where the farm has more of these, that is less.
    """
    own = {*RESOURCES} if resource == "cores" else {resource}

    def freed(share: Share) -> Share:
        if share.portions is None:
            return share
        borrow = {r: bound for r, bound in share.portions.borrow.items() if r not in own}
        lend = {r: bound for r, bound in share.portions.lend.items() if r not in own}
        return structs.replace(share, portions=structs.replace(share.portions, borrow=borrow, lend=lend))

    span = policy.shares[0].span
    nobody = Condition(Const(False, Type.TRUTH, span))
    closed = NodeRule(NodeSet(("more*",), ()), True, nobody, span)
    shares = tuple(freed(share) for share in policy.shares)
    return structs.replace(policy, shares=shares, node_rules=(*policy.node_rules, closed))


def with_more_to_give(question: Question, reason: Reason) -> Question:
    """The farm has as much more as is short, on a node that nobody may use."""
    assert reason.short is not None
    amounts = {"cores": 0, "memory": 0} | {reason.resource: reason.short}
    more = Node(f"more {reason.resource}", **amounts)
    return replace(question, nodes=(*question.nodes, more))


# ------------------------------------------------------------------------ nodes


def on_one_node(question: Question, even_down: bool) -> Question:
    """All nodes, or all that are up, are one, for everybody, with all that these have together."""
    one = [node for node in question.nodes if node.up or even_down]
    names = {node.name for node in one}
    cores, memory, gpus, disk = (sum(getattr(n, r) for n in one) for r in ("cores", "memory", "gpus", "disk"))

    def moved(placement: tuple[Placement, ...]) -> tuple[Placement, ...]:
        here = sum(p.parts for p in placement if p.node in names)
        there = tuple(p for p in placement if p.node not in names)
        return (*there, Placement("one", here)) if here else there

    return replace(
        question,
        policy=structs.replace(question.policy, node_rules=(), places=()),
        nodes=(Node("one", cores, memory, gpus, disk), *(n for n in question.nodes if n.name not in names)),
        running=tuple((request, moved(placement)) for request, placement in question.running),
    )


def without_those_of(question: Question, share: str) -> Question:
    """Nobody waits in that share."""
    return replace(question, waiting=tuple(w for w in question.waiting if w[1] != share))
