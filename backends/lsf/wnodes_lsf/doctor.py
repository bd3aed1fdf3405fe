"""Whether a cluster is set up so that what is promised holds: findings from its settings, pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from wnodes_engine.backend import Health

from wnodes_lsf.config import Config, Queue
from wnodes_lsf.options import Options

_SHORTEST_MEMORY: Final = 600  # seconds


class Seen(msgspec.Struct, frozen=True):
    """What the driver knows beside the settings."""

    own: str
    submission: Health
    privileged: bool
    form: str
    tells_all: bool
    readable: bool | None
    broken: int
    lost: bool


def findings(config: Config, queues: Sequence[Queue], options: Options, seen: Seen) -> tuple[Health, ...]:
    """What was looked at, in the order of its weight."""
    return (
        _version(config),
        _rights(seen),
        seen.submission,
        _sight(config, seen),
        _listing(seen),
        _accounting(config, options, seen),
        _memory(config, options),
        _limits(config),
        _extending(config),
        _reruns(config, queues),
        _post_exec(queues),
    )


def unreachable(said: str) -> tuple[Health, ...]:
    """The one finding of a cluster that does not answer."""
    mend = "start lim and mbatchd, or say where LSF is by the options `envdir`, `bindir` and `serverdir`"
    return (Health("daemons", False, said, mend),)


def _version(config: Config) -> Health:
    found = f"{config.product or 'no known product'}, cluster {config.cluster or 'without a name'}"
    if config.is_lsf:
        return Health("version", True, found)
    return Health(
        "version", True, f"{found}: not LSF 10.1, so hosts are named one by one, and there are no GPUs"
    )


def _rights(seen: Seen) -> Health:
    found = f"{seen.own} {'may' if seen.privileged else 'may not'} act on the jobs of others and close hosts"
    mend = f"make {seen.own} an administrator of the cluster (lsf.cluster, ClusterAdmins)"
    return Health("rights", seen.privileged, found, mend)


def _sight(config: Config, seen: Seen) -> Health:
    level = config.parameters.get("SECURE_JOB_INFO_LEVEL", "0")
    if level == "0" or seen.privileged:
        return Health("sight", True, "all jobs are shown to us")
    found = f"SECURE_JOB_INFO_LEVEL is {level}: jobs of others may be hidden from us"
    return Health("sight", False, found, f"make {seen.own} an administrator, or SECURE_JOB_INFO_LEVEL=0")


def _listing(seen: Seen) -> Health:
    found = f"jobs are listed as {seen.form}"
    if not seen.tells_all:
        found += ", which does not tell everything here: long listings are read beside it"
    return Health("listing", True, found)


def _accounting(config: Config, options: Options, seen: Seen) -> Health:
    if options.accounting is None:
        well = config.remembers >= _SHORTEST_MEMORY
        found = f"bjobs tells for {config.remembers} s how a job has ended; bacct or bhist is asked beyond"
        return Health(
            "accounting", well, found, "CLEAN_PERIOD=3600 in lsb.params, or name lsb.acct as `accounting`"
        )
    if not seen.readable:
        return Health(
            "accounting", False, f"{options.accounting} cannot be read", "let the daemon's user read it"
        )
    if seen.broken or seen.lost:
        found = f"{options.accounting}: {seen.broken} records could not be read"
        found += "; it was cut off or replaced while we read it" if seen.lost else ""
        return Health("accounting", False, found, "let LSF alone rotate it (ACCT_ARCHIVE_AGE in lsb.params)")
    return Health("accounting", True, f"endings are read from {options.accounting}")


def _memory(config: Config, options: Options) -> Health:
    each = "each task" if config.per_task else "each host"
    unit = (
        "with its unit"
        if config.is_lsf and options.memory_unit is None
        else f"in {config.unit(options.memory_unit)}"
    )
    return Health(
        "memory",
        True,
        f"memory is reserved for {each}, and asked for {unit}; jobs that ask for none hold none",
    )


def _limits(config: Config) -> Health:
    if config.absolute_limits is not False:
        return Health("limits", True, "run limits are told apart by no host, as far as this cluster says")
    found = "ABS_RUNLIMIT is N: an hour is longer on a slow host, and shorter on a fast one"
    return Health("limits", False, found, "ABS_RUNLIMIT=Y in lsb.params")


def _extending(config: Config) -> Health:
    if config.extends:
        return Health("extending", True, "the limit of a job that runs can be changed")
    found = "LSB_MOD_ALL_JOBS is not set, or lsf.conf cannot be read: no job that runs can be extended"
    return Health("extending", False, found, "LSB_MOD_ALL_JOBS=Y in lsf.conf, and badmin mbdrestart")


def _reruns(config: Config, queues: Sequence[Queue]) -> Health:
    names = [queue.name for queue in queues if queue.reruns]
    if not names or config.is_lsf:
        return Health("reruns", True, "no job is started anew unless it was submitted like that")
    found = f"jobs are started anew after a failure in {', '.join(names)}, whether they want it or not"
    return Health("reruns", False, found, "RERUNNABLE=no for the queues that carry baits")


def _post_exec(queues: Sequence[Queue]) -> Health:
    names = [queue.name for queue in queues if queue.has_post_exec]
    if names:
        return Health("post-exec", True, f"something runs after each job in {', '.join(names)}")
    found = (
        "no queue has a POST_EXEC: the slots of a bait that is lost are used again at once; may over-commit"
    )
    return Health(
        "post-exec", False, found, "POST_EXEC, with JOB_INCLUDE_POSTPROC=Y, that ends a bait's machines"
    )
