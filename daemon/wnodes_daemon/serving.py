"""The HTTP server: who may knock, and how many are let in at one time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from wnodes_daemon.connections import Calls, bounded

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

    def renew(self) -> None:
        """Read the certificate and its key anew, for the connections that come. Raises OSError."""
        config = self.config
        if config.loaded and config.ssl is not None and config.ssl_certfile is not None:
            config.ssl.load_cert_chain(config.ssl_certfile, config.ssl_keyfile)


def server(calls: Calls, most: int, tls: tuple[Path, Path] | None = None) -> Server:
    """A server with at most so many connections, with this certificate and key if it is to speak TLS."""
    certificate, key = (str(file) for file in tls) if tls is not None else (None, None)
    return Server(
        uvicorn.Config(
            calls,
            http=bounded(calls, most),
            ssl_certfile=certificate,
            ssl_keyfile=key,
            backlog=_TAKEN_IN,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
        )
    )
