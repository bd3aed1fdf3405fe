"""Reading the long listings of `bjobs -UF`, `bhist -l` and `bacct -l`: what no other form tells everywhere.

They are lines that users can write into, by line breaks in the names of their jobs and directories. So a
block counts only where it begins exactly as a trusted listing says of this job, or is the only one of its id.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from sys import intern
from typing import Any, Final

import msgspec

from wnodes_lsf.words import Cores, hosts, kib, moment, number, run_limit, seconds

_BLOCK: Final = re.compile(rb"Job <([0-9]{1,10}(?:\[[0-9]{1,7}\])?)>, ")
_RULE: Final = re.compile(rb"-{20,}\n")
_WRAPPED: Final = b"\n" + b" " * 21
_EVENT: Final = re.compile(
    r"([A-Z][a-z]{2} [A-Z][a-z]{2} +[0-9]{1,2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?: [0-9]{4})?): ?(.*)"
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
_RUNLIMIT: Final = re.compile(r" RUNLIMIT *(?:\S.*)?\n *([0-9.]+ min(?: of \S+)?)")
_RESOURCES: Final = re.compile(r" (?:Effective|Combined): (.*)")
_REQUESTED: Final = re.compile(r"Requested Resources <(.*?)>[,;]")
_TABLES: Final = "\n SCHEDULING PARAMETERS:"
_LARGEST: Final = re.compile(r"MAX MEM: ([0-9.]+ [A-Z]?bytes)")
_TABLE: Final = re.compile(r" +CPU_T .*\n +(\S+) +(\S+) +(\S+) +(\S+) +(\S+) +(\S+) +(\S+)")


class Block(msgspec.Struct, frozen=True, gc=False):
    """All lines about one job, with those that were broken put together again."""

    id: str
    text: str


class Told(msgspec.Struct, frozen=True, gc=False):
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


def blocks(listing: bytes) -> Iterator[Block]:
    """The blocks of a listing, in its order; a large one is cut up as it is read, not all at once."""
    start = 0 if listing.startswith(b"Job <") else listing.find(b"\nJob <") + 1 or -1
    while start >= 0:
        following = listing.find(b"\nJob <", start)
        while following >= 0 and _BLOCK.match(listing, following + 1) is None:
            following = listing.find(b"\nJob <", following + 1)
        if matched := _BLOCK.match(listing, start):
            text = listing[start : following if following >= 0 else len(listing)]
            ends = text.find(b"\n" + b"-" * 20)
            while ends >= 0 and _RULE.match(text, ends + 1) is None:
                ends = text.find(b"\n" + b"-" * 20, ends + 1)
            text = text[: ends + 1] if ends >= 0 else text
            yield Block(matched[1].decode(), text.replace(_WRAPPED, b"").decode("utf-8", "replace"))
        start = following + 1 if following >= 0 else -1


def told_of(
    listing: bytes, known: Mapping[str, tuple[str, str]], now: int
) -> tuple[dict[str, Told], set[str]]:
    """What is told of these jobs, whose names and users are `known` by id; and of which it is not certain.

    More than one block begins with the id of each of those: somebody may have written it.
    """
    told: dict[str, Told] = {}
    seen: set[str] = set()
    doubtful: set[str] = set()
    for block in blocks(listing):
        if block.id in seen:
            doubtful.add(block.id)
            told.pop(block.id, None)
        elif (whose := known.get(block.id)) is not None and belongs(block, *whose):
            told[block.id] = read(block, now, whose[0])
        seen.add(block.id)
    return told, doubtful & known.keys()


def belongs(block: Block, name: str, user: str) -> bool:
    """Whether a block begins as that of this job does."""
    rest = block.text[len(f"Job <{block.id}>, ") :]
    return rest.startswith((f"Job Name <{name}>, User <{user}>, Project <", f"User <{user}>, Project <"))


def read(block: Block, now: int, name: str | None = None) -> Told:
    """What a block tells; with the `name` that the job certainly has, nothing before its user can mislead."""
    text, rest = block.text, block.text[len(f"Job <{block.id}>, ") :]
    said: Mapping[str, str | None] = {}
    known = f"Job Name <{name}>, " if name is not None and rest.startswith(f"Job Name <{name}>, ") else ""
    header = rest.partition(", Command")[0]
    if (known or header.count("User <") == 1) and (matched := _HEADER.match(rest[len(known) :])):
        said = matched.groupdict()
    # what comes after the tables is the same for many jobs, and tells nothing but what they ask for
    before, tables, after = text.rpartition(_TABLES)
    lines = (before if tables else text).split("\n")
    dated = (_EVENT.fullmatch(line) for line in lines if line[3:4] == line[7:8] == " ")
    told = _events([(event[1], event[2]) for event in dated if event is not None], now)
    limit = _after(_RUNLIMIT, text, "\n RUNLIMIT")
    resources = (tables and _resources(after)) or _resources(text)
    requested = _REQUESTED.findall(text) if not resources else []
    largest = _LARGEST.search(text) if "MAX MEM" in text else None
    table = next((m for at in _lines_with(text, " CPU_T ") if (m := _TABLE.match(text, at))), None)
    memory = kib(largest[1]) if largest else kib(table[6]) if table else None
    told |= {
        "project": intern(said.get("project") or ""),
        "user": intern(said.get("user") or ""),
        "name": (name if known else said.get("name")) or "",
        "queue": intern(said.get("queue") or told.get("queue", "")),
        "status": intern(said.get("status") or ""),
        "run_limit": run_limit(limit[1]) if limit else None,
        "resources": resources or (requested or [""])[-1],
        "memory": -(-memory // 1024) if memory is not None else None,
    }
    if table and told.get("cpu_seconds") is None:
        told["cpu_seconds"] = seconds(table[1])
    return Told(**told)


@lru_cache(1 << 12)
def _resources(text: str) -> str:
    """The last requirement that a text spells out; empty if there is none."""
    found = ""
    for line in text.split("\n"):
        if line.startswith((" Effective:", " Combined:")) and (said := _RESOURCES.fullmatch(line)):
            found = found if said[1] == "-" else said[1]
    return found


def _after(pattern: re.Pattern[str], text: str, begin: str) -> re.Match[str] | None:
    """The first line, and what follows, that is like the pattern, of those that begin so."""
    at = text.find(begin)
    while at >= 0:
        if matched := pattern.match(text, at + 1):
            return matched
        at = text.find(begin, at + 1)
    return None


def _lines_with(text: str, word: str) -> Iterator[int]:
    """Where the lines with that word begin."""
    at = text.find(word)
    while at >= 0:
        yield text.rfind("\n", 0, at) + 1
        at = text.find(word, at + 1)


def _events(events: Iterable[tuple[str, str]], now: int) -> dict[str, Any]:
    """What has happened to a job, by its dated lines, for `Told`; what a requeue has undone is not told."""
    told: dict[str, Any] = {"starts": 0}
    for when, text in events:
        at = moment(when, now)
        if at is None:
            continue
        if text.startswith("Submitted from host") and "submitted_at" not in told:
            asked, queue = _ASKED.findall(text), _TO_QUEUE.search(text)
            told["submitted_at"] = at
            told["slots"] = number(asked[-1]) if asked else 1
            told["queue"] = queue[1] if queue else ""
        elif matched := _STARTED.match(text):
            told |= {
                "started_at": at,
                "hosts": _hosts(matched[2] or matched[1]),
                "starts": told["starts"] + 1,
            }
        elif matched := _ENDED.match(text):
            told |= {
                "ended_at": at,
                "ending": text,
                "done": matched[1].startswith("Done") or matched[4] == "done",
                "exit_status": _status(matched),
                "cpu_seconds": _cpu(text),
            }
        elif _AGAIN.match(text):
            for undone in ("started_at", "hosts", "ended_at", "ending", "exit_status", "cpu_seconds"):
                told.pop(undone, None)
    return told


@lru_cache(1 << 14)
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


def endings(listing: bytes, now: int) -> Iterator[tuple[str, Told, bool]]:
    """The jobs that a listing tells the end of: id, what is told, and whether it may not be theirs."""
    found = list(blocks(listing))
    times = Counter(block.id for block in found)
    for block in found:
        told = read(block, now)
        if told.ended_at is not None:
            yield block.id, told, times[block.id] > 1 or not told.user
