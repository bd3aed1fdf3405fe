"""What a listing says of our jobs before any command is run: which they are, and what an action comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from wnodes_engine.backend import ENDED, Action, ActionOutcome, JobRef, JobState, Verdict

DONE: Final = ActionOutcome(Verdict.DONE)
NOT_THE_ONE: Final = ActionOutcome(
    Verdict.CONFLICT, "there is no such job: another id, key or time of submission, or it has ended"
)


def already(action: Action, state: JobState) -> ActionOutcome | None:
    """It is so already, or it cannot be; None if a command has to be run."""
    waiting = state in {JobState.PENDING, JobState.HELD}
    match action:
        case Action.RELEASE if state is not JobState.HELD:
            return DONE
        case Action.HOLD if state is JobState.HELD:
            return DONE
        case Action.SUSPEND if state is JobState.SUSPENDED:
            return DONE
        case Action.RESUME if state is JobState.RUNNING:
            return DONE
        case Action.CANCEL if state is JobState.ENDING:
            return DONE
        case Action.HOLD if not waiting:
            pass  # it would be held after its next requeue, in silence
        case Action.SUSPEND if state is not JobState.RUNNING:
            pass
        case Action.RESUME if state is not JobState.SUSPENDED:
            pass
        case Action.REQUEUE if waiting:
            pass
        case _:
            return None
    return ActionOutcome(Verdict.REFUSED, f"cannot {action} a job that is {state}")


class Shown(Protocol):
    """A job as a listing shows it."""

    @property
    def ref(self) -> JobRef:
        """Which it is."""

    @property
    def user(self) -> str:
        """Whose it is."""

    @property
    def state(self) -> JobState:
        """Where it stands."""


def ours(
    rows: Iterable[Shown], wanted: Mapping[str, str], runs_as: Callable[[str], str]
) -> dict[str, JobRef]:
    """What of the wanted (user by key) is there and has not ended, by key; of copies the first submitted."""
    found: dict[str, JobRef] = {}
    for row in rows:
        key = row.ref.key
        if key not in wanted or row.user != runs_as(wanted[key]) or row.state in ENDED:
            continue
        if key not in found or _age(row.ref) < _age(found[key]):
            found[key] = row.ref
    return found


def _age(ref: JobRef) -> tuple[int, int, str]:
    return ref.submitted_at, len(ref.id), ref.id
