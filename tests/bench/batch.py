"""Measures the drivers of batch systems at the size of a large site: `python -m bench.batch`.

Listings of 10,000 nodes and 100,000 jobs, as the systems write them, go through a whole snapshot of the
driver, commands included; `cat` stands in for the system's own program, so what is measured is ours.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from wnodes_batch.identity import Account
from wnodes_batch.runner import Answer, Command, run
from wnodes_slurm import accounting, jobs
from wnodes_slurm.backend import SlurmBackend
from wnodes_slurm.columns import Columns

NODES: Final = 10_000
JOBS: Final = 100_000
MOST_SECONDS: Final = 3.0
MOST_MEMORY: Final = 300.0  # MiB
_NOW: Final = 1_795_000_000
_CONFIG: Final = """AccountingStorageType = accounting_storage/slurmdbd
SelectTypeParameters = CR_CORE_MEMORY
SlurmUser = slurm(64030)
SLURM_VERSION = 22.05.8
"""
_NODE: Final = (
    "NodeName={name} Arch=x86_64 CoresPerSocket=32  CPUAlloc={taken} CPUEfctv=64 CPUTot=64 CPULoad=12.03 "
    "AvailableFeatures=ssd,rack{rack} ActiveFeatures=ssd,rack{rack} Gres=gpu:a100:2(S:0-1) NodeAddr={name} "
    "NodeHostName={name} Port=6818 Version=22.05.8 OS=Linux 5.14.0-427.el9.x86_64 #1 SMP PREEMPT_DYNAMIC  "
    "RealMemory=256000 AllocMem=1000 FreeMem=20866 Sockets=2 Boards=1 State={state} ThreadsPerCore=1 "
    "TmpDisk=900000 Weight=1 Owner=N/A MCS_label=N/A Partitions=grid,short,long  BootTime=1794000000 "
    "SlurmdStartTime=1794000100 LastBusyTime=1794900000 CfgTRES=cpu=64,mem=250G,billing=64,gres/gpu=2 "
    "AllocTRES=cpu=12,mem=1000M CapWatts=n/a CurrentWatts=0 AveWatts=0 ExtSensorsJoules=n/s "
    "ExtSensorsWatts=0 ExtSensorsTemp=n/s\n"
)


class Figure(msgspec.Struct, frozen=True):
    """What one thing took: seconds of our own processor time, and MiB at the most."""

    what: str
    megabytes: float
    seconds: float
    memory: float


def lines(columns: Columns, separator: bytes, rows: Iterator[dict[str, object]]) -> Iterator[bytes]:
    """Rows in columns, as Slurm writes them."""
    for cells in rows:
        fields = zip(columns.names, columns.widths, strict=True)
        row = (str(cells.get(name, "")).encode()[:width].ljust(width) for name, width in fields)
        yield separator.join(row) + separator + b"\n"


def queue(count: int, nodes: int) -> Iterator[dict[str, object]]:
    """Half of the jobs run, a tenth of those on four nodes; half are ours."""
    draw = Random(7)
    for at in range(count):
        runs, wide = at % 2 == 0, at % 20 == 0
        cores = draw.choice((1, 1, 1, 2, 4, 8)) * (4 if wide else 1)
        first = draw.randrange(1, nodes - 4)
        yield {
            "Name": f"wn-{draw.randbytes(12).hex()}-{_NOW - at:x}" if at % 4 < 2 else f"analysis_{at}",
            "JobArrayID": 1_000_000 + at,
            "State": "RUNNING" if runs else "PENDING",
            "UserName": f"user{draw.randrange(800)}",
            "GroupName": f"group{draw.randrange(60)}",
            "Account": f"account{draw.randrange(60)}",
            "Partition": draw.choice(("grid", "short", "long")),
            "QOS": "normal",
            "tres-alloc": f"cpu={cores},mem={cores * 2000}M,node={4 if wide else 1},billing={cores}",
            "TimeLimit": draw.choice(("1-00:00:00", "12:00:00", "2:00:00")),
            "SubmitTime": _NOW - at,
            "StartTime": _NOW - at // 2 if runs else "N/A",
            "EndTime": "N/A",
            "NodeList": f"wn[{first:05}-{first + 3:05}]" if wide else f"wn{first:05}" if runs else "",
            "Reason": "None" if runs else draw.choice(("Priority", "Resources", "Dependency")),
            "PriorityLong": draw.randrange(1, 100_000),
            "RestartCnt": 0,
            "exit_code": 0,
        }


def past(count: int) -> Iterator[dict[str, object]]:
    """Jobs that have ended, each with the step of its script."""
    draw = Random(8)
    for at in range(count):
        job = {
            "JobName": f"wn-{draw.randbytes(12).hex()}-{_NOW - at:x}",
            "JobID": 1_000_000 + at,
            "State": draw.choice(("COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "CANCELLED by 1000")),
            "ExitCode": "0:0",
            "Submit": _NOW - at - 9000,
            "Start": _NOW - at - 8000,
            "End": _NOW - at % 500,
            "User": f"user{draw.randrange(800)}",
            "Group": f"group{draw.randrange(60)}",
            "Account": f"account{draw.randrange(60)}",
            "Partition": "grid",
            "QOS": "normal",
            "AllocTRES": "billing=1,cpu=1,mem=2000M,node=1",
            "NodeList": f"wn{draw.randrange(1, NODES):05}",
            "TotalCPU": "02:10:00",
        }
        yield job
        step = {"JobName": "batch", "JobID": f"{job['JobID']}.batch", "MaxRSS": "1800000K", "User": ""}
        yield job | step


def write(folder: Path, nodes: int, count: int) -> None:
    """The listings, as files."""
    with (folder / "squeue").open("wb") as file:
        file.writelines(lines(jobs.COLUMNS, b"|", queue(count, nodes)))
    with (folder / "sacct").open("wb") as file:
        file.writelines(lines(accounting.COLUMNS, b" ", past(count)))
    with (folder / "scontrol").open("w") as file:
        file.writelines(
            _NODE.format(
                name=f"wn{at:05}", taken=12, rack=at // 40, state="MIXED+DRAIN" if at % 50 == 0 else "MIXED"
            )
            for at in range(1, nodes + 1)
        )


async def _measured(folder: Path, what: str) -> None:
    async def instead(command: Command) -> Answer:
        if "config" in command.argv:
            return Answer(0, _CONFIG.encode())
        return await run(msgspec.structs.replace(command, argv=("cat", str(folder / command.argv[0]))))

    def lookup(who: str | int) -> Account | None:
        return Account("wnodes", 990, 990, "/")

    backend = SlurmBackend(
        "grid", {"submit_as": "sudo"}, runner=instead, clock=lambda: _NOW + 1, lookup=lookup, own=990
    )
    before = time.process_time()
    if what == "snapshot":
        snapshot = await backend.snapshot()
        count = len(snapshot.jobs)
        assert len(snapshot.nodes) == NODES
    else:
        count = len((await backend.finished("")).records)
    assert count == JOBS, count
    seconds = time.process_time() - before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    read = ("squeue", "scontrol") if what == "snapshot" else ("sacct",)
    megabytes = sum((folder / name).stat().st_size for name in read) / 1e6
    sys.stdout.write(json.dumps({"megabytes": megabytes, "seconds": seconds, "memory": memory}))


def measure(folder: Path, what: str) -> Figure:
    """One thing in a process of its own, the best of three."""
    argv = [sys.executable, "-m", "bench.batch", "--folder", str(folder), "--only", what]
    told = [json.loads(subprocess.run(argv, check=True, capture_output=True).stdout) for _ in range(3)]
    best = min(told, key=lambda each: each["seconds"])
    return Figure(what, best["megabytes"], best["seconds"], max(each["memory"] for each in told))


def main() -> int:
    """0 when all of it was measured, whatever was kept."""
    parser = ArgumentParser("bench.batch", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where listings are (made anew, if it is left out)")
    parser.add_argument("--only", choices=("snapshot", "endings"))
    args = parser.parse_args()
    if args.only:
        asyncio.run(_measured(args.folder, args.only))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), NODES, JOBS)
        figures = [measure(Path(folder), what) for what in ("snapshot", "endings")]
    said = {
        "snapshot": f"Slurm: a snapshot of {NODES:,} nodes and {JOBS:,} jobs, two commands",
        "endings": f"Slurm: {JOBS:,} endings in accounting, with their steps, one command",
    }
    table = "| what | read | our own time | | memory at most |\n|---|---:|---:|---:|---:|\n"
    for each in figures:
        table += (
            f"| {said[each.what]} | {each.megabytes:.0f} MB | {each.seconds:.2f} s "
            f"| {each.megabytes / each.seconds:.0f} MB/s | {each.memory:.0f} MiB |\n"
        )
    kept = figures[0].seconds < MOST_SECONDS and figures[0].memory < MOST_MEMORY
    word = "kept" if kept else "NOT KEPT"
    table += f"\nPromised: a snapshot in less than {MOST_SECONDS:g} s and {MOST_MEMORY:g} MiB: {word}.\n"
    sys.stdout.write(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
