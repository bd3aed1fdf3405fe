"""The HTTP server: who may knock, and how many are let in at one time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from wnodes_daemon.connections import bounded

_TAKEN_IN: Final = 128
_KNOCKING: Final = 2048
"""Connections that are accepted before the first of them is looked at, and those that the kernel keeps."""


class Doors:
    """What the server calls: it stays open while that becomes another."""

    application: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as that does now."""
        await self.application(scope, receive, send)


class Server(uvicorn.Server):
    """Leaves the signals to us: they end the loop, too. Lets many knock, and takes few in at a time."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen for more than are taken in."""
        await super().startup(sockets)
        for bound in sockets or ():
            bound.listen(_KNOCKING)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them be."""
        yield


def server(doors: ASGIApp, most: int) -> Server:
    """A server with at most so many connections."""
    return Server(
        uvicorn.Config(
            doors,
            http=bounded(most),
            backlog=_TAKEN_IN,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
        )
    )
