"""Slurm's commands as the driver uses them, before a simulated farm: its answers, its faults, its delays.

A farm that does not answer is a controller that is down; one whose answer is lost is a controller that hangs.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from wnodes_batch.hostlist import expand
from wnodes_batch.identity import Account
from wnodes_batch.runner import Answer, Command
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    BackendUnavailable,
    Ending,
    JobRef,
    JobState,
    NodeAction,
    SlotRequest,
    Verdict,
)
from wnodes_engine.values import Node
from wnodes_simulated.backend import SimulatedBackend
from wnodes_simulated.job import FarmJob
from wnodes_slurm import accounting, jobs
from wnodes_slurm.columns import Columns

DOWN = "Unable to contact slurm controller (connect failure)"
HUNG = "Socket timed out on send/recv operation"
CONFIG = """Configuration data as of {now}
AccountingStorageType = {accounting}
ClusterName = fake
DefMemPerCPU = 100
EnforcePartLimits = ALL
MinJobAge = 300 sec
SelectType = select/cons_tres
SelectTypeParameters = CR_CORE_MEMORY
SlurmUser = {user}(0)
SLURM_VERSION = 22.05.8
"""
STATES = {
    JobState.HELD: "PENDING",
    JobState.DONE: "COMPLETED",
    JobState.FAILED: "FAILED",
    JobState.CANCELLED: "CANCELLED",
}


def lookup(who: str | int) -> Account | None:
    """Everybody is a user here whose name is a word of letters."""
    if isinstance(who, str) and who.isalpha() and who != "somebody":
        return Account(who, 0 if who == "root" else 1000, 1000, f"/home/{who}")
    return Account("wnodes", 990, 990, "/") if who == 990 else None


class FakeSlurm:
    """A runner of commands. `farm` is what stands behind them."""

    def __init__(self, farm: SimulatedBackend, has_accounting: bool = True, user: str = "root") -> None:
        self.farm, self.user = farm, user
        self.accounting = "accounting_storage/slurmdbd" if has_accounting else "accounting_storage/none"
        self.commands: list[Command] = []
        self.down = False
        self.heard: int | None = None
        self.reasons: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.lags = False  # accounting has not heard of any ending yet
        self.untold: list[dict[str, object]] = []  # what accounting has of jobs that the controller has lost

    async def __call__(self, command: Command) -> Answer:
        self.commands.append(command)
        argv = list(command.argv)
        if argv[0] in {"runuser", "sudo"}:
            argv = argv[argv.index("--") + 1 :]
        if self.down:
            return Answer(1, b"", f"{argv[0]}: error: {DOWN}")
        try:
            self.farm._advance()
            match argv:
                case ["sbatch", *words]:
                    return await self._sbatch(words, command.stdin)
                case ["squeue", *words]:
                    return await self._squeue(words)
                case ["sacct", *words]:
                    return self._sacct(words)
                case ["scancel", *ids]:
                    return await self._act(Action.CANCEL, ids)
                case ["scontrol", "show", "config"]:
                    now = int(self.farm._clock())
                    return _said(CONFIG.format(now=now, accounting=self.accounting, user=self.user))
                case ["scontrol", "--oneliner", "show", "partition"]:
                    return _said("PartitionName=grid OverSubscribe=NO\n")
                case ["scontrol", "--oneliner", "show", "node", *names]:
                    return await self._nodes(names)
                case ["scontrol", "update", node, *words] if node.startswith("nodename="):
                    return await self._update_node(
                        node.partition("=")[2], dict(w.split("=", 1) for w in words)
                    )
                case ["scontrol", "update", ids, limit]:
                    minutes = int(limit.partition("=")[2])
                    return await self._act(Action.EXTEND, ids.partition("=")[2].split(","), 60 * minutes)
                case ["scontrol", action, ids]:
                    return await self._act(Action(action), ids.split(","))
            raise AssertionError(f"Slurm has no {argv}")
        except BackendUnavailable:
            return Answer(1, b"", f"{argv[0]}: error: {DOWN}")

    @property
    def ended(self) -> list[Ending]:
        """As many of the endings as accounting has heard of."""
        return list(self.farm._farm.endings)[: self.heard]

    # ---------------------------------------------------------------- commands

    async def _sbatch(self, words: list[str], script: bytes) -> Answer:
        said = dict(word[2:].partition("=")[::2] for word in words)
        hosts = expand(said.get("nodelist", ""))
        parts = int(said["ntasks"])
        each = int(said.get("ntasks-per-node", 0)) or 1
        spread = [each] * len(hosts)
        if hosts:
            spread[0] += parts - sum(spread)
        slot = SlotRequest(
            key=f"{len(self.commands)}x{said['job-name'].replace('-', '')}"[:32],
            name=said["job-name"],
            user=said.get("uid", self.user),
            cores=int(said["cpus-per-task"]),
            memory=int(said.get("mem", "0M")[:-1]),
            count=parts,
            gpus=int(said.get("gres", "gpu:0")[4:]),
            walltime=None if said["time"] == "UNLIMITED" else 60 * int(said["time"]),
            queue=said.get("partition"),
            account=said.get("account"),
            script=script.decode(),
            nodes=tuple(zip(hosts, spread, strict=True)),
            excluded=expand(said.get("exclude", "")),
            held="hold" in said,
        )
        self.names[slot.key] = slot.name
        answer = await self.farm.submit(slot)
        if isinstance(answer, JobRef):
            return _said(f"{answer.id}\n")
        why = {Verdict.PASSING: DOWN, Verdict.UNKNOWN: HUNG}
        return Answer(
            1, b"", f"sbatch: error: Batch job submission failed: {why.get(answer.verdict, 'Invalid')}"
        )

    async def _squeue(self, words: list[str]) -> Answer:
        said = dict(word[2:].partition("=")[::2] for word in words)
        await self.farm.snapshot()
        shown = [_cells(job) for job in self.farm._farm.jobs]
        shown += [_over(ending, self.names[ending.ref.key]) for ending in self.ended]
        ids, users = said.get("jobs"), said.get("user")
        wanted = [
            cells
            for cells in shown
            if (ids is None or cells["JobArrayID"] in ids.split(","))
            and (users is None or cells["UserName"] in users.split(","))
        ]
        if ids is not None and "," not in ids and not wanted:
            return Answer(1, b"", "slurm_load_jobs error: Invalid job id specified")
        return Answer(0, b"".join(_line(jobs.COLUMNS, cells, b"|") for cells in wanted))

    def _sacct(self, words: list[str]) -> Answer:
        said = dict(word[2:].partition("=")[::2] for word in words)
        ids = said.get("jobs")
        since, until = (_moment(said.get(name)) for name in ("starttime", "endtime"))
        ended = [each for each in self.ended if since is None or since <= each.ended_at <= (until or 0)]
        rows = [_record(ending, self.names[ending.ref.key]) for ending in ended if not self.lags]
        rows += self.untold
        wanted = [row for row in rows if ids is None or row["JobID"] in ids.split(",")]
        return Answer(0, b"".join(_line(accounting.COLUMNS, row, b" ") for row in wanted))

    async def _act(self, action: Action, ids: Iterable[str], walltime: int | None = None) -> Answer:
        refs = {job.ref.id: job.ref for job in (await self.farm.snapshot()).jobs}
        said: list[str] = []
        for id_ in ids:
            outcome = ActionOutcome(Verdict.CONFLICT)
            if id_ in refs:
                outcome = (await self.farm.act(action, [refs[id_]], walltime=walltime))[refs[id_]]
            if outcome.verdict is Verdict.CONFLICT:
                said.append(f"Invalid job id specified for job {id_}")
            elif outcome.verdict is Verdict.UNKNOWN:
                said.append(f"{HUNG} for job {id_}")
            elif outcome.verdict is not Verdict.DONE:
                said.append(f"{outcome.message} for job {id_}")
        return Answer(1 if said else 0, b"", "\n".join(said))

    async def _nodes(self, names: list[str]) -> Answer:
        snapshot = await self.farm.snapshot()
        taken: dict[str, int] = {}
        for job in snapshot.jobs:
            for node, cores in job.nodes if job.state is JobState.RUNNING else ():
                taken[node] = taken.get(node, 0) + cores
        nodes = [node for node in snapshot.nodes if not names or node.name in names]
        if names and not nodes:
            return Answer(1, f"Node {names[0]} not found\n".encode())
        return _said("".join(self._node(node, taken.get(node.name, 0)) for node in nodes))

    def _node(self, node: Node, taken: int) -> str:
        state = "MIXED" if taken else "IDLE"
        reason = self.reasons.get(node.name)
        state += "+DRAIN" if reason else "" if node.up else "+NOT_RESPONDING"
        tail = f" Reason={reason} [root@2026-11-26T02:00:00]" if reason else ""
        return (
            f"NodeName={node.name} CPUAlloc={taken} CPUEfctv={node.cores} CPUTot={node.cores} Gres=(null) "
            f"RealMemory={node.memory} State={state} TmpDisk=0 Partitions=grid{tail}\n"
        )

    async def _update_node(self, name: str, said: dict[str, str]) -> Answer:
        drains = said["state"] == "drain"
        outcome = await self.farm.set_node(name, NodeAction.DRAIN if drains else NodeAction.UNDRAIN, "")
        assert outcome.verdict is Verdict.DONE
        self.reasons.pop(name, None)
        if drains:
            self.reasons[name] = said["reason"]
        return Answer(0)


def _moment(text: str | None) -> float | None:
    return datetime.fromisoformat(f"{text}+00:00").timestamp() if text else None


def _said(text: str) -> Answer:
    return Answer(0, text.encode())


def _line(columns: Columns, cells: dict[str, Any], separator: bytes) -> bytes:
    fields = zip(columns.names, columns.widths, strict=True)
    return b"".join(str(cells[name]).encode()[:w].ljust(w) + separator for name, w in fields) + b"\n"


def _cells(job: FarmJob) -> dict[str, object]:
    slot, is_placed = job.slot, job.state in {JobState.RUNNING, JobState.SUSPENDED}
    return {
        "Name": slot.name,
        "JobArrayID": job.ref.id,
        "State": STATES.get(job.state, job.state.upper()),
        "UserName": slot.user,
        "GroupName": slot.user,
        "Account": slot.account or "",
        "Partition": slot.queue or "grid",
        "QOS": "normal",
        "tres-alloc": f"cpu={slot.cores * slot.count},mem={slot.memory * slot.count}M,gres/gpu={slot.gpus}",
        "TimeLimit": "UNLIMITED" if job.walltime is None else _duration(job.walltime),
        "SubmitTime": job.ref.submitted_at,
        "StartTime": job.started_at if job.started_at is not None else "N/A",
        "EndTime": "N/A",
        "NodeList": ",".join(node for node, _ in job.nodes) if is_placed else "",
        "Reason": "JobHeldUser" if job.state is JobState.HELD else "None",
        "PriorityLong": 0 if job.state is JobState.HELD else 100,
        "RestartCnt": 0,
        "exit_code": 0,
    }


def _over(ending: Ending, name: str) -> dict[str, object]:
    status = ending.exit_status or 0
    return {
        "Name": name,
        "JobArrayID": ending.ref.id,
        "State": STATES[ending.state],
        "UserName": ending.user,
        "GroupName": ending.user,
        "Account": ending.account,
        "Partition": ending.queue,
        "QOS": "normal",
        "tres-alloc": f"cpu={ending.cores},mem={ending.memory}M",
        "TimeLimit": "UNLIMITED",
        "SubmitTime": ending.ref.submitted_at,
        "StartTime": ending.started_at or "N/A",
        "EndTime": ending.ended_at,
        "NodeList": ",".join(node for node, _ in ending.nodes),
        "Reason": "None",
        "PriorityLong": 0,
        "RestartCnt": 0,
        "exit_code": status << 8,
    }


def _record(ending: Ending, name: str) -> dict[str, object]:
    return {
        "JobName": name,
        "JobID": ending.ref.id,
        "State": STATES[ending.state],
        "ExitCode": f"{ending.exit_status or 0}:0",
        "Submit": ending.ref.submitted_at,
        "Start": ending.started_at or ending.ended_at,
        "End": ending.ended_at,
        "User": ending.user,
        "Group": ending.user,
        "Account": ending.account,
        "Partition": ending.queue,
        "QOS": "normal",
        "AllocTRES": f"cpu={ending.cores},mem={ending.memory}M",
        "NodeList": ",".join(node for node, _ in ending.nodes) or "None assigned",
        "TotalCPU": "00:00:00",
        "MaxRSS": "",
    }


def _duration(seconds: int) -> str:
    return f"{seconds // 86400}-{seconds % 86400 // 3600:02}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
