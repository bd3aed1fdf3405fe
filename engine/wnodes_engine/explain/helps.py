"""What would help: how much less a request would have to ask, of one thing, to start or to be let in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.core import State, decide
from wnodes_engine.core.wording import amount
from wnodes_engine.values import Outcome, Request

_LEAST: Final = {"count": 1, "cores": 1, "memory": 0, "gpus": 0, "disk": 0, "volumes": 0, "walltime": 60}
"""What a request can ask less of, and the least of it."""

_LONGEST: Final = 10 * 365 * 86_400

_RANK: Final = {Outcome.DENY: 0, Outcome.WAIT: 1, Outcome.PREEMPT: 1, Outcome.START: 2}


@dataclass(frozen=True, slots=True)
class Help:
    """With at most `value` of `what` the answer would be `outcome`, all else being the same."""

    what: str
    value: int
    outcome: Outcome

    @property
    def text(self) -> str:
        """In words: `with at most 40 cores it would start`."""
        then = "start" if self.outcome is Outcome.START else "wait instead of being denied"
        said = "1 part" if (self.what, self.value) == ("count", 1) else amount(self.what, self.value)
        return f"with at most {said} it would {then}"


def helps(
    state: State, request: Request, outcome: Outcome, amounts: dict[str, int], now: int
) -> Iterator[Help]:
    """For each thing of which it asks something: the most with which it would do better than `outcome`.

    `amounts` are what it asks with the policy's defaults. What is found was decided with just that amount.
    """
    rank = _RANK[outcome]
    if rank == _RANK[Outcome.START]:
        return
    for what, least in _LEAST.items():
        most = min(amounts[what], _LONGEST if amounts[what] >= UNLIMITED else amounts[what])
        if most <= least:
            continue
        found = _most(state, request, what, (least, most), rank, now)
        if found is not None:
            yield found


def _most(
    state: State, request: Request, what: str, bounds: tuple[int, int], rank: int, now: int
) -> Help | None:
    """The largest amount between the bounds, as bisection finds it, with which the answer is better."""
    low, high = bounds
    found: Help | None = None
    while low <= high:
        # The least is tried first: if that is no help, nothing of this kind is.
        value = (low + high) // 2 if found is not None else low
        outcome = decide(state, _asking(request, what, value), now).outcome
        if _RANK[outcome] > rank:
            if found is None or _RANK[outcome] >= _RANK[found.outcome]:
                found = Help(what, value, outcome)
                low = value + 1
                continue
            high = value - 1
        elif found is None:
            return None
        else:
            high = value - 1
    return found


def _asking(request: Request, what: str, value: int) -> Request:
    changed: dict[str, int] = {what: value}
    if what == "count" and request.at_least is not None:
        changed["at_least"] = min(request.at_least, value)
    return replace(request, **changed)
