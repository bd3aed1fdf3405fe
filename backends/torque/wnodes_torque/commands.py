"""The commands of TORQUE and PBS that the driver runs: pure builders of argv.

Every value is a word of its own after its option, and none begins with `-`; names of nodes, queues, users and
accounts hold nothing that either system reads as more than a name. Where a site has a submit filter, TORQUE's
qsub puts its own words into a shell's line: no word has anything in it that a shell would take for more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from wnodes_batch.identity import Account, Means
from wnodes_batch.tags import tag
from wnodes_engine.backend import Action, JobRef, NodeAction, SlotRequest

from wnodes_torque.options import Dialect, Options
from wnodes_torque.script import prefix

Argv = tuple[str, ...]

NODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
QUEUE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,63}")
ACCOUNT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:,/@+=-]{0,254}")
FOLDER: Final = re.compile(r"(?:/[A-Za-z0-9_.@+=-]+)*/?")
JOB: Final = re.compile(r"[0-9]{1,12}(?:\[[0-9]{0,9}\])?\.[A-Za-z0-9][A-Za-z0-9._-]{0,254}")

VERSION: Final[Argv] = ("qstat", "--version")
_JSON: Final = ("-F", "json")
_ACTIONS: Final[dict[Action, Argv]] = {
    Action.CANCEL: ("qdel",),
    Action.REQUEUE: ("qrerun",),
    Action.SUSPEND: ("qsig", "-s", "suspend"),
    Action.RESUME: ("qsig", "-s", "resume"),
    Action.HOLD: ("qhold", "-h", "u"),
    Action.RELEASE: ("qrls", "-h", "u"),
}


def jobs(dialect: Dialect) -> Argv:
    """All jobs, those of arrays one by one; TORQUE shows those that ended lately too."""
    return ("qstat", "-t", "-x") if dialect is Dialect.TORQUE else ("qstat", "-t", "-f", *_JSON)


def some_jobs(dialect: Dialect, ids: Iterable[str]) -> Argv:
    """The jobs with these ids, those that have ended too."""
    return ("qstat", "-x", *ids) if dialect is Dialect.TORQUE else ("qstat", "-x", "-f", *_JSON, *ids)


def ended(since: int) -> Argv:
    """The ids of the jobs that PBS remembers and that changed last after a time; our commands run in UTC."""
    at = datetime.fromtimestamp(since, UTC).strftime("%Y%m%d%H%M.%S")
    return ("qselect", "-x", "-s", "FX", f"-tm.ge.{at}")


def nodes(dialect: Dialect, *names: str) -> Argv:
    """All nodes, or these."""
    if dialect is Dialect.TORQUE:
        return ("pbsnodes", "-x", *names)
    return ("pbsnodes", *_JSON, *names) if names else ("pbsnodes", "-a", *_JSON)


def server(dialect: Dialect) -> Argv:
    """The server's attributes."""
    return ("qstat", "-B", "-f", "-1") if dialect is Dialect.TORQUE else ("qstat", "-B", "-f", *_JSON)


def act(action: Action, refs: Sequence[JobRef], walltime: int | None = None) -> Argv:
    """Do one thing to jobs that were verified. `walltime` belongs to `EXTEND`, in seconds."""
    argv = ("qalter", "-l", f"walltime={walltime}") if action is Action.EXTEND else _ACTIONS[action]
    return (*argv, *(ref.id for ref in refs))


def set_node(dialect: Dialect, node: str, action: NodeAction, note: str) -> Argv:
    """Let a node take nothing new, or take it back; the note says why it was closed, and goes with that."""
    drain = action is NodeAction.DRAIN
    if dialect is Dialect.TORQUE:  # -r would leave a node down that is up
        return ("pbsnodes", "-o" if drain else "-c", "-N", note if drain else "", node)
    return ("pbsnodes", "-o" if drain else "-r", "-C", note if drain else "", node)


def submit(
    dialect: Dialect,
    slot: SlotRequest,
    submitted_at: int,
    who: Account,
    options: Options,
    places: Sequence[tuple[str, int]],
) -> Argv:
    """Submit a slot, whose script comes on standard input, its parts on the nodes that are named."""
    name = tag(slot.key, submitted_at)
    output = f"{folder_of(who, options).rstrip('/')}/{name}.out" if slot.user else "/dev/null"
    argv: Argv = ("qsub", *(("-h",) if slot.held else ()), "-N", name, "-C", prefix(slot, submitted_at))
    argv += ("-r", "y" if slot.rerun else "n", "-m", "n", "-S", "/bin/sh", "-j", "oe", "-o", output)
    for resources in _torque(slot, places) if dialect is Dialect.TORQUE else _pbs(slot, places):
        argv += ("-l", resources)
    if slot.queue:
        argv += ("-q", slot.queue)
    if slot.account:
        argv += ("-A", slot.account)
    if options.submit_as is Means.UID:
        argv += ("-P", who.name)
    return argv


def folder_of(who: Account, options: Options) -> str:
    """Where the jobs of somebody write to."""
    return options.output or who.home


def _torque(slot: SlotRequest, places: Sequence[tuple[str, int]]) -> Iterable[str]:
    gpus = f":gpus={slot.gpus}" if slot.gpus else ""
    if places:
        parts = (
            f"{node}:ppn={many * slot.cores}{f':gpus={many * slot.gpus}' if slot.gpus else ''}"
            for node, many in places
        )
        yield f"nodes={'+'.join(parts)}"
    else:
        yield f"nodes={slot.count}:ppn={slot.cores}{gpus}"
    if slot.memory:
        yield f"mem={slot.memory * slot.count}mb"
    if slot.disk:
        yield f"file={slot.disk * slot.count}mb"
    yield from _walltime(slot)


def _pbs(slot: SlotRequest, places: Sequence[tuple[str, int]]) -> Iterable[str]:
    each = f"ncpus={slot.cores}"
    each += f":mem={slot.memory}mb" if slot.memory else ""
    each += f":ngpus={slot.gpus}" if slot.gpus else ""
    chunks = [f"{many}:{each}:vnode={node}" for node, many in places] or [f"{slot.count}:{each}"]
    yield f"select={'+'.join(chunks)}"
    yield "place=free"
    yield from _walltime(slot)


def _walltime(slot: SlotRequest) -> Iterable[str]:
    """What only holds cores ends by itself, and gets a minute more, not to be killed for it."""
    if slot.walltime is not None:
        yield f"walltime={slot.walltime + (0 if slot.script else 60)}"
