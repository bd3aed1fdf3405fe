"""What the stub shows: TORQUE's XML and OpenPBS's JSON, element by element as they were recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

import msgspec
from wnodes_engine.backend import Ending, JobRef, JobState, SlotRequest
from wnodes_engine.values import Node
from wnodes_simulated.farm import FarmJob
from wnodes_torque.options import Dialect

SERVER = "srv"
STATES = {JobState.HELD: "H", JobState.PENDING: "Q", JobState.RUNNING: "R", JobState.SUSPENDED: "S"}


class Waiting(msgspec.Struct):
    """A job that PBS has taken, and that can never run."""

    ref: JobRef
    slot: SlotRequest
    nodes: tuple[tuple[str, int], ...] = ()
    started_at: int | None = None

    @property
    def state(self) -> JobState:
        return JobState.HELD if self.slot.held else JobState.PENDING

    @property
    def walltime(self) -> int | None:
        return self.slot.walltime


USED = {"cput": "00:00:01", "mem": "6420kb", "vmem": "11640kb", "walltime": "00:00:20"}


def xml(shown: Mapping[str, Mapping[str, Any]]) -> str:
    jobs = "".join(f"<Job><Job_Id>{id_}</Job_Id>{_elements(job)}</Job>" for id_, job in shown.items())
    return f'<?xml version="1.0"?>\n<Data>{jobs}</Data>\n'


def _elements(said: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_elements(value) if isinstance(value, dict) else escape(str(value))}</{name}>"
        for name, value in said.items()
    )


def torque_job(
    slot: SlotRequest, created: int, holds: str, job: FarmJob | Waiting | Ending
) -> dict[str, Any]:
    ended = isinstance(job, Ending)
    cores = _cores(job, slot)
    shown: dict[str, Any] = {
        "Job_Name": slot.name,
        "Job_Owner": f"{slot.user}@localhost",
        **({"resources_used": USED} if job.started_at is not None else {}),
        "job_state": "C" if ended else STATES[job.state],
        "queue": slot.queue,
        "server": SERVER,
        **({"Account_Name": slot.account} if slot.account else {}),
        "ctime": created,
        **({"exec_host": hosts(cores, Dialect.TORQUE)} if cores else {}),
        "Hold_Types": holds,
        "mtime": created,
        "qtime": created,
        "Rerunable": slot.rerun,
        "Resource_List": {
            "nodes": f"{slot.count}:ppn={slot.cores}",
            **({"mem": f"{slot.memory * slot.count}mb"} if slot.memory else {}),
            **({"walltime": _clock(_walltime(job, slot))} if _walltime(job, slot) is not None else {}),
        },
        "substate": 59 if ended else 42 if cores else 20,
        "Variable_List": f"PBS_O_QUEUE={slot.queue},PBS_O_HOME=/home/{slot.user},WORDS=a<b>&c",
        "euser": slot.user,
        "egroup": "users",
    }
    if job.started_at is not None:
        shown |= {"start_time": job.started_at, "start_count": 1}
    if ended and job.started_at is not None:
        shown["exit_status"] = exit_code(job, Dialect.TORQUE)
    if ended:
        shown["comp_time"] = job.ended_at
    return shown


def pbs_job(slot: SlotRequest, created: int, holds: str, job: FarmJob | Waiting | Ending) -> dict[str, Any]:
    ended = isinstance(job, Ending)
    cores = _cores(job, slot)
    killed = ended and job.state is JobState.CANCELLED
    shown: dict[str, Any] = {
        "Job_Name": slot.name,
        "Job_Owner": f"{slot.user}@{SERVER}",
        **({"resources_used": USED} if job.started_at is not None else {}),
        "job_state": "F" if ended else STATES[job.state],
        "queue": slot.queue,
        **({"Account_Name": slot.account} if slot.account else {}),
        "ctime": _date(created),
        **({"exec_host": hosts(cores, Dialect.PBS)} if cores else {}),
        **({"exec_vnode": vnodes(cores)} if cores else {}),
        "Hold_Types": holds,
        "mtime": _date(job.ended_at if ended else created),
        "Resource_List": {
            "ncpus": slot.cores * slot.count,
            **({"mem": f"{slot.memory * slot.count}mb"} if slot.memory else {}),
            **({"walltime": _clock(_walltime(job, slot))} if _walltime(job, slot) is not None else {}),
        },
        "substate": 91 if killed else 92 if ended else 42 if cores else 20,
        "Variable_List": {"PBS_O_HOME": f"/home/{slot.user}", "SECS": 20},
        "euser": slot.user,
        "egroup": "users",
        "project": "_pbs_project_default",
    }
    if job.started_at is not None:
        shown |= {"stime": _date(job.started_at), "run_count": 1}
    if ended and job.started_at is not None:
        shown |= {"obittime": _date(job.ended_at), "Exit_status": exit_code(job, Dialect.PBS)}
    return shown


def _walltime(job: FarmJob | Waiting | Ending, slot: SlotRequest) -> int | None:
    return slot.walltime if isinstance(job, Ending) else job.walltime


def _cores(job: FarmJob | Waiting | Ending, slot: SlotRequest) -> tuple[tuple[str, int], ...]:
    if isinstance(job, Ending):
        return job.nodes
    return tuple((name, parts * slot.cores) for name, parts in job.nodes)


def hosts(cores: Iterable[tuple[str, int]], dialect: Dialect) -> str:
    if dialect is Dialect.TORQUE:
        return "+".join(f"{name}/{slots(0, many)}" for name, many in cores)
    return "+".join(f"{name}/0*{many}" if many > 1 else f"{name}/0" for name, many in cores)


def slots(first: int, many: int) -> str:
    return str(first) if many == 1 else f"{first}-{first + many - 1}"


def exit_code(ending: Ending, dialect: Dialect) -> int:
    """Of a job that was deleted TORQUE tells 256 and the signal, PBS 128 and the signal."""
    if ending.exit_status is None or ending.exit_status > 255:
        return 271 if dialect is Dialect.TORQUE else 143
    return ending.exit_status


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds % 3600 // 60:02}:{seconds % 60:02}"


def _date(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%a %b %e %H:%M:%S %Y")


def vnodes(cores: Iterable[tuple[str, int]]) -> str:
    return "+".join(f"({name}:ncpus={many})" for name, many in cores)


def node_state(node: Node, taken: int, closed: bool, full: str) -> str:
    """The words of a node's state: `free`, or all that is so, as `down,offline`."""
    words = ["down"] if not node.up and not closed else []
    words += ["offline"] if closed else []
    words += [full] if taken >= node.cores else []
    return ",".join(words) or "free"


def torque_node(node: Node, taken: int, jobs: Iterable[str], closed: bool, notes: Mapping[str, str]) -> str:
    running = f"<jobs>{','.join(jobs)}</jobs>" if taken else ""
    note = f"<note>{escape(notes[node.name])}</note>" if node.name in notes else ""
    return (
        f"<Node><name>{node.name}</name><state>{node_state(node, taken, closed, 'job-exclusive')}</state>"
        f"<power_state>Running</power_state><np>{node.cores}</np><properties>bigmem</properties>"
        f"<ntype>cluster</ntype>{running}<status>opsys=linux,uname=Linux vm 6.18 #1 SMP @0 x86_64,"
        f"sessions=22317 22334,nsessions=2,totmem=99999999kb,physmem={node.memory * 1024}kb,ncpus=2,"
        f"loadave=2.37,gres=,state=free,varattr= ,version=master,rectime=1795400721,jobs=</status>{note}"
        "<mom_service_port>30001</mom_service_port></Node>"
    )


def pbs_node(node: Node, taken: int, closed: bool, notes: Mapping[str, str]) -> dict[str, Any]:
    shown = {
        "Mom": node.name,
        "ntype": "PBS",
        "state": node_state(node, taken, closed, "job-busy"),
        "resources_available": {
            "arch": "linux",
            "host": node.name,
            "mem": f"{node.memory * 1024}kb",
            "ncpus": node.cores,
            "vnode": node.name,
        },
        "resources_assigned": {"ncpus": taken} if taken else {},
    }
    return shown | ({"comment": notes[node.name]} if node.name in notes else {})


def torque_server(managers: str, keep: int) -> str:
    return (
        f"Server: {SERVER}\n    server_state = Active\n    scheduling = True\n    managers = {managers}\n"
        f"    query_other_jobs = True\n    keep_completed = {keep}\n    pbs_version = master\n\n"
    )


def pbs_server(managers: str, keep: int) -> dict[str, Any]:
    return {
        "server_state": "Active",
        "scheduling": "True",
        "managers": managers,
        "query_other_jobs": "True",
        "job_history_enable": "True" if keep else "False",
        "resources_default": {"ncpus": 1},
    }


def record(ending: Ending, slot: SlotRequest, created: int, dialect: Dialect) -> str:
    """The text of a record of an end, as the accounting logs have it."""
    torque = dialect is Dialect.TORQUE
    quote = "" if torque else '"'
    account = f"account={quote}{slot.account}{quote} " if slot.account else ""
    where = f"exec_host={hosts(ending.nodes, dialect)} "
    where += "" if torque else f"exec_vnode={vnodes(ending.nodes)} "
    return (
        f"user={slot.user} group=users {account}jobname={slot.name} queue={slot.queue} ctime={created} "
        f"qtime={created} etime={created} start={ending.started_at} owner={slot.user}@{SERVER} {where}"
        f"Resource_List.mem={slot.memory * slot.count}mb Resource_List.walltime=00:15:00 session=4615 "
        f"total_execution_slots={ending.cores} unique_node_count={len(ending.nodes)} end={ending.ended_at} "
        f"Exit_status={exit_code(ending, dialect)} resources_used.cput=1 resources_used.mem=6420kb "
        "resources_used.walltime=00:00:20"
    )
