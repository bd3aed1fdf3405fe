"""Denials and waits name all their reasons, and each is true: mend all of them, and the answer changes."""

from __future__ import annotations

import re

import msgspec
from hypothesis import assume, event, given, note, settings
from hypothesis import strategies as st
from strategies import farms, streams
from strategies.checking import checked
from strategies.mended import Question, crowded, mended
from strategies.policies import Asking, policies
from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.values import Code, Decision, Node, Outcome, Reason, Request

some = st.lists(farms.requests(streams.BEGIN - 300), min_size=6, max_size=20)
asked = st.lists(farms.requests(streams.BEGIN), min_size=2, max_size=2)


STATEMENTS = (
    'cap cores 3 when kind in {job, vm} and has name and name == "asked"',
    'cap walltime 1h when has name and name == "asked" and count > 1',
    'deny "no guests" when group == "guest" and has name and name == "asked"',
    'deny "not so wide" when cores * count > 4 and has name and name == "asked"',
    "quota for each user: cores <= 6",
    "quota for each group: running <= 2",
    "quota for each share: memory <= 4GiB",
    "quota for each kind: cores <= 6 else deny",
    "quota for each origin: running <= 3, core_hours <= 90 per 1d else deny",
)
"""Some more that stand in the way of one another; rules only of who is asked about, not of the crowd."""


def of_farms_alike(text: str) -> CheckedPolicy:
    """The policy without what names nodes, or measures them: mending moves what runs to other nodes."""
    note(text)
    policy = checked(re.sub(r"(?m)^quota for nodes .*\n", "", text))
    assume(not policy.tracks_hs23)
    return policy


def mends(question: Question) -> None:
    """Ask; mend all that is named, and all but one, for each one."""
    answer = question.answer()
    note(f"{question}\n{answer}")
    event(f"{answer.outcome} {', '.join(sorted({reason.code for reason in answer.reasons}))}")
    if answer.outcome is Outcome.START:
        return
    assert answer.reasons
    after = mended(question, answer, answer.reasons).answer()
    note(f"all mended: {after}")
    mended_all(answer, after)
    if len(answer.reasons) > 1:
        for i, reason in enumerate(answer.reasons):
            others = answer.reasons[:i] + answer.reasons[i + 1 :]
            if not any(may_mend_too(other, reason) for other in others):
                still = mended(question, answer, others).answer()
                note(f"all but {reason} mended: {still}")
                assert still.outcome is answer.outcome
                assert is_named(reason, still), "what was not mended is not true any more"


def mended_all(answer: Decision, after: Decision) -> None:
    """Nothing else was in the way, as far as that could be known."""
    codes = {reason.code for reason in answer.reasons}
    if Code.UNASSIGNED in codes:
        assert Code.UNASSIGNED not in {reason.code for reason in after.reasons}
    elif answer.outcome is Outcome.DENY:
        assert after.outcome is not Outcome.DENY
    elif Code.NODE in codes:
        # Whom it would delay can be told only of one for which there are nodes.
        assert {reason.code for reason in after.reasons} <= {Code.RESERVED}
    else:
        assert after.outcome is Outcome.START


def may_mend_too(one: Reason, other: Reason) -> bool:
    """Whether mending the one may mend the other: a share has as much of the rest as it has of the cores, and
    what gives room to a request may give it to the head that it would have delayed."""
    if one.code not in (Code.SHARE, Code.NEVER_SHARE):
        return False
    return other.code is Code.RESERVED or (other.code is one.code and one.resource == "cores")


def is_named(reason: Reason, answer: Decision) -> bool:
    return any(
        (reason.code, reason.resource, reason.line) == (r.code, r.resource, r.line) for r in answer.reasons
    )


@given(policies(), st.sets(st.sampled_from(STATEMENTS), max_size=5), farms.nodes(most=3), some, asked)
@settings(max_examples=60)
def test_whoever_is_not_started_is_told_all_that_is_in_the_way_and_nothing_else(
    text: str, more: set[str], nodes: list[Node], crowd: list[Request], ask: list[Request]
) -> None:
    policy = of_farms_alike("\n".join([text, *sorted(more), ""]))
    for request in ask:
        mends(crowded(policy, nodes, crowd, request))


@given(policies(Asking(rules=False)), farms.nodes(most=2), some, asked)
def test_whoever_waits_for_room_alone_is_told_where_it_is_short_and_whom_it_would_pass(
    text: str, nodes: list[Node], crowd: list[Request], ask: list[Request]
) -> None:
    policy = of_farms_alike(text)
    for request in ask:
        mends(crowded(policy, nodes, crowd, request))


@given(policies(), farms.nodes(most=3), asked)
def test_whoever_meets_holes_in_assignment_and_routing_is_told_so(
    text: str, nodes: list[Node], ask: list[Request]
) -> None:
    policy = of_farms_alike(text)
    holed = msgspec.structs.replace(policy, assigns=policy.assigns[:-1], routes=policy.routes[:-1])
    for request in ask:
        mends(crowded(holed, nodes, [], request))


@given(policies(), farms.nodes(most=3), asked)
def test_whoever_no_statement_assigns_or_routes_is_denied_for_that(
    text: str, nodes: list[Node], ask: list[Request]
) -> None:
    policy = of_farms_alike(text)
    for hole, code in (({"assigns": ()}, Code.UNASSIGNED), ({"routes": ()}, Code.UNROUTED)):
        state = State(compile_policy(msgspec.structs.replace(policy, **hole)), nodes)
        for request in ask:
            decision = decide(state, request, streams.BEGIN)
            codes = {reason.code for reason in decision.reasons}
            assert decision.outcome is Outcome.DENY
            assert codes == {code} if code is Code.UNASSIGNED else code in codes
