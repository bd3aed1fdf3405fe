"""Programs of the project, run as processes of their own: what they print, and what they take."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

PROGRAMS = Path(sys.executable).parent
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Programs keep their bytecode, as those that are installed have theirs."""


@dataclass(frozen=True)
class Run:
    """What one process took: seconds by the clock and of the processor, MiB of memory at its peak."""

    out: str
    wall: float
    cpu: float
    memory: float


class RunError(Exception):
    """A program failed, or was not done within its limit; the message says which."""


def run(argv: Sequence[str | Path], limit: float) -> Run:
    """Run a program to its end. Raises RunError; after `limit` seconds it is ended."""
    with tempfile.TemporaryFile("w+") as out:
        begun = time.monotonic()
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, env=ENVIRONMENT)
        timer = Timer(limit, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read()
    if wall >= limit:
        raise RunError(f"not done after {limit:.0f} s")
    if process.returncode != 0:
        last = said.strip().rpartition("\n")[2]
        raise RunError(f"{Path(argv[0]).name} ended with {process.returncode}: {last[:200]}")
    return Run(said, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def cpu_of(pid: int) -> float:
    """The seconds of the processor that a running process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
