"""How much a daemon takes, and what it does when that is too much: `python -m load`, or with names of parts.

Parts: single, batches, half, overload, idle, soak (only if it is named). The daemon, its SQLite file and the
generator share this machine; the farm is simulated, and full, so that what comes in waits.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import msgspec
from sites.running import Site
from wnodes_daemon.client import Client
from wnodes_engine.wire import convert

from load.generator import Order, Outcome

JOB = {"kind": "job", "origin": "grid", "user": "kay", "group": "cms", "cores": 8, "walltime": "2h"}
CONNECTIONS = 64
BATCH = 1000
VARIED = [
    JOB | {"user": f"u{at % 40}", "cores": 1 << at % 4, "memory": f"{1 + at % 3}GiB", "name": f"n{at}"}
    for at in range(BATCH)
]
"""Of forty users, in twelve sizes, each with a name of its own."""


LIST = 50
SHORT = JOB | {"cores": 1, "walltime": 60}
"""Half a second on a farm that runs 120 times as fast as the clock."""


class Load:
    """A daemon under load; a large farm keeps up with what comes, a small one is full."""

    def __init__(self, folder: Path, seconds: float, requests: int, minutes: float, *, large: bool) -> None:
        self.seconds, self.requests, self.minutes = seconds, requests, minutes
        self.site = Site(folder)
        if large:
            (folder / "farm.yaml").write_text("nodes:\n  - {name: 'wn[01-40]', cores: 64, memory: 256GiB}\n")
        daemon = {"limits": {"waiting": 3_000_000}, "log": "warning", "tick": 0.5 if large else 1.0}
        self.site.write(daemon=daemon, unlimited=86400, **({"speed": 120} if large else {}))
        self.client: Client = self.site.start()
        fill = {"kind": "job", "origin": "local", "cores": 8, "walltime": "unlimited"}
        self.client.submit_all([convert(fill | {"user": f"u{n}", "group": "lab"}) for n in range(4)])
        self.full = 0.0
        """Calls a second that it takes."""

    @property
    def socket(self) -> str:
        return str(self.site.folder / "wnodesd.sock")

    def made(self, path: str, body: object, **order: float) -> Outcome:
        """What came of this load."""
        said = {"connections": CONNECTIONS, "seconds": self.seconds, **order}
        asked = msgspec.convert(
            {"socket": self.socket, "path": path, "body": json.dumps(body), **said}, Order
        )
        argv = [sys.executable, "-m", "load.generator"]
        limit = asked.seconds + 120
        done = subprocess.run(argv, input=msgspec.json.encode(asked), stdout=-1, timeout=limit, check=True)
        return msgspec.json.decode(done.stdout, type=Outcome)

    def memory(self) -> int:
        """Of the daemon, in MiB."""
        assert self.site.process is not None
        status = Path(f"/proc/{self.site.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) >> 10

    # ---------------------------------------------------------------- the parts

    def single(self) -> Iterator[str]:
        """Requests one by one, each on the disk before it is answered."""
        outcome = self.made("/v1/requests", JOB)
        self.full = outcome.accepted / outcome.seconds
        yield row("single requests, on the disk", f"{self.full:,.0f}/s", "≥ 3,000/s", outcome)

    def batches(self) -> Iterator[str]:
        """Decisions about lists of a thousand; nothing changes."""
        outcome = self.made("/v1/decisions", VARIED, connections=4)
        rate = BATCH * outcome.accepted / outcome.seconds
        yield row(f"dry decisions, {BATCH:,} in a call", f"{rate:,.0f}/s", "≥ 100,000/s", outcome)

    def half(self) -> Iterator[str]:
        """Half of what it takes, at an even pace."""
        rate = self._full() / 2
        outcome = self.made("/v1/requests", JOB, rate=rate)
        yield row(
            f"half of that, {rate:,.0f}/s", f"99 %: {percentile(outcome.took, 99):.1f} ms", "< 20 ms", outcome
        )

    def overload(self) -> Iterator[str]:
        """Four times what it takes, from four times as many connections as it lets call."""
        rate = 4 * self._full()
        outcome = self.made("/v1/requests", JOB, rate=rate, connections=1024, from_due=False)
        yield row(
            f"four times that, {rate:,.0f}/s",
            f"accepted {outcome.accepted / outcome.seconds:,.0f}/s",
            "429, and latency kept",
            outcome,
        )
        after = self.made("/v1/requests", JOB, rate=self._full() / 2, seconds=2.0)
        yield row("at once afterwards, half", f"99 %: {percentile(after.took, 99):.1f} ms", "< 20 ms", after)

    def idle(self) -> Iterator[str]:
        """Five thousand connections that ask for nothing, and some that ask slowly."""
        with self._silent(5000):
            outcome = self.made("/v1/decisions", JOB, rate=100.0, connections=4)
            text = f"answered {outcome.accepted / outcome.seconds:,.0f}/s"
            yield row("beside 5,000 idle connections, 100/s", text, "decisions go on", outcome)

    def soak(self) -> Iterator[str]:
        """A million requests that come, run and go, in half an hour: the memory after each tenth of it."""
        seconds, memory, taken = 60 * self.minutes / 10, [self.memory()], 0
        rate = self.requests / LIST / (10 * seconds)
        for _ in range(10):
            outcome = self.made("/v1/requests", [SHORT] * LIST, rate=rate, seconds=seconds, connections=4)
            taken += LIST * outcome.accepted
            memory.append(self.memory())
        waiting, over = self.client.health().waiting, self._over()
        yield row(
            f"{taken:,} requests in {self.minutes:.0f} minutes", f"{over:,} are over", "memory flat", outcome
        )
        yield f"| MiB of the daemon, after each tenth | {' '.join(map(str, memory))} | {waiting:,} wait | | |"

    def _over(self) -> int:
        text = httpx.Client(transport=httpx.HTTPTransport(uds=self.socket)).get("http://w/metrics").text
        counted = re.findall(r"^wnodes_requests_over_total\{.*\} (\S+)$", text, re.MULTILINE)
        return int(sum(map(float, counted)))

    def _full(self) -> float:
        if not self.full:
            list(self.single())
        return self.full

    @contextmanager
    def _silent(self, count: int) -> Iterator[None]:
        """So many connections; every tenth sends a head without an end."""
        with ExitStack() as stack:
            for at in range(count):
                one = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                one.setblocking(False)
                try:
                    one.connect(self.socket)
                    if at % 10 == 0:
                        one.send(b"POST /v1/requests HTTP/1.1\r\nhost: w\r\n")
                except (BlockingIOError, ConnectionError):
                    continue
            time.sleep(0.5)
            yield


def percentile(values: list[float], of: float) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, int(len(values) * of / 100))] if values else float("nan")


def row(what: str, came: str, target: str, outcome: Outcome) -> str:
    """A line of the table."""
    took = " / ".join(f"{percentile(outcome.took, of):.1f}" for of in (50, 99))
    statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(outcome.statuses.items()))
    lost = f", lost: {outcome.lost:,}" if outcome.lost else ""
    return f"| {what} | {came} | {target} | {took} | {statuses}{lost} |"


def main() -> int:
    """Print the table."""
    parser = ArgumentParser("load", description=__doc__)
    parser.add_argument("parts", nargs="*", default=["single", "batches", "half", "overload", "idle"])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each part")
    parser.add_argument("--requests", type=int, default=1_000_000, help="of the soak")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the soak")
    args = parser.parse_args()
    large = "soak" in args.parts
    if large and len(args.parts) > 1:
        parser.error("the soak has a farm of its own: ask for it alone")
    with tempfile.TemporaryDirectory(dir=os.environ.get("WNODES_LOAD_DIR")) as folder:
        load = Load(Path(folder), args.seconds, args.requests, args.minutes, large=large)
        print("| load | came | target | ms, half / 99 % of the accepted | answers |")  # noqa: T201
        print("|---|---|---|---|---|")  # noqa: T201
        try:
            for part in args.parts:
                do: Callable[[], Iterator[str]] = getattr(load, part)
                for line in do():
                    print(line, flush=True)  # noqa: T201
        finally:
            load.site.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
