"""HTTP calls over a Unix socket, as many as a daemon can answer: connections that always have one open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec


@dataclass
class Tally:
    """How many calls were answered as wished; `wrong` is the first answer that was not."""

    answered: int = 0
    wrong: str = ""
    wall: float = 0.0


def post(path: str, body: Any) -> bytes:
    """One call as it goes over the wire."""
    text = msgspec.json.encode(body)
    head = f"POST {path} HTTP/1.1\r\nhost: wnodesd\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(text)}\r\n\r\n".encode() + text


def keep_calling(socket: Path, calls: list[bytes], status: int, connections: int, seconds: float) -> Tally:
    """Make the calls, over and over, on so many connections for so long."""
    return asyncio.run(_keep_calling(socket, cycle(calls), status, connections, seconds))


async def _keep_calling(
    socket: Path, calls: Iterator[bytes], status: int, connections: int, seconds: float
) -> Tally:
    loop, tally = asyncio.get_running_loop(), Tally()
    begun = time.monotonic()
    callers = [
        (await loop.create_unix_connection(lambda: _Caller(calls, status, tally), str(socket)))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    for caller in callers:
        caller.last = True
    await asyncio.wait([caller.done for caller in callers], timeout=30)
    tally.wall = time.monotonic() - begun
    return tally


class _Caller(asyncio.Protocol):
    """One connection: the next call goes out when the answer to the last is there."""

    def __init__(self, calls: Iterator[bytes], status: int, tally: Tally) -> None:
        self._calls = calls
        self._wanted = f"HTTP/1.1 {status} ".encode()
        self._tally = tally
        self._buffer = b""
        self.last = False
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(next(self._calls))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return
        self._buffer = b""
        if head.startswith(self._wanted):
            self._tally.answered += 1
        elif not self._tally.wrong:
            self._tally.wrong = f"{head.decode()[:80]} … {body.decode()[:200]}"
            self.last = True
        if self.last:
            self._transport.close()
        else:
            self._transport.write(next(self._calls))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)
