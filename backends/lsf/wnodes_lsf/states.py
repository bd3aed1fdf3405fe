"""What LSF's states mean: of jobs, of hosts, and why jobs were ended."""

from __future__ import annotations

import re
from typing import Final

from wnodes_engine.backend import JobState

JOB_STATES: Final = {
    "PEND": JobState.PENDING,
    "PSUSP": JobState.HELD,
    "WAIT": JobState.STARTING,  # of a chunk of jobs, on its host, behind the one that runs
    "PROV": JobState.STARTING,
    "RUN": JobState.RUNNING,
    "USUSP": JobState.SUSPENDED,
    "SSUSP": JobState.SUSPENDED,
    "ZOMBI": JobState.ENDING,  # killed, and its host cannot be told
    "DONE": JobState.DONE,
    "EXIT": JobState.FAILED,
}
"""`UNKWN`, a job whose host does not answer, is not among them: nobody knows what became of it."""

HOLDING: Final = frozenset(
    {JobState.STARTING, JobState.RUNNING, JobState.SUSPENDED, JobState.ENDING, JobState.UNKNOWN}
)
"""The states in which a job has its slots."""

_OPEN: Final = frozenset({"ok", "closed_Full"})
"""A host that is full is there; one that is busy, locked or has an exclusive job takes nothing."""

CLOSED: Final = frozenset({"closed_Adm", "closed_Cu_excl_Adm"})
"""Closed because an administrator said so."""

AWAY: Final = frozenset({"unavail", "unreach", "unlicensed", "closed_LIM", "closed"})
"""These do not show whether an administrator has closed the host, too."""

KILLED: Final = frozenset(
    {"TERM_OWNER", "TERM_ADMIN", "TERM_FORCE_OWNER", "TERM_FORCE_ADMIN", "TERM_BUCKET_KILL"}
)
REQUEUED: Final = frozenset({"TERM_REQUEUE_OWNER", "TERM_REQUEUE_ADMIN", "TERM_REQUEUE_RC"})
REASONS: Final = {
    0: "TERM_UNKNOWN",
    1: "TERM_PREEMPT",
    2: "TERM_WINDOW",
    3: "TERM_LOAD",
    4: "TERM_OTHER",
    5: "TERM_RUNLIMIT",
    6: "TERM_DEADLINE",
    7: "TERM_PROCESSLIMIT",
    8: "TERM_FORCE_OWNER",
    9: "TERM_FORCE_ADMIN",
    10: "TERM_REQUEUE_OWNER",
    11: "TERM_REQUEUE_ADMIN",
    12: "TERM_CPULIMIT",
    13: "TERM_CHKPNT",
    14: "TERM_OWNER",
    15: "TERM_ADMIN",
    16: "TERM_MEMLIMIT",
    17: "TERM_EXTERNAL_SIGNAL",
    18: "TERM_RMS",
    19: "TERM_ZOMBIE",
    20: "TERM_SWAP",
    21: "TERM_THREADLIMIT",
    22: "TERM_SLURM",
    23: "TERM_BUCKET_KILL",
    24: "TERM_CTRL_PID",
    25: "TERM_CWD_NOTEXIST",
}
"""`exitInfo` in lsb.acct."""

_REASON: Final = re.compile(r"TERM_[A-Z_]+")


def job_state(native: str) -> JobState:
    """The state of a job that LSF shows like this."""
    return JOB_STATES.get(native, JobState.UNKNOWN)


def reason_of(text: str) -> str:
    """The `TERM_…` in what LSF says of an ending."""
    matched = _REASON.search(text)
    return matched[0] if matched else ""


def ended_as(native: str, reason: str, started: bool) -> JobState:
    """How a job ended; one that never started was taken back."""
    state = job_state(native)
    if state is JobState.FAILED and (reason in KILLED or not started):
        return JobState.CANCELLED
    return state


def takes_work(status: str) -> bool:
    """Whether a host in this state is there to take jobs; a state that is not known says no."""
    return status in _OPEN
