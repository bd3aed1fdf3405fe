"""Whether a cluster is set up so that what is promised holds: findings from its settings, pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from wnodes_engine.backend import Health

from wnodes_slurm.config import Config

OLDEST: Final = (22, 5)
_SKEW: Final = 5  # seconds
_SHORTEST_MEMORY: Final = 60  # seconds


def findings(
    config: Config,
    partitions: Sequence[dict[str, str]],
    *,
    own: str,
    submission: Health,
    privileged: bool,
    now: int,
) -> tuple[Health, ...]:
    """What was looked at, in the order of its weight. `own` is the daemon's user, `now` its clock."""
    return (
        _version(config),
        _clock(config, now),
        _rights(config, own, privileged),
        submission,
        _sight(config, privileged),
        _accounting(config),
        _memory(config),
        _whole_nodes(partitions),
        _limits(config),
        _epilog(config),
        _returning(config),
        Health(
            "credentials",
            True,
            f"a submission may be taken in up to {config.credentials_live} s after it was given up: "
            f"daemon.settle must not be shorter",
        ),
    )


def unreachable(said: str) -> tuple[Health, ...]:
    """The one finding of a cluster that does not answer."""
    mend = "start slurmctld and munged, or name the cluster's slurm.conf as the option `conf`"
    return (Health("controller", False, said, mend),)


def _version(config: Config) -> Health:
    found = (
        f"Slurm {config.get('SLURM_VERSION') or 'of no known version'}, cluster {config.get('ClusterName')}"
    )
    return Health("version", config.version >= OLDEST, found, "install Slurm 22.05 or newer")


def _clock(config: Config, now: int) -> Health:
    if config.taken_at is None:
        return Health("clock", True, "the controller does not tell its time")
    skew = config.taken_at - now
    found = f"the controller's clock is {skew:+d} s from ours"
    return Health("clock", abs(skew) <= _SKEW, found, "synchronise both machines, by NTP or chrony")


def _rights(config: Config, own: str, privileged: bool) -> Health:
    found = f"{own} {'may' if privileged else 'may not'} act on the jobs of others and drain nodes"
    mend = f"sacctmgr modify user {own} set adminlevel=operator, or run the daemon as {config.controller}"
    return Health("rights", privileged, found, mend)


def _sight(config: Config, privileged: bool) -> Health:
    hidden = {"jobs", "nodes", "usage"} & set(config.get("PrivateData").replace(" ", "").split(","))
    if not hidden or privileged:
        return Health("sight", True, "all jobs and nodes are shown to us")
    found = f"PrivateData hides {', '.join(sorted(hidden))} of others from us"
    return Health("sight", False, found, "give the daemon's user adminlevel=operator")


def _accounting(config: Config) -> Health:
    if config.has_accounting:
        return Health("accounting", True, "slurmdbd keeps how jobs have ended")
    well = config.remembers >= _SHORTEST_MEMORY
    found = (
        f"there is no slurmdbd: how a job has ended is seen for {config.remembers} s only, and never after "
        "the controller has lost its memory"
    )
    return Health(
        "accounting", False, found, "set up slurmdbd" if well else "set up slurmdbd, or MinJobAge=300"
    )


def _memory(config: Config) -> Health:
    if not config.tracks_memory:
        found = f"{config.get('SelectType')} with {config.get('SelectTypeParameters')} does not track memory"
        return Health("memory", False, found, "SelectTypeParameters=CR_Core_Memory; without it, no baits")
    default = config.get("DefMemPerCPU") or config.get("DefMemPerNode") or config.get("DefMemPerGPU")
    if not default or default == "UNLIMITED":
        found = "memory is tracked, and a job that asks for none gets all of its node"
        return Health("memory", False, found, "set DefMemPerCPU")
    return Health("memory", True, f"memory is tracked; a job that asks for none gets {default} MiB a core")


def _whole_nodes(partitions: Iterable[dict[str, str]]) -> Health:
    whole = [each["PartitionName"] for each in partitions if each.get("OverSubscribe") == "EXCLUSIVE"]
    if whole:
        found = f"a job of one core holds a whole node in {', '.join(whole)}"
        return Health("sharing", False, found, "OverSubscribe=NO for the partitions that we use")
    return Health("sharing", True, "jobs share nodes")


def _limits(config: Config) -> Health:
    enforced = config.get("EnforcePartLimits")
    found = f"EnforcePartLimits is {enforced or 'NO'}"
    if enforced in {"ALL", "ANY", "YES"}:
        return Health("limits", True, found)
    found += ": a job that can never run is taken in, and pends for ever"
    return Health("limits", False, found, "EnforcePartLimits=ALL")


def _epilog(config: Config) -> Health:
    if epilog := config.get("Epilog"):
        return Health("epilog", True, f"an epilog holds the cores until it is done: {epilog}")
    found = "there is no epilog: the cores of a bait that is lost are used again at once"
    if config.preempts:
        found += f", and {config.get('PreemptType')} ends jobs"
    return Health(
        "epilog", False, f"{found}; may over-commit", "set up the epilog that ends a bait's machines"
    )


def _returning(config: Config) -> Health:
    returns = config.get("ReturnToService") in {"1", "2"}
    found = f"ReturnToService is {config.get('ReturnToService') or '0'}"
    if not returns:
        return Health("returning nodes", True, found)
    found += ": a node that was lost takes new jobs within a second of its return"
    return Health("returning nodes", False, found, "ReturnToService=0, if the nodes also carry machines")
