"""Measures the LSF driver at the size of a large site: `python -m bench.batch_lsf`, beside `bench.batch`.

Listings of 10,000 hosts and 100,000 jobs, in the forms of LSF 10.1 (JSON), of an LSF without JSON and of a
system that tells most in its long listing, go through a whole snapshot of the driver; so do as many endings.
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
from typing import Any, Final

import msgspec
from bench.batch import JOBS, MOST_MEMORY, MOST_SECONDS, NODES, Figure
from wnodes_batch.identity import Account
from wnodes_batch.runner import Answer, Command, run
from wnodes_lsf import fields
from wnodes_lsf.backend import LsfBackend
from wnodes_lsf.listing import DELIMITER, TEXT_DELIMITER

_NOW: Final = 1_795_400_000
_SMALL: Final = fields.NEEDED
_LSID: Final = {
    "json": "IBM Spectrum LSF Standard 10.1.0.13, Apr 14 2022\n",
    "delimited": "IBM Platform LSF Standard 9.1.3.0, July 4 2014\n",
    "long": "volclava project 2.2, Nov 23 2026\n",
}
_ACCT: Final = (
    '"JOB_FINISH" "10.108" {ended} {jobid} 1501 33554434 {slots} {submitted} 0 0 {started} "{user}" '
    '"{queue}" "select[type == any] rusage[mem=2000]" "" "" "login1" "/home/{user}" "" "" "" '
    '"1644826545.386" 0 1 "{host}" 64 100.0 "{name}" "#!/bin/sh;./run ""a b"";date" 7800.1 20.2 3748 0 -1 '
    '0 0 436 4 0 928 0 -1 0 0 0 19 2 -1 "" "{project}" 0 1 "" "" 0 1800000 0 "" "" "" "" 0 "" 0 "" -1 "" '
    '"" "" "" -1 "" "" 5136 "" {started} "" "" 5 1110 "default" 1041 "jfincache" 1086 "-1 -1 -1" 1032 "0" '
    '1033 "0" 0 -1 4194304 1024 "select[type == any]" "" -1\n'
)
_BLOCK: Final = (
    "\nJob <{jobid}>, Job Name <{job_name}>, User <{user}>, Project <{proj_name}>, Status <{stat}>, "
    "Queue <{queue}>, Command <#!/bin/sh;./run a b;date>\n"
    "Mon Nov 23 01:53:27: Submitted from host <login1>, CWD </home/{user}>, Output File </dev/null>, "
    "{nreq_slot} Task(s), Requested Resources <rusage[mem=2000] span[hosts=1]>;\n{start}"
    "\n RUNLIMIT                \n 1440.0 min                \n"
    "\n SCHEDULING PARAMETERS:\n           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp\n"
    " loadSched   -     -     -     -       -     -    -     -     -      -      -  \n"
    " loadStop    -     -     -     -       -     -    -     -     -      -      -  \n"
    "\n RESOURCE REQUIREMENT DETAILS:\n Combined: select[type == any] order[r15s:pg] rusage[mem=2000.00]\n"
    " Effective: select[type == any] order[r15s:pg] rusage[mem=2000.00]\n"
    "------------------------------------------------------------------------------\n"
)
_START: Final = (
    "Mon Nov 23 01:53:30: Started {slots} Task(s) on Host(s) {hosts}, "
    "Allocated {slots} Slot(s) on Host(s) {hosts}, Execution CWD </home/{user}>;\n"
)


def queue(ended: bool) -> Iterator[dict[str, str]]:
    """Half of the jobs run, a tenth of those on four hosts; half are ours."""
    draw = Random(7)
    for at in range(JOBS):
        runs, wide = ended or at % 2 == 0, at % 20 == 0
        cores = draw.choice((1, 1, 1, 2, 4, 8))
        first = draw.randrange(1, NODES - 4)
        hosts = [f"wn{first + more:05}" for more in range(4 if wide else 1)] if runs else []
        when = f"Nov 23 0{at % 10}:{at % 60:02}:{at % 59:02} 2026"
        yield {
            "jobid": str(1_000_000 + at),
            "stat": "DONE" if ended else "RUN" if runs else "PEND",
            "user": f"user{draw.randrange(800)}",
            "queue": draw.choice(("grid", "short", "long")),
            "job_name": f"wn-{draw.randbytes(12).hex()}-{_NOW - at:x}" if at % 4 < 2 else f"analysis_{at}",
            "submit_time": when,
            "exec_host": ":".join(f"{cores}*{host}" if cores > 1 else host for host in hosts),
            "jobindex": "0",
            "proj_name": f"project{draw.randrange(60)}",
            "user_group": "-",
            "start_time": when if runs else "-",
            "finish_time": f"Nov 23 10:{at % 60:02}:{at % 59:02} 2026 L" if ended else "-",
            "nalloc_slot": str(cores * len(hosts)) if runs else "-",
            "alloc_slot": "",
            "nreq_slot": str(cores * (4 if wide else 1)),
            "slots": str(cores * (4 if wide else 1)),
            "runtimelimit": draw.choice(("1440:00:00", "720:00:00", "120:00:00")),
            "combined_resreq": "select[type == any] order[r15s:pg] rusage[mem=2000.00] span[hosts=1] ",
            "pend_reason": "" if runs else "Not enough job slots: 9000 hosts;",
            "exit_code": "-",
            "exit_reason": "-",
            "cpu_used": "7820.3 second(s)" if runs else "-",
            "max_mem": "1.8 Gbytes" if runs else "-",
            "gpu_num": "-",
        }


def in_json(ended: bool, names: tuple[str, ...]) -> bytes:
    """The listing of LSF 10.1 or, with a few names, of a system that knows no more."""
    records = [{name.upper(): said[name] for name in names} for said in queue(ended)]
    return json.dumps({"COMMAND": "bjobs", "JOBS": JOBS, "RECORDS": records}, indent=2).encode()


def in_lines(names: tuple[str, ...], by: str) -> bytes:
    """The listing of an LSF without JSON, in one of its parts."""
    rows = (by.join(said[name] or "-" for name in names) for said in queue(ended=False))
    return "\n".join([by.join(names).upper(), *rows, ""]).encode()


def in_full() -> bytes:
    """The long listing."""
    blocks = []
    for said in queue(ended=False):
        hosts = [part for place in said["exec_host"].split(":") for part in _each(place)]
        shown = " ".join(f"<{host}>" for host in hosts)
        start = _START.format(slots=len(hosts), hosts=shown, user=said["user"]) if hosts else ""
        blocks.append(_BLOCK.format(start=start, **said))
    return "".join(blocks).encode()


def _each(place: str) -> list[str]:
    count, star, host = place.partition("*")
    return [host] * int(count) if star else [place] if place else []


def accounted() -> bytes:
    """As many records of lsb.acct."""
    draw = Random(8)
    return "".join(
        _ACCT.format(
            ended=_NOW - at % 500, jobid=1_000_000 + at, slots=draw.choice((1, 2, 4)),
            submitted=_NOW - at - 9000, started=_NOW - at - 8000, user=f"user{draw.randrange(800)}",
            queue="grid", project="default",
            host=f"wn{draw.randrange(1, NODES):05}", name=f"wn-{draw.randbytes(12).hex()}-{_NOW - at:x}",
        )
        for at in range(JOBS)
    ).encode()  # fmt: skip


def write(folder: Path) -> None:
    """The listings, as files."""
    names = [f"wn{at:05}" for at in range(1, NODES + 1)]
    hosts = [{"HOST_NAME": name, "STATUS": "ok", "MAX": "64", "NGPUS": "2"} for name in names]
    bhosts = "HOST_NAME          STATUS          JL/U    MAX  NJOBS    RUN  SSUSP  USUSP    RSV \n"
    bhosts += "".join(
        f"{name:18} ok                 -     64     12     12      0      0      0\n" for name in names
    )
    lshosts = "HOST_NAME                       type       model  cpuf ncpus maxmem maxswp server RESOURCES\n"
    row = " X86_64 Intel_EM64T  60.0    64   250G     4G    Yes (mg ssd rack1)\n"
    lshosts += "".join(f"{name:30}{row}" for name in names)
    texts = {
        "json.bjobs": in_json(False, fields.WANTED),
        "long.bjobs": in_json(False, _SMALL),
        "long.full": in_full(),
        "delimited.bjobs": in_lines(fields.PLAIN, DELIMITER),
        "delimited.names": in_lines(fields.TEXTS, TEXT_DELIMITER),
        "endings.bjobs": in_json(True, fields.WANTED),
        "acct": accounted(),
        "hosts.json": json.dumps({"COMMAND": "bhosts", "HOSTS": NODES, "RECORDS": hosts}).encode(),
        "hosts.text": bhosts.encode(),
        "lshosts": lshosts.encode(),
    }
    for name, text in texts.items():
        (folder / name).write_bytes(text)


async def _measured(folder: Path, what: str) -> None:
    form = what if what in _LSID else "json"
    read: list[Path] = []

    async def instead(command: Command) -> Answer:
        argv = command.argv
        match argv[0]:
            case "lsid":
                return Answer(0, _LSID[form].encode())
            case "bparams" | "lsclusters":
                return Answer(0)
            case "bhosts":
                name = "hosts.json" if "-json" in argv else "hosts.text"
            case "lshosts":
                name = "lshosts"
            case _ if "-UF" in argv:
                name = "long.full"
            case _ if "-json" in argv and form == "delimited":
                return Answer(255, said="bjobs: invalid option -- 'j'\nUsage: bjobs")
            case _:
                asked = argv[argv.index("-o") + 1]
                name = "endings.bjobs" if what == "endings" else f"{form}.bjobs"
                if form == "long" and set(asked.split()) != set(_SMALL):
                    wrong = next(word for word in reversed(asked.split()) if word not in _SMALL)
                    return Answer(
                        99, said=f"<{wrong.upper()}> in the format string is not a valid field name."
                    )
                if asked.endswith(f"delimiter='{TEXT_DELIMITER}'"):
                    name = "delimited.names"
        read.append(folder / name)
        return await run(msgspec.structs.replace(command, argv=("cat", str(folder / name))))

    def lookup(_: str | int) -> Account | None:
        return Account("wnodes", 990, 990, "/")

    options: dict[str, Any] = {"submit_as": "sudo"}
    if what == "acct":
        options |= {"accounting": str(folder / "acct")}
    backend = LsfBackend("grid", options, runner=instead, clock=lambda: _NOW + 1, lookup=lookup, own=990)
    before = time.process_time()
    if what in _LSID:
        snapshot = await backend.snapshot()
        count = len(snapshot.jobs)
        assert len(snapshot.nodes) == NODES
    else:
        count, cursor, more = 0, f"seen:{_NOW}:x:0" if what == "endings" else "", True
        while more:
            page = await backend.finished(cursor)
            count, cursor, more = count + len(page.records), page.cursor, page.more
    seconds = time.process_time() - before
    assert count == JOBS, count
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    megabytes = sum(path.stat().st_size for path in read or [folder / "acct"]) / 1e6
    sys.stdout.write(json.dumps({"megabytes": megabytes, "seconds": seconds, "memory": memory}))


SAID: Final = {
    "json": f"LSF in JSON: a snapshot of {NODES:,} hosts and {JOBS:,} jobs, three commands",
    "delimited": "LSF without JSON: the same, four commands",
    "long": "a system that tells most in its long listing: the same, four commands",
    "endings": f"LSF: {JOBS:,} endings in JSON, one command",
    "acct": f"LSF: {JOBS:,} endings in lsb.acct",
}


def measure(folder: Path, what: str) -> Figure:
    """One thing in a process of its own, the best of three."""
    argv = [sys.executable, "-m", "bench.batch_lsf", "--folder", str(folder), "--only", what]
    told = [json.loads(subprocess.run(argv, check=True, capture_output=True).stdout) for _ in range(3)]
    best = min(told, key=lambda each: each["seconds"])
    return Figure(what, best["megabytes"], best["seconds"], max(each["memory"] for each in told))


def main() -> int:
    """0 when all of it was measured, whatever was kept."""
    parser = ArgumentParser("bench.batch_lsf", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where listings are (made anew, if it is left out)")
    parser.add_argument("--only", choices=[*SAID, "write"])
    args = parser.parse_args()
    if args.only == "write":
        write(args.folder)
        return 0
    if args.only:
        asyncio.run(_measured(args.folder, args.only))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        # in a process of its own: what a parent held counts as what its children hold
        argv = [sys.executable, "-m", "bench.batch_lsf", "--folder", folder, "--only", "write"]
        subprocess.run(argv, check=True)
        figures = [measure(Path(folder), what) for what in SAID]
    table = "| what | read | our own time | | memory at most |\n|---|---:|---:|---:|---:|\n"
    for each in figures:
        table += (
            f"| {SAID[each.what]} | {each.megabytes:.0f} MB | {each.seconds:.2f} s "
            f"| {each.megabytes / each.seconds:.0f} MB/s | {each.memory:.0f} MiB |\n"
        )
    missed = [
        SAID[each.what].partition(":")[0]
        for each in figures
        if each.what in _LSID and (each.seconds >= MOST_SECONDS or each.memory >= MOST_MEMORY)
    ]
    word = f"NOT KEPT by {', '.join(missed)}" if missed else "kept"
    table += f"\nPromised: a snapshot in less than {MOST_SECONDS:g} s and {MOST_MEMORY:g} MiB: {word}.\n"
    sys.stdout.write(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
