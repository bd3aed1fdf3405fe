"""Whether a server is set up so that what is promised holds: findings from its attributes, pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from wnodes_engine.backend import Health

from wnodes_torque.config import Config
from wnodes_torque.options import Dialect, Options

_SKEW: Final = 5  # seconds
_QUARTER: Final = 900  # seconds: no time zone is nearer to another
_SHORTEST_MEMORY: Final = 60  # seconds


class Looked(msgspec.Struct, frozen=True):
    """What was found beside the server's attributes.

    `own` is the daemon's user, `now` its clock, `log` where the accounting log is read (empty: nowhere),
    `log_fails` why it cannot be; `unread` counts its lines that are none, `doubtful` those that told the end
    of a job of ours that runs, `skew` is by how many seconds its local times are off. `shown` says how many
    nodes tell their memory, of how many that are up.
    """

    own: str
    submission: Health
    privileged: bool
    now: int
    log: str = ""
    log_fails: str = ""
    unread: int = 0
    doubtful: int = 0
    skew: int = 0
    shown: tuple[int, int] = (0, 0)


def findings(config: Config, options: Options, looked: Looked) -> tuple[Health, ...]:
    """What was looked at, in the order of its weight."""
    found = (
        _version(config),
        _clock(config, looked),
        _rights(config, looked),
        looked.submission,
        _sight(config, looked),
        _accounting(config, looked),
        _lines(looked),
        _zone(looked),
        _memory(config, options, looked),
        _scheduling(config),
        _times(options),
    )
    return tuple(health for health in found if health is not None)


def unreachable(said: str) -> tuple[Health, ...]:
    """The one finding of a server that does not answer."""
    mend = "start pbs_server (and trqauthd, for TORQUE), or name the server's host as the option `server`"
    return (Health("server", False, said, mend),)


def _version(config: Config) -> Health:
    name = "TORQUE" if config.dialect is Dialect.TORQUE else "PBS"
    # a TORQUE that was built from its repository calls itself `master`
    return Health("version", True, f"{name} {config.version or 'of no known version'}")


def _clock(config: Config, looked: Looked) -> Health:
    if config.now is None:
        return Health("clock", True, "the server does not tell its time")
    skew = config.now - looked.now
    found = f"the server's clock is {skew:+d} s from ours"
    return Health("clock", abs(skew) <= _SKEW, found, "synchronise both machines, by NTP or chrony")


def _rights(config: Config, looked: Looked) -> Health:
    own = looked.own
    may = "may" if looked.privileged else "may not"
    found = f"{own} {may} act on the jobs of others, suspend, run anew, and drain nodes"
    who = config.get("managers") or "nobody"
    mend = f"qmgr -c 'set server managers += {own}@HOST' (now: {who})"
    return Health("rights", looked.privileged, found, mend)


def by_itself(config: Config, own: str, privileged: bool) -> Health:
    """The finding where the server is to submit for others by itself, by `qsub -P`."""
    if config.dialect is Dialect.PBS:
        found = "PBS cannot submit jobs for others by itself"
        return Health("submission", False, found, "submit_as: sudo or runuser")
    found = f"qsub -P is for managers of the server, and {own} {'is' if privileged else 'is not'} one"
    mend = "submit_as: sudo, or make the daemon's user a manager of the server"
    return Health("submission", privileged, found, mend)


def _sight(config: Config, looked: Looked) -> Health:
    if looked.privileged or config.is_on("query_other_jobs"):
        return Health("sight", True, "all jobs are shown to us")
    mend = "qmgr -c 'set server query_other_jobs = true'"
    return Health("sight", False, "the jobs of others are not shown to us", mend)


def _accounting(config: Config, looked: Looked) -> Health:
    if looked.log_fails:
        mend = "let the daemon's user read it, or leave the option `accounting` out"
        return Health("accounting", False, looked.log_fails, mend)
    if looked.log:
        return Health("accounting", True, f"the accounting log in {looked.log} is read")
    kept = config.remembers
    found = f"no accounting log can be read: how a job has ended is seen for {kept} s only"
    setting = "keep_completed = 600" if config.dialect is Dialect.TORQUE else "job_history_enable = true"
    mend = "name the log's folder as the option `accounting`, and let the daemon's user read it"
    if kept < _SHORTEST_MEMORY:
        mend += f"; or qmgr -c 'set server {setting}'"
    return Health("accounting", False, found, mend)


def _lines(looked: Looked) -> Health | None:
    if not looked.unread and not looked.doubtful:
        return None
    found = f"{looked.unread} lines of the accounting log cannot be read"
    if looked.doubtful:
        found += f", {looked.doubtful} told the end of a job of ours that is alive"
    return Health("accounting log", False, found, "look who writes there, and whether its disk is well")


def _zone(looked: Looked) -> Health | None:
    if abs(looked.skew) < _QUARTER:
        return None
    found = f"the local times of the accounting log are {looked.skew:+d} s from when jobs have ended"
    return Health("time zone", False, found, "name the server's time zone as the option `timezone`")


def _memory(config: Config, options: Options, looked: Looked) -> Health:
    told, up = looked.shown
    if options.memory is False or (options.memory is None and config.dialect is Dialect.TORQUE):
        found = "the scheduler is not known to keep to the memory that jobs ask for"
        mend = "memory: true, if it does (Maui and Moab do, pbs_sched does not); without it, no baits"
        return Health("memory", False, found, mend)
    if told < up:
        found = f"{up - told} of {up} nodes that are up do not tell their memory"
        return Health("memory", False, found, "see that pbs_mom reports physmem, or set the node's mem")
    return Health("memory", True, "the scheduler keeps to the memory that jobs ask for")


def _scheduling(config: Config) -> Health:
    if config.is_on("scheduling"):
        return Health("scheduling", True, "the server has its scheduler start jobs")
    mend = "qmgr -c 'set server scheduling = true', unless Maui or Moab starts them by themselves"
    return Health("scheduling", False, "the server starts no jobs", mend)


def _times(options: Options) -> Health:
    found = (
        f"a command is given up after {options.limit:g} s; a submission that was may have been taken in: "
        f"daemon.settle must not be shorter than the server may hang"
    )
    return Health("submissions", True, found)


def shown_memory(nodes: Sequence[tuple[bool, int]]) -> tuple[int, int]:
    """How many nodes tell their memory, and how many are up, of all that are up."""
    up = [memory for is_up, memory in nodes if is_up]
    return sum(memory > 0 for memory in up), len(up)
