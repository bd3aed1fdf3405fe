"""Reading listings: JSON, and text between delimiters, into what they say of each job or host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

import msgspec
from wnodes_batch.bulk import Unreadable

from wnodes_lsf.fields import HOST_NEEDED, TEXTS, HostSaid, Said

T = TypeVar("T")

DELIMITER: Final = "|"
TEXT_DELIMITER: Final = "^"

NO_JOBS: Final = (
    "No unfinished job found",
    "No job found",
    "No matching job found",
    "No DONE/EXIT job found",
)
"""How LSF says that there is nothing to list; it also ends with an error then."""


class _Document(msgspec.Struct, Generic[T], rename="upper"):
    records: list[T]
    command: str = ""
    jobs: int | str | None = None
    hosts: int | str | None = None


_JOBS: Final = msgspec.json.Decoder(_Document[Said])
_HOSTS: Final = msgspec.json.Decoder(_Document[HostSaid])


def jobs(listing: bytes) -> list[Said]:
    """The jobs of `bjobs -o … -json`; an id that is not there comes with an `error`. Raises Unreadable."""
    document = _document(_JOBS, listing, "bjobs")
    said = document.records
    _counted(document.jobs, len(said))
    for each in said:
        if not each.jobid or (
            not each.error and not all(getattr(each, name) for name in ("stat", "user", "queue"))
        ):
            raise Unreadable("bjobs shows a job without its id, state, user or queue")
    return said


def hosts(listing: bytes) -> list[HostSaid]:
    """The hosts of `bhosts -o … -json`. Raises Unreadable."""
    document = _document(_HOSTS, listing, "bhosts")
    _counted(document.hosts, len(document.records))
    if not all(each.host_name and each.status for each in document.records):
        raise Unreadable("bhosts shows a host without its name or state")
    return document.records


def delimited(listing: bytes, fields: Sequence[str]) -> list[Said]:
    """The jobs of `bjobs -o … delimiter`, of which no field is a user's own text. Raises Unreadable."""
    said: list[Said] = []
    for values in _lines(listing, fields, DELIMITER):
        if len(values) != len(fields):
            raise Unreadable(f"bjobs shows {len(values)} fields where {len(fields)} were asked for")
        said.append(Said(**dict(zip(fields, values, strict=True))))
        if not all((said[-1].jobid.isdigit(), said[-1].stat, said[-1].user)):
            raise Unreadable(f"bjobs shows a job as {DELIMITER.join(values)[:120]!r}")
    return said


def texts(listing: bytes, said: Sequence[Said]) -> tuple[list[Said], set[str]]:
    """The same jobs with what their users wrote, and the ids of those of which that is not certain.

    A line break in a name makes a line that looks like another job's: what is told twice counts for neither.
    """
    told: dict[tuple[str, str], list[str]] = {}
    twice: Counter[tuple[str, str]] = Counter()
    for line in listing.decode("utf-8", "replace").split("\n"):
        values = line.split(TEXT_DELIMITER, len(TEXTS) - 1)
        if len(values) == len(TEXTS) and values[0].isdigit():
            twice[values[0], _index(values[1])] += 1
            told[values[0], _index(values[1])] = values[2:]
    made: list[Said] = []
    doubtful: set[str] = set()
    for each in said:
        key = each.jobid, _index(each.jobindex)
        if twice[key] != 1:
            doubtful.add(each.jobid)
            made.append(each)
        else:
            named = dict(zip(TEXTS[2:], told[key], strict=True))
            made.append(msgspec.structs.replace(each, **named))
    return made, doubtful


def wide_hosts(listing: str) -> list[HostSaid]:
    """The hosts of `bhosts -w`. Raises Unreadable."""
    header, *lines = listing.split("\n")
    columns = header.split()
    if not set(HOST_NEEDED) <= {name.lower() for name in columns}:
        raise Unreadable(f"bhosts begins with {header[:80]!r}")
    places = {name.lower(): at for at, name in enumerate(columns)}
    said: list[HostSaid] = []
    for line in lines:
        values = line.split()
        if not values:
            continue
        if len(values) < len(columns):
            raise Unreadable(f"bhosts shows a host as {line[:80]!r}")
        said.append(HostSaid(**{name: values[places[name]] for name in HOST_NEEDED}))
    return said


def _index(text: str) -> str:
    return "" if text in {"0", "-"} else text


def _document(decoder: msgspec.json.Decoder[_Document[T]], listing: bytes, command: str) -> _Document[T]:
    try:
        try:
            document = decoder.decode(listing)
        except UnicodeDecodeError:  # a name may be in any encoding
            document = decoder.decode(listing.decode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unreadable(f"{command} wrote no listing in JSON: {error}") from None
    if document.command != command:
        raise Unreadable(f"a listing of {command} calls itself one of {document.command[:40]!r}")
    return document


def _counted(told: int | str | None, seen: int) -> None:
    if told is not None and str(told) != str(seen):
        raise Unreadable(f"a listing of {told} records has {seen}")


def _lines(listing: bytes, fields: Sequence[str], delimiter: str) -> list[list[str]]:
    header, *lines = listing.decode("utf-8", "replace").split("\n")
    if not listing.endswith(b"\n"):
        raise Unreadable(f"a listing ends with {listing[-80:]!r}")
    if [name.strip().lower() for name in header.split(delimiter)] != list(fields):
        raise Unreadable(f"a listing begins with {header[:80]!r}")
    return [[value.strip() for value in line.split(delimiter)] for line in lines if line.strip()]
