"""What qsub is given to run, and how it is kept from reading options out of it."""

from __future__ import annotations

from wnodes_batch.script import encoded, holding, text_of
from wnodes_batch.tags import tag
from wnodes_engine.backend import SlotRequest


def script_of(slot: SlotRequest) -> bytes:
    """The script of a slot; without one, something that holds the cores for the walltime.

    Raises ValueError for one that qsub does not take.
    """
    script = text_of(slot, "qsub", dos=False)
    if script is None:
        return holding(slot)
    text = encoded(script if script.endswith("\n") else f"{script}\n")
    if prefix(slot, 0).rpartition("-")[0] in script:
        raise ValueError("its script has the key of the job itself in it")
    return text


def prefix(slot: SlotRequest, submitted_at: int) -> str:
    """What lines with options would begin with: no script has any. `#PBS` is a comment like others.

    It is no comment itself: TORQUE gives the words of a command to a shell where there is a submit filter.
    """
    return tag(slot.key, submitted_at)
