"""Hosts of a network of the tests' own: namespaces of the kernel, joined by a bridge; links can be cut."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

NET = "10.213.77"
HERE = f"{NET}.1"
"""Our own address there."""

_PROGRAM = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin") or "ip"


class NoNetwork(Exception):  # noqa: N818 - it names a condition
    """Namespaces cannot be made here."""


def _ip(*arguments: str) -> None:
    done = subprocess.run([_PROGRAM, *arguments], capture_output=True, text=True, timeout=20)
    if done.returncode != 0:
        raise NoNetwork(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


class Network:
    """A bridge and some hosts, by number from 2 on; all of it goes at the end."""

    def __init__(self, hosts: int) -> None:
        """Raises NoNetwork."""
        if os.geteuid() != 0 or not Path(_PROGRAM).exists():
            raise NoNetwork("namespaces need root, and the program ip")
        self._tag = f"wn{os.getpid() % 100_000}"
        self._hosts = range(2, 2 + hosts)
        self._remove()
        try:
            self._make()
        except NoNetwork:
            self._remove()
            raise

    def _make(self) -> None:
        bridge = f"{self._tag}b"
        _ip("link", "add", bridge, "type", "bridge")
        _ip("addr", "add", f"{HERE}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for host in self._hosts:
            name = self.name(host)
            _ip("netns", "add", name)
            _ip("link", "add", self._link(host), "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", self._link(host), "master", bridge, "up")
            for words in (
                ("addr", "add", f"{NET}.{host}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
                ("link", "set", "lo", "up"),
            ):
                _ip("-n", name, *words)

    def _remove(self) -> None:
        for arguments in (
            *(["netns", "del", self.name(host)] for host in self._hosts),
            ["link", "del", f"{self._tag}b"],
        ):
            subprocess.run([_PROGRAM, *arguments], capture_output=True, timeout=20)

    def name(self, host: int) -> str:
        return f"{self._tag}h{host}"

    def _link(self, host: int) -> str:
        return f"{self._tag}v{host}"

    def on(self, host: int, argv: list[str]) -> list[str]:
        """The command that runs a program there."""
        return [_PROGRAM, "netns", "exec", self.name(host), *argv]

    def cut(self, host: int) -> None:
        """Nothing reaches that host any more, and nothing from it: packets are lost, nobody is told."""
        _ip("link", "set", self._link(host), "down")

    def mend(self, host: int) -> None:
        _ip("link", "set", self._link(host), "up")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()
