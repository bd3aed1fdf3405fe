"""What bsub is given to run: never more than a script, whatever it says of itself."""

from __future__ import annotations

import re
import shlex
from typing import Final

from wnodes_engine.backend import SlotRequest

LARGEST: Final = 4 << 20
_LONG: Final = 1000
"""bsub reads lines in pieces; each piece of a longer one could begin like an option."""

_SHELLS: Final = re.compile(r"#! *(?:/\S*/|/usr/bin/env +)?(?:ba|da|k|z|c|tc)?sh(?: .*)?")


def script_of(slot: SlotRequest, directory: str | None = None) -> bytes:
    """The script of a slot; without one, something that holds the slots for the walltime.

    bsub takes options out of the comments of a whole script (`#BSUB -q x`, and `# BSUB` too) and joins one
    that ends with a backslash to the next line: in comments that name becomes lower case, which says
    nothing. What a job asks is in its request. A shell changes to `directory` first, if one is given. Raises
    ValueError for a script that LSF does not take.
    """
    if not slot.script:
        held = "infinity" if slot.walltime is None else str(slot.walltime)
        return f"#!/bin/sh\nexec sleep {held}\n".encode()
    script = slot.script if slot.script.startswith("#!") else f"#!/bin/sh\n{slot.script}"
    if "\0" in script:
        raise ValueError("its script has NUL characters, which LSF does not take")
    lines = [_defanged(line) for line in script.split("\n")]
    if directory is not None and _SHELLS.fullmatch(lines[0].rstrip()):
        lines.insert(1, f"cd {shlex.quote(directory)} || exit 1")
    text = "\n".join(lines).encode()
    if len(text) > LARGEST:
        raise ValueError(f"its script has more than {LARGEST} bytes")
    return text if text.endswith(b"\n") else text + b"\n"


def _defanged(line: str) -> str:
    is_comment = line.lstrip().startswith("#")
    return line.replace("BSUB", "bsub") if is_comment or len(line.encode()) > _LONG else line
