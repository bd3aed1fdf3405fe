"""What systemd is told, if it has started us: ready, alive, ending (sd_notify(3))."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress

__all__ = ["ServiceManager"]


class ServiceManager:
    """Whoever started us and wants to know; without one, nothing is told to anybody."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        pid = environ.get("WATCHDOG_PID", str(os.getpid()))
        watched = environ.get("WATCHDOG_USEC", "") if pid == str(os.getpid()) else ""
        self.every = int(watched) / 1e6 / 3 if watched.isdigit() else None
        """Seconds between two signs of life; None if nobody waits for them."""

    def tell(self, *words: str) -> None:
        """Such as `READY=1`. Who does not listen is not told."""
        if not self._address.startswith(("/", "@")):
            return
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            way.setblocking(False)
            way.sendto("\n".join(words).encode(), address)

    async def keep_telling(self) -> None:
        """Give signs of life from the event loop, as long as it turns."""
        while self.every is not None:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self.every)
