"""Before any answer 2xx to a change, the store was forced to the disk: seen by its system calls.

A kill cannot see a flush that is missing: the system has the pages, and only a crash of the machine loses
them. So the daemon runs under strace, and its calls are read in their order.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sites.running import Site, until
from wnodes_daemon.client import Unreachable

DAEMON = (
    "import sys, wnodes_daemon.database as d; {patch}; from wnodes_daemon.main import main; sys.exit(main())"
)
OFF = 'd.PRAGMAS = ("journal_mode = WAL", "synchronous = OFF")'
CALLS = "trace=fsync,fdatasync,recvfrom,read,sendto,write,sendmsg,writev"


def traced(site: Site, patch: str) -> list[str]:
    """The system calls of a daemon that is asked for some changes, one after the other."""
    trace = site.folder / "trace"
    argv = ["strace", "-f", "-yy", "-s", "24", "-e", CALLS, "-e", "signal=none", "-o", str(trace)]
    argv += [sys.executable, "-c", DAEMON.format(patch=patch), "--config", str(site.file)]
    with (site.folder / "log").open("ab") as log:
        process = subprocess.Popen(argv, stderr=log, stdout=log)
    client = site.client()

    def answers() -> bool:
        assert process.poll() is None, (site.folder / "log").read_text()
        try:
            return client.health().status == "ok"
        except Unreachable:
            return False

    try:
        until(answers)
        socket = httpx.HTTPTransport(uds=str(site.folder / "wnodesd.sock"))
        with httpx.Client(transport=socket, base_url="http://wnodes", timeout=60) as http:
            one = {"kind": "job", "origin": "local", "user": "ada", "group": "lab", "cores": 8}
            for at in range(4):
                assert http.post("/v1/requests", json=[one] * 3).status_code == 200
                assert http.post("/v1/requests", json=one).status_code == 201
                assert http.delete(f"/v1/requests/{4 * at + 1}").is_success
    finally:
        daemon = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
        os.kill(daemon, signal.SIGTERM)
        process.wait(60)
    return trace.read_text().splitlines()


def unflushed(calls: list[str]) -> tuple[int, int]:
    """How many changes were answered 2xx, and before how many of these the log was not flushed in between."""
    answered = missing = 0
    asked = flushed = False
    begun: set[str] = set()
    for call in calls:
        process = call.split(None, 1)[0]
        if re.search(r'"(?:POST|DELETE) /v1', call):
            asked, flushed = True, False
        elif re.search(r"f(?:data)?sync\(\d+<[^>]*sqlite-wal>", call):
            if "unfinished" in call:
                begun.add(process)
            else:
                flushed |= call.endswith("= 0")
        elif "sync resumed" in call and process in begun:
            begun.discard(process)
            flushed |= call.endswith("= 0")
        elif asked and '"HTTP/1.1 20' in call:
            answered += 1
            missing += not flushed
            asked = False
    return answered, missing


needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None and not os.environ.get("WNODES_STRACE"), reason="strace is not installed"
)


@needs_strace
def test_the_log_is_flushed_before_each_answer(site: Site) -> None:
    assert unflushed(traced(site, "pass")) == (12, 0)


@needs_strace
def test_a_store_that_does_not_flush_is_found_out(site: Site) -> None:
    assert unflushed(traced(site, OFF)) == (12, 12)
