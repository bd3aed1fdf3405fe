"""What qsub is given to run, and how it is kept from reading options out of it."""

from __future__ import annotations

from typing import Final

from wnodes_batch.tags import tag
from wnodes_engine.backend import SlotRequest

LARGEST: Final = 4 << 20
"""More bytes than these are refused."""


def script_of(slot: SlotRequest) -> bytes:
    """The script of a slot; without one, something that holds the cores for the walltime.

    Raises ValueError for one that qsub does not take.
    """
    if not slot.script:
        held = "infinity" if slot.walltime is None else str(slot.walltime)
        return f"#!/bin/sh\nexec sleep {held}\n".encode()
    script = slot.script if slot.script.startswith("#!") else f"#!/bin/sh\n{slot.script}"
    if "\0" in script or "\r\n" in script:
        raise ValueError("its script has NUL characters or line ends of DOS, which qsub does not take")
    text = (script if script.endswith("\n") else f"{script}\n").encode()
    if len(text) > LARGEST:
        raise ValueError(f"its script has more than {LARGEST} bytes")
    if prefix(slot, 0).rpartition("-")[0] in script:
        raise ValueError("its script has the key of the job itself in it")
    return text


def prefix(slot: SlotRequest, submitted_at: int) -> str:
    """What lines with options would begin with: no script has any. `#PBS` is a comment like others.

    It is no comment itself: TORQUE gives the words of a command to a shell where there is a submit filter.
    """
    return tag(slot.key, submitted_at)
