"""What an action comes to by the state of the job alone, before any command is run."""

from __future__ import annotations

from typing import Final

from wnodes_engine.backend import Action, ActionOutcome, JobRef, JobState, Verdict

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


def first(ref: JobRef) -> tuple[int, int, str]:
    """How copies of a job are ordered: by their submission."""
    return ref.submitted_at, len(ref.id), ref.id
