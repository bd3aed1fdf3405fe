"""Connections and calls within bounds: too many of them, or silent ones, would shut everybody out."""

from __future__ import annotations

import asyncio
import resource
import socket
from contextlib import suppress
from typing import Final

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wnodes_daemon.access.door import PEER
from wnodes_daemon.access.peers import uid_of
from wnodes_daemon.problems import problem


def _refusal(status: int, detail: str, reason: str) -> bytes:
    """A whole answer, but for whether the connection is kept: `%s`."""
    body = msgspec.json.encode(problem(status, detail)).replace(b"%", b"%%")
    head = (
        f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n"
        f"connection: %s\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


_SILENCE: Final = 20.0
_EACH: Final = 16
"""Connections for each call that may be under way."""

_LARGEST_HEAD: Final = 1 << 16
"""Bytes after which a head has to be complete."""

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)
_PROBES: Final = (b"/livez", b"/readyz", b"/metrics")
_BUSY: Final = _refusal(429, "too many calls at one time: ask again later", "Too Many Requests")


def most_connections(calls: int) -> int:
    """How many connections to hold for so many calls at one time: half of the descriptors at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _EACH * calls
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(_EACH * calls, soft // 2)


class Calls:
    """The calls that are under way: counts those that pass to an application, until their answers begin.

    Who listens to a stream keeps nobody else out.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._under_way = 0

    @property
    def full(self) -> bool:
        """Whether there are as many as there may be."""
        return self._under_way >= self._most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does."""
        self._under_way += 1
        answering = False

        async def sent(message: Message) -> None:
            nonlocal answering
            if not answering:
                answering = True
                self._under_way -= 1
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            if not answering:
                self._under_way -= 1


def bounded(calls: Calls, most: int, silence: float = _SILENCE) -> type[HttpToolsProtocol]:
    """The protocol for at most `most` connections, where one without a call in `silence` seconds is closed.

    For one that is too many, the one is closed that has asked for nothing for longest. A call that is too
    many is refused here, before it costs anything; probes are not. Uvicorn itself times only the pause after
    a call and bounds no heads, and asyncio fills the log while it cannot accept.
    """
    idle: dict[HttpToolsProtocol, None] = {}  # by when they began to be

    class Bounded(HttpToolsProtocol):
        _head = 0
        _in_body = False
        _refusing = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            connection = transport.get_extra_info("socket")
            if connection is not None and connection.family == socket.AF_UNIX:
                with suppress(OSError):  # then nobody is known there
                    self.app_state = {**self.app_state, PEER: uid_of(connection.fileno())}
            if len(self.connections) > most and not self._room():
                transport.write(_BUSY % b"close")
                transport.close()
                return
            idle[self] = None
            self.loop.call_later(silence, self._end_silence)

        def _room(self) -> bool:
            """Whether somebody has gone who asked for nothing."""
            longest = next(iter(idle), None)
            if longest is None:
                return False
            del idle[longest]
            longest.transport.close()
            return True

        def connection_lost(self, exc: Exception | None) -> None:
            idle.pop(self, None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if not self._in_body:
                if self._head > _LARGEST_HEAD:
                    self.transport.write(_TOO_LARGE)
                    self.transport.close()
                    return
                self._head += len(data)  # until the head is complete; what comes with its end may be a body
            super().data_received(data)

        def on_headers_complete(self) -> None:
            self._head, self._in_body = 0, True
            waiting = self.cycle is not None and not self.cycle.response_complete
            self._refusing = calls.full and not waiting and self.url not in _PROBES
            if not self._refusing:
                idle.pop(self, None)
                super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if not self._refusing:
                super().on_body(body)

        def on_message_complete(self) -> None:
            self._in_body = False
            if not self._refusing:
                super().on_message_complete()
            elif self.parser.should_keep_alive():
                self.transport.write(_BUSY % b"keep-alive")
            else:
                self.transport.write(_BUSY % b"close")
                self.transport.close()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.cycle is None or self.cycle.response_complete:
                idle[self] = None

        def _end_silence(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

    return Bounded
