"""How often a simulation has to look at the queue though nothing happens."""

from __future__ import annotations

from typing import Final

from wnodes_engine.check.checked import UNLIMITED, Preempt
from wnodes_engine.core.meters import BUCKETS
from wnodes_engine.core.policy import CompiledPolicy

_QUARTER: Final = 900
_WEEK: Final = 7 * 86_400


def clock_of(policy: CompiledPolicy) -> tuple[int, int] | None:
    """How often to look again when nothing happens, and for how long; None where nothing changes by itself.

    Use leaves the window of a quota with time, `during` and downtimes begin and end, and rules that make room
    speak once somebody has waited, or a victim has run, for long enough, at some hour, as priorities grow,
    or when their budget of an hour is there again.
    """
    quotas = [meter.window for meter in policy.meters if meter.window]
    steps = [window // BUCKETS for window in quotas]
    patience = [window + window // BUCKETS for window in quotas]
    if policy.checked.windows or policy.checked.downtimes:
        steps.append(_QUARTER)
        patience.append(_WEEK + _QUARTER)
        patience += [down.end - down.begin + _QUARTER for down in policy.checked.downtimes]
    if any(_may_speak_later(rule) for rule in policy.checked.preempts):
        steps.append(_QUARTER)
        patience.append(_WEEK + _QUARTER)
    waits = [wait for room in policy.room for wait in (room.patience, room.least_run) if 0 < wait < UNLIMITED]
    steps += [min(wait, _QUARTER) for wait in waits]
    patience += [wait + _QUARTER for wait in waits]
    return (max(60, min(steps)), max(patience)) if steps else None


def _may_speak_later(rule: Preempt) -> bool:
    """Whether a rule that makes no room now may make some as time goes on."""
    taking = rule.taking
    return not (taking.condition.expr is None and taking.sparing is None and taking.per_hour is None)
