"""Makes load, a process of its own: so many connections, as fast as answers come or at a given rate.

Run as `python -m load.generator`, with one JSON object on stdin (`Order`); prints one (`Outcome`). HTTP is
spoken by hand: a client library costs more than the daemon, and they share two cores.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter

import msgspec


class Order(msgspec.Struct, frozen=True):
    """What to do: `calls` at most, for at most `seconds`; `rate` in calls a second, None for all it takes."""

    socket: str
    path: str
    body: str
    connections: int
    seconds: float
    calls: int = 100_000_000
    rate: float | None = None
    from_due: bool = True
    """Whether a call's time begins when it was due; else when it was sent."""


class Outcome(msgspec.Struct, frozen=True):
    """What came: answers by status, seconds that it took, and how long accepted calls took, sorted, in ms."""

    statuses: dict[str, int]
    seconds: float
    took: list[float]
    others: list[float]
    """The same of calls that were not accepted."""
    lost: int = 0

    @property
    def accepted(self) -> int:
        """Answers of 2xx."""
        return sum(count for status, count in self.statuses.items() if status.startswith("2"))


class _Connection(asyncio.Protocol):
    """One connection: a call after the other. Answers have a length."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(0)

    def call(self, request: bytes) -> asyncio.Future[int]:
        """The status of the answer; 0 if the connection was lost."""
        self._answer = asyncio.get_running_loop().create_future()
        if self.transport is None:
            self._answer.set_result(0)
        else:
            self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        if len(body) >= length:
            self._buffer = body[length:]
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(int(lines[0].split()[1]))


class _Load:
    def __init__(self, order: Order) -> None:
        self.order = order
        body = order.body.encode()
        self.request = (
            f"POST {order.path} HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode() + body
        self.statuses: Counter[int] = Counter()
        self.took: list[float] = []
        self.others: list[float] = []
        self.left = order.calls
        self.began = 0.0
        self.due = 0

    async def run(self) -> Outcome:
        self.began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.order.connections):
                tasks.create_task(self._one())
        seconds = time.perf_counter() - self.began
        statuses = {str(status): count for status, count in self.statuses.items() if status}
        return Outcome(statuses, seconds, sorted(self.took), sorted(self.others), self.statuses[0])

    async def _one(self) -> None:
        """One connection, made anew where it is lost."""
        loop, order = asyncio.get_running_loop(), self.order
        connection: _Connection | None = None
        while self.left > 0 and (now := time.perf_counter()) < self.began + order.seconds:
            self.left -= 1
            due = now
            if order.rate is not None:  # the next call that is due, whoever makes it
                due = self.began + self.due / order.rate
                self.due += 1
                if due >= self.began + order.seconds:
                    break
                if due > now:
                    await asyncio.sleep(due - now)
                if not order.from_due:
                    due = time.perf_counter()
            if connection is None or connection.transport is None:
                try:
                    _, connection = await loop.create_unix_connection(_Connection, order.socket)
                except OSError:
                    self.statuses[0] += 1
                    await asyncio.sleep(0.05)
                    continue
            status = await connection.call(self.request)
            self.statuses[status] += 1
            kept = self.took if 200 <= status < 300 else self.others
            kept.append(1000 * (time.perf_counter() - due))
        if connection is not None and connection.transport is not None:
            connection.transport.close()


def main() -> None:
    """Read the order, carry it out, tell what came."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    outcome = asyncio.run(_Load(order).run())
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()
