"""Submissions a second on a real Slurm, by the driver and by bare commands: `python -m labs.slurm.rate`.

Bare is `sbatch --hold` and `scontrol release` for each job, from a shell, eight at a time; ours is the
driver's `submit`, eight at a time, with releases of what has been submitted meanwhile, as the daemon does it.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import time
from statistics import median
from typing import Final

from labs.slurm.cluster import Cluster, missing, running
from labs.slurm.driving import driver, slot
from wnodes_engine.backend import Action, JobRef, Verdict
from wnodes_slurm.backend import SlurmBackend

AT_ONCE: Final = 8
JOBS: Final = 200
ROUNDS: Final = 5
BARE: Final = (
    "seq {jobs} | xargs -P {at_once} -n 1 sh -c 'scontrol release "
    "$(sbatch --parsable --hold --uid=games --gid=60 --account=cloud --partition=grid --nodes=1 --ntasks=1 "
    "--cpus-per-task=16 --mem=64M --time=15 --chdir=/tmp --output=/dev/null --export=NIL {script})'"
)


def bare(cluster: Cluster) -> None:
    """So many jobs, by Slurm's own commands alone."""
    script = cluster.folder / "jobs" / "script"
    script.write_text("#!/bin/sh\nsleep 600\n")
    line = BARE.format(jobs=JOBS, at_once=AT_ONCE, script=script)
    subprocess.run(("sh", "-c", line), env=cluster.environment, check=True, stdout=subprocess.DEVNULL)


async def ours(backend: SlurmBackend) -> None:
    """As many, by the driver."""
    waiting: asyncio.Queue[JobRef] = asyncio.Queue()
    left = iter(range(JOBS))

    async def submitting() -> None:
        for _ in left:
            answer = await backend.submit(slot(excluded=("g1", "g2", "g3", "g4")[:3], cores=16))
            assert isinstance(answer, JobRef), answer
            waiting.put_nowait(answer)

    async def releasing() -> None:
        released = 0
        while released < JOBS:
            refs = [await waiting.get()]
            while not waiting.empty():
                refs.append(waiting.get_nowait())
            outcomes = await backend.act(Action.RELEASE, refs)
            assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.DONE}
            released += len(refs)

    await asyncio.gather(releasing(), *(submitting() for _ in range(AT_ONCE)))


def processor() -> float:
    """Seconds of the processor that this process and its children have taken."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def main() -> int:
    """0 when it has measured."""
    if reason := missing():
        sys.stderr.write(f"{reason}\n")
        return 1
    os.environ.setdefault("WNODES_SLURM_PORT", "31500")
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    cpu: dict[str, list[float]] = {"bare": [], "ours": []}
    with running() as cluster:
        backend = driver(cluster)
        for _ in range(ROUNDS):
            for name in seconds:
                before, start = processor(), time.perf_counter()
                bare(cluster) if name == "bare" else asyncio.run(ours(backend))
                seconds[name].append(time.perf_counter() - start)
                cpu[name].append(processor() - before)
                cluster.clear()
    ratios = [ours / bare for ours, bare in zip(seconds["ours"], seconds["bare"], strict=True)]
    lines = ["| submitted held and released | jobs/s | processor a job |", "|---|---:|---:|"]
    for name, said in (("bare", "`sbatch --hold`, `scontrol release`"), ("ours", "the driver")):
        rate, each = JOBS / median(seconds[name]), 1000 * median(cpu[name]) / JOBS
        lines.append(f"| {said} | {rate:.0f} | {each:.1f} ms |")
    change = 100 * median(ratios) - 100
    lines.append(f"\nTime against bare commands, median of {ROUNDS} rounds: {change:+.0f} %.")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
