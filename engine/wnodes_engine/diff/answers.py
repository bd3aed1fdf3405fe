"""What two policies answer to the same requests, on an idle farm: who is denied, whose share, which route."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from wnodes_engine.check.coverage import Known
from wnodes_engine.core import State, decide
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.diff.probes import Probe, Probes
from wnodes_engine.values import Decision, Node, Outcome, Reason, Request, Route

FARM: Final = tuple(
    Node(f"n{at:04}", cores=128, memory=1 << 20, gpus=8, disk=1 << 24) for at in range(1, 1001)
)
"""A farm that is large enough for whatever is asked, where none is named."""


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request that is answered otherwise: `what` is denied, allowed, share or route.

    `request` is as `eval` reads it; of those that differ alike, `alike` in number, it is the first. `at` is
    the time for which it was asked, in seconds since the epoch.
    """

    what: str
    request: str
    at: int
    old: str
    new: str
    reasons: tuple[Reason, ...] = ()
    alike: int = 1


def differences(
    old: CompiledPolicy, new: CompiledPolicy, probes: Probes, nodes: Sequence[Node], now: int
) -> tuple[list[Difference], int]:
    """What differs, each sort of difference once, and how many requests were tried."""
    before, after = State(old, nodes), State(new, nodes)
    found: dict[tuple[object, ...], Difference] = {}
    admitted: dict[tuple[object, ...], Known] = {}
    tried = 0

    def ask(some: Iterable[Probe]) -> None:
        nonlocal tried
        for probe in some:
            tried += 1
            one, other = _answer(before, probe.request, now), _answer(after, probe.request, now)
            for answer in (one, other):
                if answer.outcome is not Outcome.DENY:
                    admitted.setdefault((answer.share, probe.request.kind), probe.known)
            difference = _difference(probe, one, other, now)
            if difference is not None:
                rules = tuple(reason.rule for reason in difference.reasons)
                like = (difference.what, difference.old, difference.new, rules)
                found[like] = _shorter(difference, found.get(like))

    ask(probes.alone())
    ask(probes.beside(list(admitted.values())))
    return list(found.values()), tried


def _shorter(one: Difference, other: Difference | None) -> Difference:
    """The request that says least, for both."""
    if other is None:
        return one
    least = min(one, other, key=lambda each: (len(each.request), each.request))
    return msgspec.structs.replace(least, alike=other.alike + 1)


def _answer(state: State, request: Request, now: int) -> Decision:
    return decide(state, request, now)


def _difference(probe: Probe, old: Decision, new: Decision, now: int) -> Difference | None:
    was, will = old.outcome is Outcome.DENY, new.outcome is Outcome.DENY
    if was != will:
        what, reasons = ("allowed", old.reasons) if was else ("denied", new.reasons)
        return Difference(what, probe.text, now, _stands(old), _stands(new), reasons)
    if was:
        return None
    if old.share != new.share:
        return Difference("share", probe.text, now, _stands(old), _stands(new))
    if old.route != new.route:
        return Difference("route", probe.text, now, _way(old.route), _way(new.route))
    return None


def _stands(decision: Decision) -> str:
    return "denied" if decision.outcome is Outcome.DENY else f"in {decision.share}"


def _way(route: Route | None) -> str:
    if route is None:
        return "nowhere"
    said = msgspec.to_builtins(route)
    return ", ".join(f"{name} {value}" for name, value in said.items() if value is not None)
