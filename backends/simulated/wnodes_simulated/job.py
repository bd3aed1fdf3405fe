"""One job of a simulated farm: what it asked, what its script says, and how it has ended."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wnodes_engine.backend import Ending, JobRef, JobState, SlotRequest

_SCRIPT: Final = re.compile(r"\s*(?:#![^\n]*\n\s*)?(?:sleep ([0-9]{1,9})\s*)?(?:exit ([0-9]{1,3})\s*)?")


@dataclass(slots=True, eq=False)
class FarmJob:
    """One job; `length` is what it runs for, `limit` what it may, in seconds of the wall clock."""

    number: int
    ref: JobRef
    slot: SlotRequest
    length: float
    limit: float
    walltime: int | None
    status: int
    vanishes: bool
    state: JobState
    ran: float = 0.0
    running_since: float = 0.0
    started_at: int | None = None
    nodes: tuple[tuple[str, int], ...] = ()
    reason: str = ""
    stint: int = 0  # an end that was due in an earlier stint is void


def ending_of(job: FarmJob, status: int | None, at: int) -> Ending:
    """What accounting says of a job that has ended."""
    slot = job.slot
    return Ending(
        ref=job.ref,
        state=job.state,
        started_at=job.started_at,
        ended_at=at,
        exit_status=status,
        nodes=cores_of(job),
        native_state=job.state.upper(),
        user=slot.user,
        account=slot.account or "",
        queue=slot.queue or "",
        cores=slot.cores * slot.count,
        memory=slot.memory * slot.count,
        gpus=slot.gpus * slot.count,
        cpu_seconds=int(job.ran) * slot.cores * slot.count,
    )


def cores_of(job: FarmJob) -> tuple[tuple[str, int], ...]:
    """The cores that it has on each node."""
    return tuple((node, parts * job.slot.cores) for node, parts in job.nodes)


def read_script(script: str) -> tuple[float | None, int]:
    """The seconds and exit status that a script of `sleep N` and `exit M` says; None, 0 for all others."""
    matched = _SCRIPT.fullmatch(script)
    if not script or matched is None:
        return None, 0
    return float(matched[1] or 0), int(matched[2] or 0)
