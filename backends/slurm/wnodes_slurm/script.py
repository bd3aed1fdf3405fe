"""What sbatch is given to run: never more than a script, whatever it says of itself."""

from __future__ import annotations

import re
from typing import Final

from wnodes_batch.script import encoded, holding, text_of
from wnodes_engine.backend import SlotRequest

_DIRECTIVE: Final = re.compile(r"\s*#(?=SBATCH|PBS|BSUB)")


def script_of(slot: SlotRequest) -> bytes:
    """The script of a slot; without one, something that holds the cores for the walltime.

    Options in its comments (`#SBATCH`) are made plain comments: what a job asks is in its request. Raises
    ValueError for one that Slurm does not take.
    """
    script = text_of(slot, "Slurm", dos=False)
    return holding(slot) if script is None else encoded(_defanged(script))


def _defanged(script: str) -> str:
    """Slurm reads options up to the first line that is no comment; after that it reads nothing."""
    lines = script.split("\n")
    for at, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        lines[at] = _DIRECTIVE.sub("# ", line)
    return "\n".join(lines)
