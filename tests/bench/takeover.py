"""How long nobody leads when a leader is killed, stopped or cut off from the database: `make takeover`.

Two real daemons on a PostgreSQL server of their own. Counted from what is done to the leader until the other
one has answered that it leads, by the wall clock.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from daemon.test_two_daemons import Pair, proxied
from sites.postgresql import Cluster, programs
from sites.running import until

TIMES = 5


def taken_over(cluster: Cluster, way: str) -> float:
    """The seconds of one trial."""
    folder = Path(tempfile.mkdtemp(prefix="takeover"))
    url = cluster.database()
    proxy, through = proxied(folder, cluster, url)
    pair = Pair(folder, through, other=url)
    try:
        pair.launch(pair.one)
        until(pair.leads(pair.one))
        pair.launch(pair.two)
        until(pair.stands_by(pair.two))
        assert pair.one.process is not None
        ways: dict[str, Callable[[], None]] = {
            "killed": pair.one.process.kill,
            "stopped (SIGSTOP)": lambda: os.kill(pair.one.process.pid, signal.SIGSTOP),  # type: ignore[union-attr]
            "cut off from the database": lambda: proxy.send_signal(signal.SIGSTOP),
            "ended in order": pair.one.process.terminate,
        }
        begun = time.monotonic()
        ways[way]()
        until(pair.leads(pair.two))
        return time.monotonic() - begun
    finally:
        for process in (proxy, pair.one.process, pair.two.process):
            if process is not None:
                process.kill()
                process.wait()


def main() -> None:
    """Try each way some times, and print."""
    bin_ = programs()
    assert bin_ is not None, "PostgreSQL's server is not installed"
    cluster = Cluster(bin_)
    try:
        sys.stdout.write(
            f"| the leader is | seconds until the other leads, of {TIMES} times: least, most |\n|---|--:|\n"
        )
        for way in ("killed", "stopped (SIGSTOP)", "cut off from the database", "ended in order"):
            seconds = sorted(taken_over(cluster, way) for _ in range(TIMES))
            sys.stdout.write(f"| {way} | {seconds[0]:.1f}, {seconds[-1]:.1f} |\n")
            sys.stdout.flush()
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
