"""Measures the driver of TORQUE and PBS at the size of a large site: `python -m bench.batch_torque`.

Listings of 10,000 nodes and 100,000 jobs go through a whole snapshot of the driver, and as many endings
through its accounting log; `cat` stands in for the systems' own programs, so what is measured is ours.
Neither system lets one choose what is shown of a job: each brings its user's environment along.
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
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from bench.batch import JOBS, MOST_MEMORY, MOST_SECONDS, NODES, Figure
from wnodes_batch.identity import Account
from wnodes_batch.runner import Answer, Command, run
from wnodes_torque.backend import TorqueBackend
from wnodes_torque.options import Dialect

_NOW: Final = 1_795_000_000
_PATH: Final = "/usr/local/bin:/usr/bin:/bin:/opt/site/bin:/opt/site/mpi/bin"
_WHAT: Final = ("snapshot", "endings")
_HEAD: Final = '{"timestamp":1795000000,"pbs_version":"23.06.06","pbs_server":"head",'
_SAID: Final = {
    Dialect.TORQUE: ("qstat --version", "Version: 6.1.2", "Server: head\n    scheduling = True\n"),
    Dialect.PBS: (
        "qstat --version",
        "pbs_version = 23.06.06",
        _HEAD + '"Server":{"head":{"scheduling":"True"}}}',
    ),
}


def jobs(count: int, nodes: int) -> Iterator[dict[str, str | int]]:
    """Half of the jobs run, a tenth of those on four nodes; half are ours."""
    draw = Random(7)
    for at in range(count):
        runs, wide = at % 2 == 0, at % 20 == 0
        cores, first = draw.choice((1, 1, 1, 2, 4, 8)), draw.randrange(1, nodes - 4)
        hosts = [f"wn{first + step:05}.site.org" for step in range(4 if wide else 1)] if runs else []
        ours = at % 4 < 2
        yield {
            "id": f"{1_000_000 + at}.head.site.org",
            "name": f"wn-{draw.randbytes(12).hex()}-{_NOW - at:x}" if ours else f"analysis_{at}",
            "user": f"user{draw.randrange(800)}",
            "group": f"group{draw.randrange(60)}",
            "account": f"account{draw.randrange(60)}",
            "queue": draw.choice(("grid", "short", "long")),
            "state": "R" if runs else "Q",
            "cores": cores,
            "parts": max(1, len(hosts)),
            "created": _NOW - at,
            "started": _NOW - at // 2 if runs else 0,
            "torque_hosts": "+".join(f"{host}/0-{cores - 1}" if cores > 1 else f"{host}/0" for host in hosts),
            "pbs_hosts": "+".join(f"{host}/0*{cores}" for host in hosts),
            "vnodes": "+".join(f"({host}:ncpus={cores})" for host in hosts),
            "limit": draw.choice(("24:00:00", "12:00:00", "02:00:00")),
        }


def torque_job(job: dict[str, str | int]) -> str:
    """A job as `qstat -x` shows it."""
    user, name = job["user"], job["name"]
    placed = f"<exec_host>{job['torque_hosts']}</exec_host>" if job["torque_hosts"] else ""
    used = (
        "<resources_used><cput>02:10:00</cput><energy_used>0</energy_used><mem>1800000kb</mem>"
        "<vmem>2400000kb</vmem><walltime>02:20:00</walltime></resources_used>"
    )
    ran = f"<start_time>{job['started']}</start_time><start_count>1</start_count>" if placed else ""
    return (
        f"<Job><Job_Id>{job['id']}</Job_Id><Job_Name>{name}</Job_Name>"
        f"<Job_Owner>{user}@ui.site.org</Job_Owner>"
        f"{used if placed else ''}<job_state>{job['state']}</job_state><queue>{job['queue']}</queue>"
        f"<server>head.site.org</server><Account_Name>{job['account']}</Account_Name>"
        f"<ctime>{job['created']}</ctime><Error_Path>ui.site.org:/home/{user}/{name}.out</Error_Path>{placed}"
        f"<Hold_Types>n</Hold_Types><Join_Path>oe</Join_Path><Keep_Files>n</Keep_Files>"
        f"<mtime>{job['created']}</mtime><Output_Path>ui.site.org:/home/{user}/{name}.out</Output_Path>"
        f"<Priority>0</Priority><qtime>{job['created']}</qtime><Rerunable>False</Rerunable><Resource_List>"
        f"<mem>{job['cores']}000mb</mem><nodes>{job['parts']}:ppn={job['cores']}</nodes><nodect>1</nodect>"
        f"<neednodes>{job['parts']}:ppn={job['cores']}</neednodes><walltime>{job['limit']}"
        f"</walltime></Resource_List>"
        f"<session_id>4615</session_id><substate>{42 if placed else 10}</substate>"
        f"<Variable_List>PBS_O_QUEUE=grid,"
        f""
        f"PBS_O_HOME=/home/{user},PBS_O_LOGNAME={user},PBS_O_PATH={_PATH},PBS_O_SHELL=/bin/bash,PBS_O_LANG=C.UTF-8,"
        f"PBS_O_WORKDIR=/home/{user},PBS_O_HOST=ui.site.org,PBS_O_SERVER=head.site.org</Variable_List>"
        f"<euser>{user}</euser><egroup>{job['group']}</egroup><queue_rank>1</queue_rank>"
        f"<queue_type>E</queue_type>"
        f"<etime>{job['created']}</etime><submit_args>-N {name} -l nodes={job['parts']}:ppn={job['cores']}"
        f"</submit_args>{ran}<fault_tolerant>False</fault_tolerant><job_radix>0</job_radix>"
        f"<submit_host>ui.site.org"
        f"</submit_host><init_work_dir>/home/{user}</init_work_dir><request_version>1</request_version></Job>"
    )


def pbs_job(job: dict[str, str | int]) -> dict[str, object]:
    """A job as `qstat -f -F json` shows it."""
    user, name, placed = job["user"], job["name"], bool(job["vnodes"])
    when = datetime.fromtimestamp(int(job["created"]), UTC).strftime("%a %b %e %H:%M:%S %Y")
    total = int(job["cores"]) * int(job["parts"])
    used = {"cpupercent": 99, "cput": "02:10:00", "mem": "1800000kb", "ncpus": total, "vmem": "2400000kb"}
    shown: dict[str, object] = {
        "Job_Name": name,
        "Job_Owner": f"{user}@ui.site.org",
        **({"resources_used": used} if placed else {}),
        "job_state": job["state"],
        "queue": job["queue"],
        "server": "head.site.org",
        "Account_Name": job["account"],
        "Checkpoint": "u",
        "ctime": when,
        "Error_Path": f"ui.site.org:/home/{user}/{name}.out",
        **({"exec_host": job["pbs_hosts"], "exec_vnode": job["vnodes"]} if placed else {}),
        "Hold_Types": "n",
        "Join_Path": "oe",
        "Keep_Files": "n",
        "Mail_Points": "n",
        "mtime": when,
        "Output_Path": f"ui.site.org:/home/{user}/{name}.out",
        "Priority": 0,
        "qtime": when,
        "Rerunable": "False",
        "Resource_List": {
            "mem": f"{total}000mb",
            "ncpus": total,
            "nodect": job["parts"],
            "place": "free",
            "select": f"{job['parts']}:ncpus={job['cores']}",
            "walltime": job["limit"],
        },
        **({"stime": when, "session_id": 4615, "run_count": 1} if placed else {}),
        "substate": 42 if placed else 10,
        "Variable_List": {
            "PBS_O_HOME": f"/home/{user}",
            "PBS_O_LANG": "C.UTF-8",
            "PBS_O_LOGNAME": user,
            "PBS_O_PATH": _PATH,
            "PBS_O_SHELL": "/bin/bash",
            "PBS_O_WORKDIR": f"/home/{user}",
            "PBS_O_SYSTEM": "Linux",
            "PBS_O_QUEUE": "grid",
            "PBS_O_HOST": "ui.site.org",
        },
        "euser": user,
        "egroup": job["group"],
        "queue_rank": 1795401312544601,
        "queue_type": "E",
        "etime": when,
        "Submit_arguments": f"-N {name} -l select={job['parts']}:ncpus={job['cores']}",
        "project": "_pbs_project_default",
        "Submit_Host": "ui.site.org",
    }
    return shown


def record(job: dict[str, str | int], at: int) -> str:
    """A line of the accounting log."""
    when = datetime.fromtimestamp(_NOW - 20_000 + at // 10, UTC)
    end = _NOW - 20_000 + at // 10
    return (
        f"{when:%m/%d/%Y %H:%M:%S};E;{job['id']};user={job['user']} group={job['group']} "
        f"account={job['account']} "
        f"jobname=analysis_{at} queue={job['queue']} ctime={end - 9000} qtime={end - 9000} "
        f"etime={end - 9000} "
        f"start={end - 8000} owner={job['user']}@ui.site.org exec_host=wn{at % NODES:05}.site.org/0-3 "
        "Resource_List.mem=4000mb Resource_List.neednodes=1:ppn=4 Resource_List.nodect=1 "
        f"Resource_List.nodes=1:ppn=4 Resource_List.walltime=24:00:00 session=4615 total_execution_slots=4 "
        f"unique_node_count=1 end={end} Exit_status=0 resources_used.cput=7800 resources_used.energy_used=0 "
        "resources_used.mem=1800000kb resources_used.vmem=2400000kb resources_used.walltime=02:13:20\n"
    )


def write(folder: Path) -> None:
    """The listings and the log, as files."""
    names = [f"wn{at:05}.site.org" for at in range(1, NODES + 1)]
    with (folder / "torque.qstat").open("w") as file:
        file.write('<?xml version="1.0"?>\n<Data>')
        file.writelines(torque_job(job) for job in jobs(JOBS, NODES))
        file.write("</Data>\n")
    with (folder / "torque.pbsnodes").open("w") as file:
        status = (
            "opsys=linux,uname=Linux wn 5.14.0,nsessions=9,totmem=300000000kb,physmem=256000000kb,ncpus=64"
        )
        file.write("<Data>")
        file.writelines(
            f"<Node><name>{name}</name><state>{'offline' if at % 50 == 0 else 'free'}</state>"
            f"<power_state>Running"
            f"</power_state><np>64</np><properties>ssd,rack{at // 40}</properties><ntype>cluster</ntype>"
            f"<jobs>0-3/1{at}.head,4/2{at}.head,5-12/3{at}.head</jobs>"
            f"<status>{status},loadave=12.03,jobs=1{at}.head"
            "</status><mom_service_port>15002</mom_service_port></Node>"
            for at, name in enumerate(names)
        )
        file.write("</Data>\n")
    with (folder / "pbs.qstat").open("w") as file:
        file.write(_HEAD + '"Jobs":{')
        for at, job in enumerate(jobs(JOBS, NODES)):
            shown = json.dumps(pbs_job(job), indent="\t", separators=(",", ":\t"))
            file.write(f'{"," if at else ""}\n\t\t"{job["id"]}":\t{shown}')
        file.write("}}\n")
    with (folder / "pbs.pbsnodes").open("w") as file:
        nodes = {
            name: {
                "Mom": name,
                "ntype": "PBS",
                "state": "offline" if at % 50 == 0 else "free",
                "resources_available": {"host": name, "mem": "256000000kb", "ncpus": 64, "vnode": name},
                "resources_assigned": {"ncpus": 12},
            }
            for at, name in enumerate(names)
        }
        file.write(_HEAD + '"nodes":' + json.dumps(nodes, indent="\t") + "}\n")
    (folder / "log").mkdir()
    for at, job in enumerate(jobs(JOBS, NODES)):
        line = record(job, at)
        day = f"{line[6:10]}{line[:2]}{line[3:5]}"
        with (folder / "log" / day).open("a") as log:
            log.write(line)


async def _measured(folder: Path, dialect: Dialect, what: str) -> None:
    _, version, server = _SAID[dialect]

    async def instead(command: Command) -> Answer:
        if "--version" in command.argv:
            return Answer(0, version.encode())
        if "-B" in command.argv:
            return Answer(0, server.encode())
        listing = folder / f"{dialect}.{command.argv[0]}"
        return await run(msgspec.structs.replace(command, argv=("cat", str(listing))))

    def lookup(who: str | int) -> Account | None:
        return Account("wnodes", 990, 990, "/")

    options = {"submit_as": "sudo", "accounting": str(folder / "log")}
    backend = TorqueBackend("grid", options, runner=instead, clock=lambda: _NOW + 1, lookup=lookup, own=990)
    before = time.process_time()
    if what == "snapshot":
        snapshot = await backend.snapshot()
        count = len(snapshot.jobs)
        assert len(snapshot.nodes) == NODES
        read = [folder / f"{dialect}.{name}" for name in ("qstat", "pbsnodes")]
    else:
        count, cursor, more = 0, "", True
        while more:
            page = await backend.finished(cursor)
            count, cursor, more = count + len(page.records), page.cursor, page.more
        read = list((folder / "log").iterdir())
    assert count == JOBS, count
    seconds = time.process_time() - before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    megabytes = sum(path.stat().st_size for path in read) / 1e6
    sys.stdout.write(json.dumps({"megabytes": megabytes, "seconds": seconds, "memory": memory}))


def measure(folder: Path, dialect: Dialect, what: str) -> Figure:
    """One thing in a process of its own, the best of three."""
    argv = [sys.executable, "-m", "bench.batch_torque", "--folder", str(folder), "--only", what, dialect]
    told = [json.loads(subprocess.run(argv, check=True, capture_output=True).stdout) for _ in range(3)]
    best = min(told, key=lambda each: each["seconds"])
    return Figure(what, best["megabytes"], best["seconds"], max(each["memory"] for each in told))


def main() -> int:
    """0 when all of it was measured, whatever was kept."""
    parser = ArgumentParser("bench.batch_torque", description=__doc__)
    parser.add_argument("dialect", nargs="?", type=Dialect, help="whose listings")
    parser.add_argument("--folder", type=Path, help="where listings are (made anew, if it is left out)")
    parser.add_argument("--only", choices=_WHAT)
    args = parser.parse_args()
    if args.only:
        asyncio.run(_measured(args.folder, args.dialect, args.only))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        rows = [
            (
                f"TORQUE: a snapshot of {NODES:,} nodes and {JOBS:,} jobs, two commands",
                Dialect.TORQUE,
                "snapshot",
            ),
            (
                f"OpenPBS: a snapshot of {NODES:,} nodes and {JOBS:,} jobs, two commands",
                Dialect.PBS,
                "snapshot",
            ),
            (f"{JOBS:,} endings in an accounting log, read in pages", Dialect.TORQUE, "endings"),
        ]
        kept = True
        table = "| what | read | our own time | | memory at most |\n|---|---:|---:|---:|---:|\n"
        for said, dialect, what in rows:
            each = measure(Path(folder), dialect, what)
            if what == "snapshot":
                kept = kept and each.seconds < MOST_SECONDS and each.memory < MOST_MEMORY
            table += (
                f"| {said} | {each.megabytes:.0f} MB | {each.seconds:.2f} s "
                f"| {each.megabytes / each.seconds:.0f} MB/s | {each.memory:.0f} MiB |\n"
            )
    word = "kept" if kept else "NOT KEPT"
    table += f"\nPromised: a snapshot in less than {MOST_SECONDS:g} s and {MOST_MEMORY:g} MiB: {word}.\n"
    sys.stdout.write(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
