"""Connections that ask for nothing take nothing away from those that do."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from contextlib import suppress

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from wnodes_daemon.connections import Calls, bounded, most_connections

CALL = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def everything(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection is closed, or cut."""
    said = b""
    with suppress(ConnectionResetError):
        while part := await reader.read(65536):
            said += part
    return said


async def served(most: int, silence: float, sent: list[bytes], calls: int = 64) -> list[bytes]:
    """What connections that send this, one after the other, and stay, have been told in the end."""
    counted = Calls(PlainTextResponse("well"), calls)
    config = uvicorn.Config(
        counted, http=bounded(counted, most, silence), log_config=None, lifespan="off", timeout_keep_alive=1
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        peers = []
        for words in sent:
            reader, writer = await asyncio.open_connection(*bound.getsockname())
            peers.append((reader, writer))
            writer.write(words)
            await asyncio.sleep(0.05)
        said = [await asyncio.wait_for(everything(reader), 20) for reader, _ in peers]
        for _, writer in peers:
            writer.close()
        server.should_exit = True
        await serving
    return said


@pytest.mark.parametrize("words", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\n"])
def test_a_connection_without_a_call_is_closed(words: bytes) -> None:
    assert asyncio.run(served(10, 0.05, [words])) == [b""]


def test_for_a_connection_too_many_the_one_goes_that_asked_for_nothing_longest() -> None:
    first, second, last = asyncio.run(served(2, 0.5, [b"", b"", CALL]))
    assert (first, second) == (b"", b"")
    assert last.startswith(b"HTTP/1.1 200")


def test_a_call_too_many_is_told_to_come_back_and_probes_are_answered() -> None:
    refused, probe = asyncio.run(served(10, 0.5, [CALL, CALL.replace(b"/ ", b"/livez ", 1)], calls=0))
    assert refused.startswith(b"HTTP/1.1 429")
    assert b"retry-after: 1" in refused
    problem = json.loads(refused.partition(b"\r\n\r\n")[2])
    assert (problem["type"], problem["status"]) == ("urn:wnodes:problem:busy", 429)
    assert probe.startswith(b"HTTP/1.1 200")


def test_a_head_without_end_is_cut_off() -> None:
    began = b"GET / HTTP/1.1\r\nx: "
    cut, other = asyncio.run(served(10, 5.0, [began + b"y" * 4_000_000, CALL]))
    assert cut == b"" or cut.startswith(b"HTTP/1.1 431")
    assert other.startswith(b"HTTP/1.1 200")


def test_what_is_left_of_a_large_body_is_no_head() -> None:
    large = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n" + b"y" * 900_000
    (both,) = asyncio.run(served(10, 0.5, [large + CALL]))
    assert (both.count(b"HTTP/1.1 200"), both.count(b"HTTP/1.1")) == (2, 2)
    (both,) = asyncio.run(served(10, 0.5, [large + CALL], calls=0))
    assert (both.count(b"HTTP/1.1 429"), both.count(b"HTTP/1.1")) == (2, 2)


def test_as_many_are_held_as_descriptors_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1000))
    assert (most_connections(64), raised) == (500, [(1000, 1000)])
    monkeypatch.setattr(resource, "getrlimit", lambda _: (20_000, 20_000))
    assert (most_connections(64), len(raised)) == (1024, 1)
