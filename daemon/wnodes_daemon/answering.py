"""Calls that can be made again: whoever got no answer asks under the same key, and nothing happens twice."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from wnodes_daemon.records import Answer, Entry

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class KeyUsed(Exception):  # noqa: N818 - it names a condition
    """There was another call under this key."""


class Call(NamedTuple):
    """Who calls, under which key, and the digest of what is sent."""

    owner: str
    key: str
    body: str


def call_of(owner: str, key: str, body: bytes) -> Call:
    """The call; ValueError for what is no key."""
    if not _KEY.fullmatch(key):
        raise ValueError("a key is of 1 to 255 visible characters, without blanks")
    return Call(owner, key, hashlib.sha256(body).hexdigest())


def answered(call: Call, before: Answer) -> list[Entry] | KeyUsed:
    """What was answered before, if that was to the same call."""
    if before.body != call.body:
        return KeyUsed(call.key)
    return list(before.entries)
