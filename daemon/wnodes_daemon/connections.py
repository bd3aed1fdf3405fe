"""Connections within bounds: too many of them, or silent ones, would shut everybody out."""

from __future__ import annotations

import asyncio
import resource
import socket
from contextlib import suppress
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from wnodes_daemon.access.door import PEER
from wnodes_daemon.access.peers import uid_of

_SILENCE: Final = 20.0
_CALLS_EACH: Final = 4
_FULL: Final = (
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


def most_connections(calls: int) -> int:
    """How many connections to hold for so many calls at one time: half of the descriptors at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _CALLS_EACH * calls
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(_CALLS_EACH * calls, soft // 2)


def bounded(most: int, silence: float = _SILENCE) -> type[H11Protocol]:
    """The protocol for at most `most` connections, where one without a call in `silence` seconds is closed.

    Uvicorn itself times only the pause after a call, and asyncio fills the log while it cannot accept.
    """

    class Bounded(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            connection = transport.get_extra_info("socket")
            if connection is not None and connection.family == socket.AF_UNIX:
                with suppress(OSError):  # then nobody is known there
                    self.app_state = {**self.app_state, PEER: uid_of(connection)}
            if len(self.connections) > most:
                transport.write(_FULL)
                transport.close()
            else:
                self.loop.call_later(silence, self._end_silence)

        def _end_silence(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

    return Bounded
