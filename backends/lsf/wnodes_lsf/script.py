"""What bsub is given to run: never more than a script, whatever it says of itself."""

from __future__ import annotations

import re
import shlex
from typing import Final

from wnodes_batch.script import encoded, holding, text_of
from wnodes_engine.backend import SlotRequest

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
    script = text_of(slot, "LSF")
    if script is None:
        return holding(slot)
    lines = [_defanged(line) for line in script.split("\n")]
    if directory is not None and _SHELLS.fullmatch(lines[0].rstrip()):
        lines.insert(1, f"cd {shlex.quote(directory)} || exit 1")
    return encoded("\n".join(lines if lines[-1] == "" else [*lines, ""]))


def _defanged(line: str) -> str:
    is_comment = line.lstrip().startswith("#")
    return line.replace("BSUB", "bsub") if is_comment or len(line.encode()) > _LONG else line
