"""The commands of Slurm that the driver runs: pure builders of argv; every value stands after its `=`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from wnodes_batch.hostlist import compress
from wnodes_batch.identity import Account, Means
from wnodes_batch.tags import tag
from wnodes_engine.backend import Action, JobRef, SlotRequest

from wnodes_slurm import accounting, jobs
from wnodes_slurm.options import Options
from wnodes_slurm.states import ENDED_NAMES

Argv = tuple[str, ...]

NODES: Final[Argv] = ("scontrol", "--oneliner", "show", "node")
CONFIG: Final[Argv] = ("scontrol", "show", "config")
PING: Final[Argv] = ("scontrol", "ping")
PARTITIONS: Final[Argv] = ("scontrol", "--oneliner", "show", "partition")
_LISTING: Final[Argv] = ("squeue", "--noheader", "--all", "--states=all")
_RECORDS: Final[Argv] = (
    "sacct",
    "--noheader",
    "--allusers",
    "--duplicates",
    f"--format={accounting.FORMAT}",
)
_WORDS: Final = {
    Action.REQUEUE: "requeue",
    Action.SUSPEND: "suspend",
    Action.RESUME: "resume",
    Action.HOLD: "hold",
    Action.RELEASE: "release",
}


def listing(ids: Iterable[str] = (), users: Iterable[str] = ()) -> Argv:
    """All jobs, those with these ids, or those of these users."""
    argv = (*_LISTING, f"--Format={jobs.FORMAT}")
    if ids := tuple(ids):
        argv += (f"--jobs={','.join(ids)}",)
    if users := tuple(users):
        argv += (f"--user={','.join(users)}",)
    return argv


def node_lists(ids: Iterable[str]) -> Argv:
    """The nodes of some jobs, however long their lists are."""
    return (*_LISTING, f"--jobs={','.join(ids)}", "--format=%i|%N")


def one_node(name: str) -> Argv:
    """One node."""
    return (*NODES, name)


def endings(since: str, until: str) -> Argv:
    """What has ended in a time, steps and repeated ids too; times as `2026-11-26T02:00:00`."""
    return (*_RECORDS, f"--starttime={since}", f"--endtime={until}", f"--state={ENDED_NAMES}")


def records(ids: Iterable[str]) -> Argv:
    """All records that accounting has of some jobs, of those that had these ids before, too."""
    return (*_RECORDS, f"--jobs={','.join(ids)}")


def rights(user: str) -> Argv:
    """What a user may do in accounting."""
    return ("sacctmgr", "--noheader", "--parsable2", "show", "user", user, "format=adminlevel")


def act(action: Action, refs: Sequence[JobRef], minutes: int | None = None) -> Argv:
    """Do one thing to jobs that were verified. `minutes` is the new limit of `EXTEND`, None is none."""
    ids = [ref.id for ref in refs]
    if action is Action.CANCEL:
        return ("scancel", *ids)
    if action is Action.EXTEND:
        limit = "UNLIMITED" if minutes is None else str(minutes)
        return ("scontrol", "update", f"jobid={','.join(ids)}", f"timelimit={limit}")
    return ("scontrol", _WORDS[action], ",".join(ids))


def close_node(name: str, reason: str) -> Argv:
    """Let a node take nothing new."""
    return ("scontrol", "update", f"nodename={name}", "state=drain", f"reason={reason}")


def open_node(name: str) -> Argv:
    """Take a node back, without saying anything of why it may be down."""
    return ("scontrol", "update", f"nodename={name}", "state=undrain")


def submit(
    slot: SlotRequest, submitted_at: int, who: Account, options: Options, known: Iterable[str] = ()
) -> Argv:
    """Submit a slot, whose script comes on standard input. `known`: all nodes, if only some are allowed."""
    bait = not slot.user
    excluded = set(slot.excluded) | (set(known) - set(slot.allowed) if slot.allowed else set())
    said = {
        "job-name": tag(slot.key, submitted_at),
        "comment": slot.name,
        "uid": who.name if options.submit_as is Means.UID else None,
        "gid": str(who.gid) if options.submit_as is Means.UID else None,
        "partition": slot.queue,
        "account": slot.account,
        "qos": options.qos,
        "reservation": options.reservation,
        "time": _limit(slot),
        "chdir": options.workdir or (who.home if not bait else "/"),
        "output": "/dev/null" if bait else options.output,
        "export": "NONE" if options.login and not bait else "NIL",
        "exclude": compress(excluded) if excluded else None,
        **_sizes(slot),
    }
    flags = ("--parsable", "--ignore-pbs", "--requeue" if slot.rerun else "--no-requeue")
    held = ("--hold",) if slot.held else ()
    return ("sbatch", *flags, *held, *(f"--{name}={value}" for name, value in said.items() if value))


def _limit(slot: SlotRequest) -> str:
    """Whole minutes. What only holds cores ends by itself, and gets one more, not to be killed for it."""
    if slot.walltime is None:
        return "UNLIMITED"
    return str(max(1, -(-slot.walltime // 60)) + (not slot.script))


def _sizes(slot: SlotRequest) -> dict[str, str | None]:
    """How many parts, on how many nodes, with what each."""
    said: dict[str, str | None] = {
        "ntasks": str(slot.count),
        "cpus-per-task": str(slot.cores),
        "tmp": f"{slot.disk}M" if slot.disk else None,
    }
    if slot.nodes:
        said["nodes"] = str(len(slot.nodes))
        said["nodelist"] = compress(node for node, _ in slot.nodes)
        parts = {parts for _, parts in slot.nodes}
        if len(parts) == 1:  # else Slurm spreads them over these nodes as it likes
            said["ntasks-per-node"] = str(parts.pop())
    elif slot.count == 1:
        said["nodes"] = "1"
    if slot.count == 1:
        said["mem"] = f"{slot.memory}M" if slot.memory else None
        said["gres"] = f"gpu:{slot.gpus}" if slot.gpus else None
    else:
        said["mem-per-cpu"] = f"{-(-slot.memory // slot.cores)}M" if slot.memory else None
        said["gpus-per-task"] = str(slot.gpus) if slot.gpus else None
    return said
