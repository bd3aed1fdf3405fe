"""A site in a folder, and daemons on it as processes of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from wnodes_daemon.client import ApiError, Client, Unreachable
from wnodes_engine.wire import RequestForm, convert

POLICY = """
policy little "a little farm"

share grid 60% {
    share lhc   50%
    share small 50%
}
share local 40% borrow any

default walltime 10m when kind == job

assign grid.lhc when origin == grid and group == "cms"
assign grid.small when origin == grid
assign local otherwise

deny "nothing for mallory" when user == "mallory"
quota for each user in local: cores <= 12

route job, vmjob, vm, pool to farm queue "{share}"
"""
FARM = "nodes:\n  - {name: 'wn[01-04]', cores: 8, memory: 32GiB}\n"
PATIENCE = 60.0


def form(**fields: Any) -> RequestForm:
    """A request of Ada's for a job, with these fields."""
    return convert({"kind": "job", "origin": "local", "user": "ada", "group": "lab"} | fields)


class Site:
    """A folder with a site, and the daemon that runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.before: list[str] = []
        """What the daemon is started by, such as `ip netns exec NAME`."""
        self.file = folder / "site.yaml"
        (folder / "farm.yaml").write_text(FARM)
        (folder / "little.policy").write_text(POLICY)
        self.write()

    def write(
        self, daemon: dict[str, Any] | None = None, backend: dict[str, Any] | None = None, **options: Any
    ) -> None:
        """Write site.yaml with these settings of the daemon and of its backend, and options of the farm."""
        farm = {"driver": "simulated", "options": {"record": "./farm.record", **options}}
        site = {
            "name": "little",
            "timezone": "Europe/Rome",
            "policy": "little.policy",
            "farm": "farm.yaml",
            "backends": {"farm": {**farm, **(backend or {})}},
            "daemon": {"tick": 0.1, "settle": 2, **(daemon or {})},
        }
        self.file.write_text(yaml.safe_dump(site))

    @property
    def address(self) -> str:
        return f"unix:{self.folder / 'wnodesd.sock'}"

    def client(self) -> Client:
        return Client(self.address)

    def launch(self) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            program = str(Path(sys.executable).with_name("wnodesd"))
            argv = [*self.before, program, "--config", str(self.file)]
            return subprocess.Popen(argv, stderr=log, stdout=log)

    def start(self) -> Client:
        """Start the daemon, and wait until it answers."""
        self.process = self.launch()
        client = self.client()

        def answers() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                return client.health().status == "ok"
            except (Unreachable, ApiError):  # it is not there yet, or stands by
                return False

        until(answers)
        return client

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End the daemon; its exit status."""
        assert self.process is not None
        self.process.send_signal(by)
        status = self.process.wait(PATIENCE)
        self.process = None
        return status

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def record(self) -> list[dict[str, Any]]:
        """What happened on the farm, by its own record."""
        return [json.loads(line) for line in (self.folder / "farm.record").read_text().splitlines()]


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; a test fails where it never does."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)
