"""Says on what was measured: `python -m bench.machine`."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path


def processor() -> str:
    """What the machine says that it computes with."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def machine() -> str:
    """In one line."""
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, {processor()}"


if __name__ == "__main__":
    sys.stdout.write(f"{machine()}\n")
