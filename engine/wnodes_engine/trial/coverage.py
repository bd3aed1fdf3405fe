"""How much of a policy its tests have reached: rules, the tests in their conditions, quotas and shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wnodes_engine.check.checked import Condition
from wnodes_engine.core import State
from wnodes_engine.core.decide import admit, making_room
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.explain.tracing import Part, Tracer, tests_of
from wnodes_engine.language.source import Span
from wnodes_engine.values import Code, Decision, Outcome, Request

_MISSED: Final = {
    "applies": "never applies",
    "does not apply": "always applies",
    "holds": "never holds",
    "does not hold": "always holds",
    "has no room": "is never full",
    "is assigned": "is never assigned",
    "makes room": "never makes room",
}
"""What is said of each kind of point that no test has shown."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that no test has shown: where it stands, and what it is."""

    file: str
    line: int
    what: str


class Coverage:
    """What the requests of tests have met of one policy.

    A point is: that a rule applies; that one with a condition does not; that a test in a condition holds, and
    that it does not; that a quota has no room; that a leaf is assigned; that a rule makes room.
    """

    def __init__(self, policy: CompiledPolicy) -> None:
        self.policy = policy
        self._tracer = Tracer(policy)
        self._met: set[tuple[Span, str]] = set()
        self._points = dict(self._all())

    def note(self, state: State, request: Request, decision: Decision, now: int) -> None:
        """A test has made this decision on this request just now."""
        trace = self._tracer.trace(state, request)
        for tried in trace.tried:
            if tried.holds:
                self._met.add((tried.span, "applies"))
            elif tried.asked and tried.open:
                self._met.add((tried.span, "does not apply"))
            if tried.condition is not None:
                self._note_part(tried.condition)
        if trace.leaf is not None:
            self._met.add((state.tree.shares[trace.leaf].span, "is assigned"))
        for reason in decision.reasons:
            if reason.code is Code.QUOTA:
                self._met |= {
                    (ceiling.span, "has no room")
                    for quota in self.policy.checked.quotas
                    for ceiling in quota.ceilings
                    if (ceiling.span.path, ceiling.span.line) == (reason.file, reason.line)
                    and ceiling.resource == reason.resource
                }

        if decision.outcome is Outcome.PREEMPT:
            claim, _ = admit(state, request)
            plan = None if claim is None else making_room(state, request, claim, now)
            if plan is not None:
                self._met.add((self.policy.checked.preempts[plan.rule].span, "makes room"))

    def _note_part(self, part: Part) -> None:
        for test in part.tests():
            if test.holds is not None:
                self._met.add((test.expr.span, "holds" if test.holds else "does not hold"))

    def count(self) -> tuple[int, int]:
        """How many points have been met, and how many there are."""
        return len(self._met & self._points.keys()), len(self._points)

    def gaps(self) -> list[Gap]:
        """What has not been met, in the policy's order."""
        left = [point for point in self._points if point not in self._met]
        order = {source.path: at for at, source in enumerate(self.policy.checked.sources)}
        left.sort(key=lambda point: (order[point[0].path], point[0].start, point[1]))
        return [
            Gap(span.path, span.line, f"{self._points[span, what]} {_MISSED[what]}") for span, what in left
        ]

    def _all(self) -> Iterator[tuple[tuple[Span, str], str]]:
        checked = self.policy.checked
        rules = (
            checked.defaults, checked.assigns, checked.caps, checked.denies, checked.priorities,
            checked.node_rules, checked.places, checked.routes, checked.quotas,
        )  # fmt: skip
        for statements in rules:
            for rule in statements:
                head = self._tracer.head(rule.span)
                yield (rule.span, "applies"), head
                yield from self._of_condition(rule.condition, rule.span, head)
        for quota in checked.quotas:
            for ceiling in quota.ceilings:
                yield (ceiling.span, "has no room"), f"{self._tracer.head(quota.span)}: {ceiling.resource}"
        for making in checked.preempts:
            yield (making.span, "makes room"), self._tracer.head(making.span)
        for share in checked.shares:
            if share.is_leaf:
                yield (share.span, "is assigned"), f"share {share.path}"

    def _of_condition(
        self, condition: Condition, span: Span, head: str
    ) -> Iterator[tuple[tuple[Span, str], str]]:
        if condition.expr is None:
            return
        yield (span, "does not apply"), head
        for test in tests_of(condition.expr):
            text = f"`{self._tracer.text(test.span)}`"
            yield (test.span, "holds"), text
            yield (test.span, "does not hold"), text
