"""Reading the long listings of `bjobs -UF`, `bhist -l` and `bacct -l`: what no other form tells everywhere.

They are lines that users can write into, by line breaks in the names of their jobs and directories. So a
block counts only where it begins exactly as a trusted listing says of this job, or is the only one of its id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from wnodes_lsf.words import Cores, hosts, kib, moment, number, run_limit, seconds

_BLOCK: Final = re.compile(r"^Job <([0-9]{1,10}(?:\[[0-9]{1,7}\])?)>, ", re.MULTILINE)
_RULE: Final = re.compile(r"^-{20,}\n", re.MULTILINE)
_WRAPPED: Final = "\n" + " " * 21
_EVENT: Final = re.compile(
    r"^([A-Z][a-z]{2} [A-Z][a-z]{2} +[0-9]{1,2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?: [0-9]{4})?): ?(.*)$",
    re.MULTILINE,
)
_HEADER: Final = re.compile(
    r"(?:Job Name <(?P<name>.*?)>, )?User <(?P<user>[^<>]*)>, Project <(?P<project>[^<>]*)>"
    r"(?:, Mail <[^<>]*>)?(?:, Status <(?P<status>[A-Z_]+)>)?(?:, Queue <(?P<queue>[^<>]*)>)?",
    re.DOTALL,
)
_ASKED: Final = re.compile(r", ([0-9]{1,7})(?:-[0-9]{1,7})? (?:Processors Requested|Task\(s\))")
_STARTED: Final = re.compile(
    r"(?:\[[0-9]+\],? )?(?:[Ss]tarted|[Dd]ispatched)(?: on| to| [0-9]+ Task\(s\) on Host\(s\))"
    r"(?: [0-9]+ Hosts/Processors)?((?: <[^<>]+>)+)"
    r"(?:, Allocated [0-9]+ Slot\(s\) on Host\(s\)((?: <[^<>]+>)+))?"
)
_NAMED: Final = re.compile(r"<([^<>]+)>")
_TO_QUEUE: Final = re.compile(r", to Queue <([^<>]+)>")
_ENDED: Final = re.compile(
    r"(Done successfully|Exited with exit code ([0-9]{1,3})|Exited by signal ([0-9]{1,3})|Exited"
    r"|Completed <(done|exit)>)"
)
_AGAIN: Final = re.compile(r"Pending: Job has been requeued|Pending: Migrating|requeued")
_CPU: Final = re.compile(r"The CPU time used is ([0-9.]+ second)")
_RUNLIMIT: Final = re.compile(r"^ RUNLIMIT *(?:\S.*)?\n *([0-9.]+ min(?: of \S+)?)", re.MULTILINE)
_RESOURCES: Final = re.compile(r"^ (?:Effective|Combined): (.*)$", re.MULTILINE)
_REQUESTED: Final = re.compile(r"Requested Resources <(.*?)>[,;]")
_LARGEST: Final = re.compile(r"MAX MEM: ([0-9.]+ [A-Z]?bytes)")
_TABLE: Final = re.compile(r"^ +CPU_T .*\n +(\S+) +(\S+) +(\S+) +(\S+) +(\S+) +(\S+) +(\S+)", re.MULTILINE)


class Block(msgspec.Struct, frozen=True):
    """All lines about one job, with those that were broken put together again."""

    id: str
    text: str


class Told(msgspec.Struct, frozen=True):
    """What a block tells. `hosts` are those of the last start, `ending` is its words, empty without one."""

    project: str = ""
    user: str = ""
    name: str = ""
    queue: str = ""
    status: str = ""
    submitted_at: int | None = None
    slots: int = 0
    started_at: int | None = None
    hosts: Cores = ()
    starts: int = 0
    ended_at: int | None = None
    ending: str = ""
    done: bool = False
    exit_status: int | None = None
    run_limit: int | None = None
    resources: str = ""
    cpu_seconds: int | None = None
    memory: int | None = None


def blocks(listing: str) -> list[Block]:
    """The blocks of a listing, in its order."""
    text = listing.replace(_WRAPPED, "")
    starts = list(_BLOCK.finditer(text))
    ends = [*(start.start() for start in starts[1:]), len(text)][: len(starts)]
    return [
        Block(start[1], _RULE.split(text[start.start() : end], maxsplit=1)[0])
        for start, end in zip(starts, ends, strict=True)
    ]


def by_id(found: Iterable[Block]) -> tuple[dict[str, Block], set[str]]:
    """The blocks by id, and the ids that more than one begins with: somebody may have written them."""
    single: dict[str, Block] = {}
    doubtful: set[str] = set()
    for block in found:
        if block.id in single:
            doubtful.add(block.id)
        single[block.id] = block
    return {id_: block for id_, block in single.items() if id_ not in doubtful}, doubtful


def belongs(block: Block, name: str, user: str) -> bool:
    """Whether a block begins as that of this job does."""
    rest = block.text[len(f"Job <{block.id}>, ") :]
    return rest.startswith((f"Job Name <{name}>, User <{user}>, Project <", f"User <{user}>, Project <"))


def read(block: Block, now: int, name: str | None = None) -> Told:
    """What a block tells; with the `name` that the job certainly has, nothing before its user can mislead."""
    rest = block.text[len(f"Job <{block.id}>, ") :]
    said: Mapping[str, str | None] = {}
    known = f"Job Name <{name}>, " if name is not None and rest.startswith(f"Job Name <{name}>, ") else ""
    header = rest.partition(", Command")[0]
    if (known or header.count("User <") == 1) and (matched := _HEADER.match(rest[len(known) :])):
        said = matched.groupdict()
    told = _events(_EVENT.findall(block.text), now)
    limit = _RUNLIMIT.search(block.text)
    resources = [text for text in _RESOURCES.findall(block.text) if text != "-"]
    requested = _REQUESTED.findall(block.text)
    largest, table = _LARGEST.search(block.text), _TABLE.search(block.text)
    memory = kib(largest[1]) if largest else kib(table[6]) if table else None
    return msgspec.structs.replace(
        told,
        project=said.get("project") or "",
        user=said.get("user") or "",
        name=(name if known else said.get("name")) or "",
        queue=said.get("queue") or told.queue,
        status=said.get("status") or "",
        run_limit=run_limit(limit[1]) if limit else None,
        resources=(resources or requested or [""])[-1],
        cpu_seconds=seconds(table[1]) if table and told.cpu_seconds is None else told.cpu_seconds,
        memory=-(-memory // 1024) if memory is not None else None,
    )


def _events(events: list[tuple[str, str]], now: int) -> Told:
    """What has happened to a job, of its dated lines; what a requeue has undone is not told."""
    told = Told()
    for when, text in events:
        at = moment(when, now)
        if at is None:
            continue
        if text.startswith("Submitted from host") and told.submitted_at is None:
            asked, queue = _ASKED.findall(text), _TO_QUEUE.search(text)
            told = msgspec.structs.replace(
                told,
                submitted_at=at,
                slots=number(asked[-1]) if asked else 1,
                queue=queue[1] if queue else "",
            )
        elif matched := _STARTED.match(text):
            told = msgspec.structs.replace(
                told, started_at=at, hosts=_hosts(matched[2] or matched[1]), starts=told.starts + 1
            )
        elif matched := _ENDED.match(text):
            told = msgspec.structs.replace(
                told,
                ended_at=at,
                ending=text,
                done=matched[1].startswith("Done") or matched[4] == "done",
                exit_status=_status(matched),
                cpu_seconds=_cpu(text),
            )
        elif _AGAIN.match(text):
            told = msgspec.structs.replace(
                told, started_at=None, hosts=(), ended_at=None, ending="", exit_status=None, cpu_seconds=None
            )
    return told


def _hosts(text: str) -> Cores:
    return hosts(_NAMED.findall(text))


def _status(matched: re.Match[str]) -> int | None:
    if matched[1].startswith("Done") or matched[4] == "done":
        return 0
    if matched[2]:
        return int(matched[2])
    return 128 + int(matched[3]) if matched[3] else None


def _cpu(text: str) -> int | None:
    matched = _CPU.search(text)
    return seconds(f"{matched[1]}s") if matched else None


def endings(listing: str, now: int) -> Iterator[tuple[str, Told, bool]]:
    """The jobs that a listing tells the end of: id, what is told, and whether it may not be theirs."""
    found = blocks(listing)
    _, doubtful = by_id(found)
    for block in found:
        told = read(block, now)
        if told.ended_at is not None:
            yield block.id, told, block.id in doubtful or not told.user
