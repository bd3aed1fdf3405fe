"""Records as lines, each sealed with a hash of all before it; and back, with what is wrong with a line."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

import msgspec

from wnodes_engine.decision_log.records import AnyRecord, Record

BEGINNING: Final = "0" * 32
"""The sum before the first line."""

LONGEST: Final = 64 << 20
"""The longest line, in bytes."""

_SUM: Final = re.compile(rb',"sum":"([0-9a-f]{32})"\}\Z')
_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decoder: Final[msgspec.json.Decoder[AnyRecord]] = msgspec.json.Decoder(AnyRecord)


class LineError(Exception):
    """A line that is no record; the message says why."""


def write(record: Record, before: str) -> tuple[bytes, str]:
    """The record as a line, and its sum; `before` is the sum of the line before it."""
    body = _encode(record)[:-1]
    sum_ = _sum(before, body)
    return b'%b,"sum":"%b"}\n' % (body, sum_.encode()), sum_


def read(line: bytes) -> AnyRecord:
    """The record of a line, its newline aside. Raises LineError."""
    try:
        return _decoder.decode(line)
    except msgspec.ValidationError as error:
        raise LineError(f"this is no record: {_lower(str(error))}") from None
    except msgspec.DecodeError as error:
        wrong = str(error).removeprefix("JSON is malformed: ")
        raise LineError(f"this is not JSON: {_lower(wrong)}") from None
    except UnicodeDecodeError:
        raise LineError("this is not UTF-8, as JSON has to be") from None
    except RecursionError:
        raise LineError("this is nested too deep") from None
    except ValueError as error:  # numbers of thousands of digits
        raise LineError(f"this is no record: {_lower(str(error))}") from None


def sums(line: bytes, before: str) -> tuple[str, str]:
    """The sum that the line has, "" for none, and the one that it has to have behind the line before it."""
    found = _SUM.search(line)
    if found is None:
        return "", _sum(before, line[:-1])
    return found[1].decode(), _sum(before, line[: found.start()])


def _sum(before: str, body: bytes) -> str:
    return blake2b(before.encode() + body, digest_size=16).hexdigest()


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:].replace("`", "'")
