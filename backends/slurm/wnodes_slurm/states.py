"""What Slurm's states mean: of jobs, and of nodes in combination."""

from __future__ import annotations

from typing import Final

from wnodes_engine.backend import JobState

JOB_STATES: Final = {
    "PENDING": JobState.PENDING,
    "REQUEUED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.HELD,
    "REQUEUE_FED": JobState.PENDING,
    "SPECIAL_EXIT": JobState.HELD,
    "RESV_DEL_HOLD": JobState.HELD,
    "CONFIGURING": JobState.STARTING,
    "RUNNING": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "RESIZING": JobState.RUNNING,
    "SUSPENDED": JobState.SUSPENDED,
    "STOPPED": JobState.SUSPENDED,
    "COMPLETING": JobState.ENDING,
    "STAGE_OUT": JobState.ENDING,
    "COMPLETED": JobState.DONE,
    "CANCELLED": JobState.CANCELLED,
    "FAILED": JobState.FAILED,
    "TIMEOUT": JobState.FAILED,
    "NODE_FAIL": JobState.FAILED,
    "PREEMPTED": JobState.FAILED,
    "BOOT_FAIL": JobState.FAILED,
    "DEADLINE": JobState.FAILED,
    "OUT_OF_MEMORY": JobState.FAILED,
    "LAUNCH_FAILED": JobState.FAILED,
    "RECONFIG_FAIL": JobState.FAILED,
    "REVOKED": JobState.CANCELLED,
}

ENDED_NAMES: Final = (
    "BOOT_FAIL,CANCELLED,COMPLETED,DEADLINE,FAILED,NODE_FAIL,OUT_OF_MEMORY,PREEMPTED,REVOKED,TIMEOUT"
)
"""The states that accounting is asked for."""

MAY_RETURN: Final = frozenset({"PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED"})
"""After these a job may have been queued again, under the same id."""

_SYMBOLS: Final = {
    "*": "NOT_RESPONDING",
    "$": "MAINTENANCE",
    "@": "REBOOT_ISSUED",
    "^": "REBOOT_ISSUED",
    "%": "POWERING_DOWN",
    "!": "POWERING_DOWN",
    "~": "POWERED_DOWN",
    "#": "POWERING_UP",
    "-": "PLANNED",
    "+": "",
}
_TAKES_WORK: Final = frozenset({"IDLE", "MIXED", "ALLOCATED"})
_HARMLESS: Final = frozenset(
    {
        "",
        "CLOUD",
        "COMPLETING",
        "DYNAMIC",
        "DYNAMIC_FUTURE",
        "DYNAMIC_NORM",
        "PLANNED",
        "POWERED_DOWN",
        "POWERING_UP",
        "POWER_UP",
        "REBOOT_REQUESTED",
    }
)
RESERVED: Final = "RESERVED"


def job_state(native: str, reason: str, priority: str) -> JobState:
    """The state of a job that Slurm shows like this. One of priority 0 is held, whoever has done that."""
    state = JOB_STATES.get(native, JobState.UNKNOWN)
    if state is JobState.PENDING and (priority == "0" or reason.startswith("JobHeld")):
        return JobState.HELD
    return state


def takes_work(native: str, reserved_for_us: bool) -> bool:
    """Whether a node in a state such as `MIXED+DRAIN` takes new jobs; a flag that is not known says no."""
    base, *flags = native.split("+")
    name = base.rstrip("".join(_SYMBOLS))
    flags += [_SYMBOLS[symbol] for symbol in base[len(name) :]]
    return name in _TAKES_WORK and all(
        flag in _HARMLESS or (flag == RESERVED and reserved_for_us) for flag in flags
    )
