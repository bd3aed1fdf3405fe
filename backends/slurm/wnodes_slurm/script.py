"""What sbatch is given to run: never more than a script, whatever it says of itself."""

from __future__ import annotations

import re
from typing import Final

from wnodes_engine.backend import SlotRequest

LARGEST: Final = 4 << 20
"""Slurm's own limit, in bytes."""

_DIRECTIVE: Final = re.compile(r"\s*#(?=SBATCH|PBS|BSUB)")


def script_of(slot: SlotRequest) -> bytes:
    """The script of a slot; without one, something that holds the cores for the walltime.

    Options in its comments (`#SBATCH`) are made plain comments: what a job asks is in its request. Raises
    ValueError for one that Slurm does not take.
    """
    if not slot.script:
        held = "infinity" if slot.walltime is None else str(slot.walltime)
        return f"#!/bin/sh\nexec sleep {held}\n".encode()
    script = slot.script if slot.script.startswith("#!") else f"#!/bin/sh\n{slot.script}"
    if "\0" in script or "\r\n" in script:
        raise ValueError("its script has NUL characters or line ends of DOS, which Slurm does not take")
    text = _defanged(script).encode()
    if len(text) > LARGEST:
        raise ValueError(f"its script has more than {LARGEST} bytes")
    return text


def _defanged(script: str) -> str:
    """Slurm reads options up to the first line that is no comment; after that it reads nothing."""
    lines = script.split("\n")
    for at, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        lines[at] = _DIRECTIVE.sub("# ", line)
    return "\n".join(lines)
