"""Reading lsb.acct: records of quoted and bare fields, a line each, and the endings that they tell.

Strings are in double quotes, which are doubled inside; a line break in quotes ends no record, so no text of
a user's can begin one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from wnodes_batch.tags import ref_of
from wnodes_engine.backend import Ending

from wnodes_lsf.jobs import minute
from wnodes_lsf.states import REASONS, REQUEUED, ended_as
from wnodes_lsf.words import hosts

_FIELD: Final = re.compile(r'"((?:[^"]|"")*+)"|([^\s"]++)')
_RECORD: Final = re.compile(rb'(?:"(?:[^"]|"")*+"|[^"\n]++)*+\n')
_BEGINS: Final = re.compile(rb'"[A-Z_]+" "[0-9.]+" [0-9]+ ')
_AGAIN: Final = re.compile(rb'\n(?="[A-Z_]+" "[0-9.]+" [0-9]+ )')
_LARGEST: Final = 256 << 10
"""Bytes of a record. What is longer and has no end was cut off, and has swallowed what follows."""

_RUSAGE: Final = 19
_STATUSES: Final = {32: "EXIT", 64: "DONE"}


class Record(msgspec.Struct, frozen=True):
    """One ending; `requeued`: the job was only stopped to begin anew."""

    ending: Ending
    requeued: bool


class Read(msgspec.Struct, frozen=True):
    """What a piece of the file tells, how many bytes at its end are no record yet, how many are broken."""

    records: list[Record]
    rest: int
    broken: int


def read(piece: bytes, cluster: str) -> Read:
    """The records of a piece of the file. What is no record is passed over, and counted."""
    at, broken = 0, 0
    records: list[Record] = []
    while at < len(piece):
        matched = _RECORD.match(piece, at)
        if matched is None and len(piece) - at <= _LARGEST:
            break  # not whole yet
        end = matched.end() if matched is not None else len(piece)
        if matched is not None and _is_told(matched[0], cluster, records):
            at = end
            continue
        broken += 1
        following = _AGAIN.search(piece, at, end)
        at = following.end() if following else end
    return Read(records, len(piece) - at, broken)


def _is_told(line: bytes, cluster: str, records: list[Record]) -> bool:
    """Whether a line is a record, or says nothing; if it is one of an ending, that is added."""
    if not line.startswith(b'"JOB_FINISH"'):
        return not line.strip() or _BEGINS.match(line) is not None
    try:
        records.append(_record(_fields(line), cluster))
    except (ValueError, IndexError):
        return False
    return True


def _fields(line: bytes) -> list[tuple[str, bool]]:
    """The fields, and whether each was in quotes."""
    text = line.decode("utf-8", "replace")
    return [(bare, False) if bare else (text.replace('""', '"'), True) for text, bare in _FIELD.findall(text)]


def _record(told: Sequence[tuple[str, bool]], cluster: str) -> Record:
    """The ending that the fields tell. Raises ValueError, IndexError."""
    fields = [field for field, _ in told]
    ended_at, id_ = int(fields[2]), int(fields[3])
    slots, submitted_at, started_at = int(fields[6]), int(fields[7]), int(fields[10])
    user, queue = fields[11], fields[12]
    at = 22 + int(fields[22]) + 1  # beyond the hosts that were asked for
    count = int(fields[at])
    if not 0 <= count <= len(fields):
        raise ValueError("hosts")
    places = hosts(fields[at + 1 : at + 1 + count])
    at += 1 + count
    status, name = int(fields[at]), fields[at + 2]
    usage = [float(value) for value in fields[at + 4 : at + 4 + _RUSAGE]]
    at += 4 + _RUSAGE
    project, wait_status = fields[at + 1], int(fields[at + 2])
    at += 5 + told[at + 5][1]  # beyond the shell; LSF itself also writes a time event, others do not
    index, largest = int(fields[at]), int(float(fields[at + 1]))
    exit_info = int(fields[at + 9]) if len(fields) > at + 9 and fields[at + 9].isdigit() else 0
    native = _STATUSES.get(status & 0x60, f"status {status}")
    reason = REASONS.get(exit_info, f"exitInfo {exit_info}") if exit_info else ""
    ran = started_at > 0 and bool(places)
    held = sum(cores for _, cores in places) if ran else 0
    ending = Ending(
        ref=ref_of(name, cluster, f"{id_}[{index}]" if index else str(id_), minute(submitted_at)),
        state=ended_as(native, reason, ran),
        started_at=started_at if ran else None,
        ended_at=ended_at,
        exit_status=_exit_status(native, wait_status, ran),
        nodes=places if ran else (),
        native_state=f"{native} {reason}".strip(),
        user=user,
        account=project,
        queue=queue,
        cores=max(held, slots) if ran else 0,
        cpu_seconds=int(usage[0] + usage[1]) if usage[0] >= 0 and usage[1] >= 0 else None,
        memory_used=-(-largest // 1024) or None if largest > 0 else None,
    )
    return Record(ending, reason in REQUEUED)


def _exit_status(native: str, wait_status: int, ran: bool) -> int | None:
    """As a shell tells it, of what wait() has told LSF."""
    if native == "DONE":
        return 0
    if not ran or wait_status <= 0:
        return None
    return 128 + (wait_status & 0x7F) if wait_status & 0x7F else (wait_status >> 8) & 0xFF or None
