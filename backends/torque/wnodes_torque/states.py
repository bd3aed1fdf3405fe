"""What the states of TORQUE and PBS mean: of jobs, and of nodes in combination."""

from __future__ import annotations

from typing import Final

from wnodes_engine.backend import JobState

_JOB_STATES: Final = {
    "Q": JobState.PENDING,
    "W": JobState.PENDING,  # until the time that was asked for
    "T": JobState.PENDING,  # on its way to another queue
    "B": JobState.PENDING,  # an array, whose jobs are shown one by one
    "H": JobState.HELD,
    "R": JobState.RUNNING,
    "S": JobState.SUSPENDED,
    "U": JobState.SUSPENDED,  # as its node is used by somebody at the console
    "E": JobState.ENDING,
}
_OVER: Final = frozenset({"C", "F", "X"})
"""Complete (TORQUE), finished, and expired, which only a job of an array is."""

_NOT_YET: Final = frozenset({"40", "41"})
"""Substates of a job that was sent to its node, and was not seen to run there."""

_DELETED: Final = "91"
"""PBS's substate of a job that ended because somebody deleted it."""

_SIGNAL: Final = 256

_TAKES_WORK: Final = frozenset({"free", "job-exclusive", "job-sharing", "job-busy"})
OFFLINE: Final = "offline"


def job_state(native: str, substate: str, exit_status: int | None, has_started: bool) -> JobState:
    """The state of a job that is shown like this; what is not known here is unknown."""
    if native in _OVER:
        if substate == _DELETED or (exit_status is None and not has_started):
            return JobState.CANCELLED
        return JobState.DONE if exit_status == 0 else JobState.FAILED
    state = _JOB_STATES.get(native, JobState.UNKNOWN)
    return JobState.STARTING if state is JobState.RUNNING and substate in _NOT_YET else state


def shell_status(native: int | None) -> int | None:
    """The exit status that a shell would tell.

    TORQUE adds 256 to a signal, PBS 128 or 256. Below 0 are the system's own reasons, such as -2 for a user
    who may not run jobs there: the job has no status then.
    """
    if native is None or native < 0:
        return None
    return 128 + native - _SIGNAL if native >= _SIGNAL else native


def takes_work(native: str, power: str = "Running") -> bool:
    """Whether a node in a state such as `down,offline` takes new jobs; a word that is not known says no."""
    return power == "Running" and all(word.strip() in _TAKES_WORK for word in native.split(","))


def is_offline(native: str) -> bool:
    """Whether a node takes nothing new because somebody said so."""
    return OFFLINE in (word.strip() for word in native.split(","))
