"""What a job runs: the script of a slot, or something that holds its cores."""

from __future__ import annotations

from typing import Final

from wnodes_engine.backend import SlotRequest

LARGEST: Final = 4 << 20
"""More bytes than these are refused; it is Slurm's own limit."""


def text_of(slot: SlotRequest, taker: str, *, dos: bool = True) -> str | None:
    """The script of a slot, by its `#!`; None for one without, which holds its cores.

    Raises ValueError for one that `taker` does not take: with NULs, or, unless `dos`, with line ends of DOS.
    """
    if not slot.script:
        return None
    script = slot.script if slot.script.startswith("#!") else f"#!/bin/sh\n{slot.script}"
    if "\0" in script or (not dos and "\r\n" in script):
        what = "NUL characters" if dos else "NUL characters or line ends of DOS"
        raise ValueError(f"its script has {what}, which {taker} does not take")
    return script


def holding(slot: SlotRequest) -> bytes:
    """A script that holds the cores for the walltime, or until it is cancelled."""
    held = "infinity" if slot.walltime is None else str(slot.walltime)
    return f"#!/bin/sh\nexec sleep {held}\n".encode()


def encoded(script: str) -> bytes:
    """The script as it is handed in. Raises ValueError for one that is too long."""
    text = script.encode()
    if len(text) > LARGEST:
        raise ValueError(f"its script has more than {LARGEST} bytes")
    return text
