"""What the oracle keeps in lists: who holds, who waits, what ended, whom room is made for, who had to go."""

from __future__ import annotations

from dataclasses import dataclass

from oracle.request import Asked
from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.values import Placement


@dataclass(frozen=True)
class Held:
    """A request that holds resources; `sequence` is the place it has in the queue if it must wait again.

    `priority` is what it had when it started, `native` whether it started past us, `stopped` since when it is
    suspended. `started` moves on by the time for which it was.
    """

    asked: Asked
    leaf: int
    placement: tuple[Placement, ...]
    started: int
    sequence: int
    priority: int = 0
    native: bool = False
    stopped: int | None = None

    @property
    def id(self) -> str:
        """The request's."""
        return self.asked.request.id

    @property
    def ends(self) -> bool:
        """Whether it ends at all; what is suspended does not, as long as it is."""
        return bool(self.asked.facts["walltime"] < UNLIMITED) and self.stopped is None

    def ends_after(self, now: int) -> int:
        """When it should be over: by its walltime, and not before the next second."""
        return max(int(self.started + self.asked.facts["walltime"]), now + 1)


@dataclass(frozen=True)
class Waiting:
    """A request in the queue; `sequence` counts those that were submitted, or started past us."""

    asked: Asked
    leaf: int
    sequence: int

    @property
    def id(self) -> str:
        """The request's."""
        return self.asked.request.id


@dataclass(frozen=True)
class Ended:
    """An allocation that is over."""

    held: Held
    end: int


@dataclass(frozen=True)
class Told:
    """An allocation that was told to leave until then; `rule` is an index into the policy's `preempts`."""

    victim: str
    beneficiary: str
    action: str
    leave_by: int
    rule: int


@dataclass(frozen=True)
class Pledge:
    """A request for which room is made there; `victims` are those that are still to leave."""

    waiting: Waiting
    placement: tuple[Placement, ...]
    victims: tuple[Told, ...]

    @property
    def held(self) -> Held:
        """What it will hold."""
        asked = self.waiting.asked.of(sum(p.parts for p in self.placement))
        return Held(asked, self.waiting.leaf, self.placement, 0, self.waiting.sequence)


@dataclass(frozen=True)
class Departure:
    """The victim had to leave for the beneficiary; `served`: which has run since."""

    victim: str
    beneficiary: str
    served: bool = False


@dataclass(frozen=True)
class Telling:
    """The rule told somebody to leave at that time."""

    rule: int
    time: int
    victim: str
