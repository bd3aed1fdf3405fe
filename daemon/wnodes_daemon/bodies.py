"""Reading what is sent: JSON, bounded, and there in time."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request as Call

from wnodes_daemon.problems import failed

_BODY_SECONDS: Final = 20


def header(call: Call, name: bytes) -> str | None:
    """A header of a call, by its name in small letters; the first, if there are several."""
    for key, value in call.scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


async def read_body(call: Call, most: int) -> bytes:
    """The whole body, if it is JSON, not too large, and there in time."""
    media = (header(call, b"content-type") or "").partition(";")[0].strip().lower()
    if media != "application/json":
        # Also what keeps a web page in somebody's browser from submitting to a loopback port.
        raise failed(415, f"the content type is {media or 'missing'!r}: send application/json")
    too_large = failed(413, f"a body has at most {most} bytes here: split it")
    if (length := header(call, b"content-length") or "").isdigit() and int(length) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in call.stream():
                body += chunk
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        raise failed(
            408, f"the body was not there after {_BODY_SECONDS} s", {"connection": "close"}
        ) from None
    return bytes(body)
