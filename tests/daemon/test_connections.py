"""Connections that ask for nothing take nothing away from those that do."""

from __future__ import annotations

import asyncio
import resource
import socket

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from wnodes_daemon.connections import bounded, most_connections

CALL = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def served(most: int, silence: float, sent: list[bytes]) -> list[bytes]:
    """What connections that send this, one after the other, and stay, have been told in the end."""
    config = uvicorn.Config(
        PlainTextResponse("well"), http=bounded(most, silence), log_config=None, lifespan="off"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        peers = []
        for words in sent:
            reader, writer = await asyncio.open_connection(*bound.getsockname())
            peers.append((reader, writer))
            writer.write(words)
            if words == CALL:
                await reader.readuntil(b"\r\n\r\nwell") if len(peers) <= most else None
            await asyncio.sleep(0.02)
        said = [await asyncio.wait_for(reader.read(200), 20) for reader, _ in peers]
        for _, writer in peers:
            writer.close()
        server.should_exit = True
        await serving
    return said


@pytest.mark.parametrize("words", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\n"])
def test_a_connection_without_a_call_is_closed(words: bytes) -> None:
    assert asyncio.run(served(10, 0.05, [words])) == [b""]


def test_a_connection_too_many_is_told_to_come_back() -> None:
    *held, last = asyncio.run(served(2, 0.5, [b"", b"", CALL]))
    assert held == [b"", b""]
    assert last.startswith(b"HTTP/1.1 429")
    assert b"retry-after: 1" in last


def test_as_many_are_held_as_descriptors_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1000))
    assert (most_connections(256), raised) == (500, [(1000, 1000)])
    monkeypatch.setattr(resource, "getrlimit", lambda _: (20_000, 20_000))
    assert (most_connections(256), len(raised)) == (1024, 1)
