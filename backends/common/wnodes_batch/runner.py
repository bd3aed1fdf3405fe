"""The one way in which commands are run: argv alone, a time limit, bounded output, a clean environment."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from typing import Final

import msgspec

_PATH: Final = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_MOST_SAID: Final = 64 << 10  # bytes of standard error
_CHUNK: Final = 1 << 20
_GRACE: Final = 2.0  # seconds between the wish that a command end, and its end


class Command(msgspec.Struct, frozen=True):
    """What to run: never a shell's line. `limit` in seconds; more than `most` bytes of output are an error.

    The environment is a path, the C locale, UTC, and `env`; nothing of the daemon's own.
    """

    argv: tuple[str, ...]
    stdin: bytes = b""
    limit: float = 30.0
    most: int = 16 << 20
    env: Mapping[str, str] = {}


class Answer(msgspec.Struct, frozen=True):
    """What a command said. `status` is None if nobody knows how it would have ended: `said` tells why.

    `began` is false for a command that was not even started. A status below 0 is the signal that ended it.
    """

    status: int | None
    out: bytes = b""
    said: str = ""
    began: bool = True


async def run(command: Command) -> Answer:
    """Run a command to its end, or to its limit; when this is cancelled, the command is ended too."""
    name = command.argv[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            stdin=asyncio.subprocess.PIPE if command.stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(command.env),
            cwd="/",
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
        said = error.strerror if isinstance(error, OSError) else str(error)
        return Answer(None, said=f"{name} cannot be run: {said}", began=False)
    try:
        async with asyncio.timeout(command.limit):
            out, err, _ = await asyncio.gather(
                _read(process.stdout, command.most),
                _read(process.stderr, None),
                _feed(process, command.stdin),
            )
            status = await process.wait()
    except TimeoutError:
        return Answer(None, said=f"{name} did not end within {command.limit:g} s")
    except OverflowError:
        return Answer(None, said=f"{name} wrote more than {command.most} bytes")
    finally:
        if process.returncode is None:
            await _end(process)
    return Answer(status, out, err.decode("utf-8", "replace").strip())


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The clean environment of every command."""
    return {"PATH": _PATH, "LC_ALL": "C", "TZ": "UTC0", "HOME": "/", **more}


async def _read(stream: asyncio.StreamReader | None, most: int | None) -> bytes:
    """All of a stream. Raises OverflowError; without a bound the rest is read and thrown away."""
    read = BytesIO()  # whose value is no second copy, as joined chunks would be
    size = 0
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        size += len(chunk)
        if most is not None and size > most:
            raise OverflowError
        if most is not None or size <= _MOST_SAID:
            read.write(chunk)
    return read.getvalue()


async def _feed(process: asyncio.subprocess.Process, text: bytes) -> None:
    if process.stdin is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):  # it did not want to know
        process.stdin.write(text)
        await process.stdin.drain()
    process.stdin.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a command and what it has started; one that runs as somebody else may not let us."""
    for by, wait in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, by)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await process.wait()
                return
