"""The commands of LSF that the driver runs: pure builders of argv; every value is a word of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Final

import msgspec
from wnodes_batch.identity import Account
from wnodes_batch.tags import tag
from wnodes_engine.backend import Action, SlotRequest

from wnodes_lsf.config import Config
from wnodes_lsf.listing import DELIMITER
from wnodes_lsf.options import Options
from wnodes_lsf.words import amount

Argv = tuple[str, ...]

IDENTITY: Final[Argv] = ("lsid",)
PARAMETERS: Final[Argv] = ("bparams", "-l")
CLUSTERS: Final[Argv] = ("lsclusters", "-l")
QUEUES: Final[Argv] = ("bqueues", "-l")
HOSTS: Final[Argv] = ("bhosts", "-w")
MACHINES: Final[Argv] = ("lshosts", "-w")
EVERYBODY: Final[Argv] = ("-u", "all")
FINISHED: Final[Argv] = ("-d", "-u", "all")
EXPANDED: Final[Argv] = ("-X",)
"""Hosts by their own names, where the administrators list groups of them as one."""

MOST_HOSTS: Final = 512
"""So many hosts LSF lets a job name (`LSB_MAX_ASKED_HOSTS_NUMBER`)."""

_JOB_ENVIRONMENT: Final[Argv] = ("env", "-u", "TZ", "-u", "LC_ALL")
"""bsub hands its environment on to the job, which is to have the time zone of its own host."""

_WORDS: Final = {
    Action.CANCEL: "bkill",
    Action.REQUEUE: "brequeue",
    Action.SUSPEND: "bstop",
    Action.RESUME: "bresume",
    Action.HOLD: "bstop",
    Action.RELEASE: "bresume",
}


class Unplaceable(Exception):  # noqa: N818 - it says what is wrong with a slot
    """What a slot asks cannot be said to this LSF; the message says why."""


def listing(where: Sequence[str], fields: Iterable[str], ids: Iterable[str] = ()) -> Argv:
    """Jobs in JSON."""
    return ("bjobs", *where, "-o", " ".join(fields), "-json", *ids)


def delimited(
    where: Sequence[str], fields: Iterable[str], ids: Iterable[str] = (), by: str = DELIMITER
) -> Argv:
    """Jobs in lines."""
    return ("bjobs", *where, "-o", f"{' '.join(fields)} delimiter='{by}'", *ids)


def plainly(where: Sequence[str], ids: Iterable[str] = ()) -> Argv:
    """Jobs in short: it ends differently where there are none, and where nobody can tell."""
    return ("bjobs", *where, *ids)


def long(where: Sequence[str], ids: Iterable[str] = ()) -> Argv:
    """All about jobs, unformatted."""
    return ("bjobs", *where, "-UF", *ids)


def hosts(fields: Iterable[str]) -> Argv:
    """Hosts in JSON."""
    return ("bhosts", "-X", "-o", " ".join(fields), "-json")


def one_host(name: str) -> Argv:
    """One host in a line."""
    return ("bhosts", "-w", name)


def host_in_full(name: str) -> Argv:
    """One host with the comment of who closed it."""
    return ("bhosts", "-l", name)


def accounted(since: int, until: int) -> Argv:
    """What has ended in a time, by lsb.acct."""
    return ("bacct", "-l", "-u", "all", "-C", f"{_minute(since)},{_minute(until)}")


def remembered(since: int, until: int) -> Argv:
    """What has ended in a time, by all of lsb.events."""
    return ("bhist", "-l", "-n", "0", "-u", "all", "-C", f"{_minute(since)},{_minute(until)}")


def accounts_of(ids: Iterable[str]) -> tuple[Argv, Argv]:
    """How some jobs have ended, by lsb.acct and by all of lsb.events."""
    ids = tuple(ids)
    return ("bacct", "-l", "-u", "all", *ids), ("bhist", "-l", "-n", "0", "-u", "all", *ids)


def act(action: Action, ids: Iterable[str]) -> Argv:
    """Do one thing to jobs that were verified."""
    return (_WORDS[action], *ids)


def extend(id_: str, minutes: int) -> Argv:
    """Give a job a new limit, in minutes from its start."""
    return ("bmod", "-W", str(minutes), id_)


def close_host(name: str, reason: str) -> Argv:
    """Let a host take nothing new."""
    return ("badmin", "hclose", "-C", reason, name)


def open_host(name: str) -> Argv:
    """Take a host back."""
    return ("badmin", "hopen", name)


def as_job(argv: Argv) -> Argv:
    """The command that submits, so that its job does not inherit what was ours alone."""
    return (*_JOB_ENVIRONMENT, *argv)


def submit(
    slot: SlotRequest,
    submitted_at: int,
    who: Account,
    options: Options,
    config: Config,
    known: Iterable[str] = (),
) -> Argv:
    """Submit a slot, whose script comes on standard input. `known`: all hosts. Raises Unplaceable."""
    place = _place(slot, config, frozenset(known))
    minutes = _minutes(slot)
    home = options.workdir or (who.home if slot.user else "/")
    said: dict[str, str | None] = {
        "-J": tag(slot.key, submitted_at),
        "-q": slot.queue,
        "-P": slot.account,
        "-app": options.application,
        "-U": options.reservation,
        "-n": str(slot.cores * slot.count),
        "-W": str(minutes) if minutes is not None else None,
        "-m": " ".join(place.hosts) or None,
        "-R": _resources(slot, place, options, config) or None,
        "-gpu": _gpus(slot, place, config) or None,
        "-cwd": home if config.is_lsf else None,
        "-o": (options.output or f"{home.rstrip('/')}/lsf-%J.out") if slot.user else "/dev/null",
        "-L": "/bin/sh" if options.login and slot.user else None,
    }
    held = ("-H",) if slot.held else ()
    reruns = ("-r",) if slot.rerun else ("-rn",) if config.is_lsf else ()
    return (
        "bsub",
        *held,
        *reruns,
        *(word for option, value in said.items() if value for word in (option, value)),
    )


class _Place(msgspec.Struct, frozen=True):
    """Where a slot may run: `each` parts on a host (None: as it comes), or `spread` as said for each."""

    hosts: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    each: int | None = None
    spread: tuple[tuple[str, int], ...] = ()


def _place(slot: SlotRequest, config: Config, known: frozenset[str]) -> _Place:
    if slot.nodes:
        parts = {parts for _, parts in slot.nodes}
        names = tuple(node for node, _ in slot.nodes)
        most = max(parts)
        if len(parts) == 1 or (not config.is_lsf and -(-slot.count // most) == len(names)):
            if config.is_lsf and len(names) > 1:
                names = (f"{names[0]}!", *names[1:])  # the script runs on the first
            return _checked(_Place(names, each=most), config)
        if not config.is_lsf:
            raise Unplaceable(f"{slot.count} parts cannot be spread over {len(names)} hosts like this here")
        return _Place(spread=slot.nodes)
    each = 1 if slot.cores > 1 or slot.memory or slot.disk or slot.count == 1 else None
    if slot.allowed:
        names = tuple(name for name in slot.allowed if name not in slot.excluded)
        if not names:
            raise Unplaceable("all hosts that are allowed are excluded")
        if not config.is_lsf or len(names) <= MOST_HOSTS:
            return _Place(names, each=each)
        others = tuple(sorted(known - set(names)))
        if len(others) > MOST_HOSTS:  # some of those that are allowed, others for each job
            return _Place(tuple(sorted(Random(slot.key).sample(names, MOST_HOSTS))), each=each)  # noqa: S311
        return _excluding(others, each, config, known)
    return _excluding(slot.excluded, each, config, known)


def _excluding(names: tuple[str, ...], each: int | None, config: Config, known: frozenset[str]) -> _Place:
    if not names or config.is_lsf:
        if len(names) > MOST_HOSTS:
            raise Unplaceable(f"{len(names)} hosts cannot be excluded: LSF takes {MOST_HOSTS}")
        return _Place(excluded=names, each=each)
    if not (rest := tuple(sorted(known - set(names)))):
        raise Unplaceable("no host is left that is not excluded")
    return _Place(rest, each=each)


def _checked(place: _Place, config: Config) -> _Place:
    if config.is_lsf and len(place.hosts) > MOST_HOSTS:
        raise Unplaceable(f"a job cannot be pinned to {len(place.hosts)} hosts: LSF takes {MOST_HOSTS}")
    return place


def _resources(slot: SlotRequest, place: _Place, options: Options, config: Config) -> str:
    """The requirement: which hosts, how much of each, how many slots on each."""
    if place.spread:
        return " + ".join(
            f"{parts * slot.cores}*{{select[hname=='{node}']"
            f"{_usage(slot, parts, options, config)} span[hosts=1]}}"
            for node, parts in place.spread
        )
    select = " && ".join(f"hname!='{name}'" for name in place.excluded)
    sections = [f"select[{select}]" if select else "", _usage(slot, place.each or 1, options, config).strip()]
    if place.each is not None:
        alone = slot.count == place.each
        sections.append("span[hosts=1]" if alone else f"span[ptile={place.each * slot.cores}]")
    return " ".join(section for section in sections if section)


def _usage(slot: SlotRequest, parts: int, options: Options, config: Config) -> str:
    """What is reserved: on each host for so many parts, or for each task if the cluster reckons like that."""
    unit = None if config.is_lsf and options.memory_unit is None else config.unit(options.memory_unit)
    memory = -(-slot.memory // slot.cores) if config.per_task else slot.memory * parts
    disk = -(-slot.disk // slot.cores) if config.per_task else slot.disk * parts
    asked = [f"mem={amount(memory, unit)}"] if slot.memory else []
    asked += [f"tmp={amount(disk, unit)}"] if slot.disk else []
    return f" rusage[{':'.join(asked)}]" if asked else ""


def _gpus(slot: SlotRequest, place: _Place, config: Config) -> str:
    if not slot.gpus:
        return ""
    if not config.is_lsf:
        raise Unplaceable("this LSF has no GPUs to ask for")
    if place.spread:
        raise Unplaceable("GPUs cannot be asked for with different numbers of parts on each host")
    return f"num={slot.gpus * (place.each or 1)}"


def _minutes(slot: SlotRequest) -> int | None:
    """Whole minutes. What only holds slots ends by itself, and gets one more, not to be killed for it."""
    return None if slot.walltime is None else max(1, -(-slot.walltime // 60)) + (not slot.script)


def _minute(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y/%m/%d/%H:%M")
