"""The commands of TORQUE and of OpenPBS, before a simulated farm: their words, exit codes, silences, delays.

What they print is as it was recorded from the real ones. The stub keeps a state: jobs that have ended stay
to be seen, holds have their kinds, nodes their notes, and all is written into an accounting log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from backends.torque.forms import (
    SERVER,
    Waiting,
    pbs_job,
    pbs_node,
    pbs_server,
    record,
    slots,
    torque_job,
    torque_node,
    torque_server,
    xml,
)
from wnodes_batch.identity import Account
from wnodes_batch.runner import Answer, Command
from wnodes_engine.backend import (
    Action,
    BackendUnavailable,
    Ending,
    JobRef,
    JobState,
    NodeAction,
    SlotRequest,
    Verdict,
)
from wnodes_simulated.backend import SimulatedBackend
from wnodes_torque.options import Dialect

QUEUES = ("batch", "short")
FLAGS = "hVXIxz"
LARGE = (
    "qsub: submit error (Job exceeds queue resource limits MSG=cannot locate feasible nodes (nodes file is "
    "empty, all systems are busy, or no nodes have the requested feature))"
)
AWAY = (
    "\nUnable to communicate with srv(127.0.0.1)\nCannot connect to specified server host 'srv'.\n"
    "{program}: cannot connect to server srv (errno=111) Connection refused"
)
REFUSED = {  # what each system says, and its exit code
    Dialect.TORQUE: {
        "queue": (172, "qsub: submit error (Unknown queue MSG=requested queue not found)"),
        "large": (190, LARGE),
        "root": (1, "qsub can not be run as root"),
        "down": (111, AWAY),
    },
    Dialect.PBS: {
        "queue": (170, "qsub: Unknown queue"),
        "down": (162, "Connection refused\n{program}: cannot connect to server srv (errno=15010)"),
    },
}
DOWN = {("pbsnodes", Dialect.TORQUE): 1, ("pbsnodes", Dialect.PBS): 1, ("qstat", Dialect.PBS): 255}
UNKNOWN = {  # to what a command says of a job that is not there; TORQUE's are silent sometimes
    Dialect.TORQUE: {
        "qdel": "qdel: nonexistent job id: {id}",
        "qhold": "",
        "qrls": "",
        "qalter": "",
        "qrerun": "qrerun: Unknown Job Id Error MSG=cannot locate job {id}",
        "qsig": "qsig: Unknown Job Id Error MSG=cannot locate job {id}",
        "qstat": "qstat: Unknown Job Id Error {id}",
    },
}


def lookup(who: str | int) -> Account | None:
    """Everybody is a user here whose name is a word of letters."""
    if isinstance(who, str) and who.isalpha() and who != "somebody":
        return Account(who, 0 if who == "root" else 1000, 1000, f"/home/{who}")
    return Account("wnodes", 990, 990, "/") if who == 990 else None


class Stub:
    """A runner of commands. `farm` is what stands behind them; `delays` are seconds that a program takes."""

    def __init__(
        self,
        farm: SimulatedBackend,
        dialect: Dialect,
        log: Path | None = None,
        zone: tzinfo = UTC,
        keep: int = 600,
        managers: str = "root@*",
    ) -> None:
        self.farm, self.dialect, self.log, self.zone = farm, dialect, log, zone
        self.keep, self.managers = keep, managers
        self.is_manager = True
        self.user = "wnodes"
        self.commands: list[Command] = []
        self.down = self.hung = False
        self.delays: dict[str, float] = {}
        self.notes: dict[str, str] = {}
        self.offline: set[str] = set()
        self.holds: dict[str, str] = {}
        self.slots: dict[str, SlotRequest] = {}
        self.created: dict[str, int] = {}
        self.never: dict[str, SlotRequest] = {}  # what PBS takes, and can never run
        self.deleted: list[Ending] = []
        self._logged = 0
        if log is not None:
            log.mkdir(exist_ok=True)

    # ---------------------------------------------------------------- commands

    async def __call__(self, command: Command) -> Answer:
        self.commands.append(command)
        argv = list(command.argv)
        user = self.user
        if argv[0] in {"runuser", "sudo"}:
            user = argv[argv.index("-u") + 1]
            argv = argv[argv.index("--") + 1 :]
        program, words = argv[0].rpartition("/")[2], argv[1:]
        if self.hung:
            return Answer(None, said=f"{program} did not end within {command.limit:g} s")
        if words == ["--version"]:
            return self._version()
        if self.down:
            return self._is_down(program, words)
        try:
            self.farm._advance()
            answer = await self._answer(program, words, user, command.stdin)
        except BackendUnavailable:
            return self._is_down(program, words)
        finally:
            self._write()
        if self.delays.get(program, 0) > command.limit:  # it is done all the same
            return Answer(None, said=f"{program} did not end within {command.limit:g} s")
        return answer

    async def _answer(self, program: str, words: list[str], user: str, script: bytes) -> Answer:
        torque = self.dialect is Dialect.TORQUE
        match program, words:
            case "qsub", _:
                return await self._qsub(words, user, script)
            case "qstat", ["-B", "-f", "-1"] if torque:
                return _said(torque_server(self.managers, self.keep))
            case "qstat", ["-B", "-f", "-F", "json"] if not torque:
                return _said(self._json({"Server": {SERVER: pbs_server(self.managers, self.keep)}}))
            case "qstat", ["-t", "-x"] if torque:
                return _said(xml(self._shown(with_ended=True)))
            case "qstat", ["-x", *ids] if torque:
                return self._some(ids)
            case "qstat", ["-t", "-f", "-F", "json"] if not torque:
                return _said(self._json({"Jobs": self._shown(with_ended=False)}))
            case "qstat", ["-x", "-f", "-F", "json", *ids] if not torque:
                return self._some(ids)
            case "qselect", ["-x", "-s", "FX", since] if not torque:
                return _said("".join(f"{id_}\n" for id_ in self._changed(since)))
            case "pbsnodes", ["-x", *names] if torque:
                return self._pbsnodes(names)
            case "pbsnodes", ["-a", "-F", "json"] if not torque:
                return self._pbsnodes([])
            case "pbsnodes", ["-F", "json", name] if not torque:
                return self._pbsnodes([name])
            case "pbsnodes", [("-o" | "-c" | "-r") as flag, ("-N" | "-C") as word, note, node]:
                assert word == ("-N" if torque else "-C")
                assert flag != ("-r" if torque else "-c")
                return await self._set_node(flag == "-o", note, node)
            case "qdel", ids:
                return await self._each(program, Action.CANCEL, ids, user)
            case "qrerun", ids:
                return await self._each(program, Action.REQUEUE, ids, user)
            case "qsig", ["-s", "suspend", *ids]:
                return await self._each(program, Action.SUSPEND, ids, user)
            case "qsig", ["-s", "resume", *ids]:
                return await self._each(program, Action.RESUME, ids, user)
            case "qhold", ["-h", "u", *ids]:
                return await self._each(program, Action.HOLD, ids, user)
            case "qrls", ["-h", "u", *ids]:
                return await self._each(program, Action.RELEASE, ids, user)
            case "qalter", ["-l", limit, *ids]:
                walltime = int(limit.removeprefix("walltime="))
                return await self._each(program, Action.EXTEND, ids, user, walltime)
        raise AssertionError(f"{self.dialect} has no {program} {words}")

    def tick(self) -> None:
        """Let time go on, as it does for a server that nobody asks anything."""
        if not self.down:
            self.farm._advance()
            self._write()

    def _version(self) -> Answer:
        if self.dialect is Dialect.PBS:
            return _said("pbs_version = 23.06.06\n")
        return Answer(0, b"", "Version: master\nCommit: 34ff845417cc0348dfe0a61a491e5e0f4adf6ef4")

    def _is_down(self, program: str, words: list[str]) -> Answer:
        code, said = REFUSED[self.dialect]["down"]
        code = DOWN.get((program, self.dialect), code)
        out = self._json({}) if "json" in words and program == "qstat" else ""  # valid, and without "Jobs"
        return Answer(code, out.encode(), said.format(program=program))

    # -------------------------------------------------------------- submitting

    async def _qsub(self, words: list[str], user: str, script: bytes) -> Answer:
        said: dict[str, str] = {}
        resources: dict[str, str] = {}
        while words:
            option = words.pop(0)
            assert option.startswith("-"), option
            if option[1:] in FLAGS:
                said[option] = ""
            elif option == "-l":
                for part in words.pop(0).split(","):
                    name, _, value = part.partition("=")
                    resources[name] = value
            else:
                said[option] = words.pop(0)
        assert not script.decode().count(said["-C"])
        owner = said.get("-P", user)
        if owner == "root" and self.dialect is Dialect.TORQUE:
            return self._refuses("root")
        if said.get("-q", QUEUES[0]) not in QUEUES:
            return self._refuses("queue")
        slot = self._slot(said, resources, owner, script.decode())
        answer = await self.farm.submit(slot)
        if isinstance(answer, JobRef):
            return _said(f"{self._taken(answer.id, slot)}\n")
        if answer.verdict is Verdict.PASSING:
            return self._is_down("qsub", words)
        if answer.verdict is Verdict.UNKNOWN:
            self.slots[slot.key] = slot
            return Answer(None, said="qsub did not end within 30 s")
        if self.dialect is Dialect.TORQUE:
            return self._refuses("large")
        id_ = str(100_000 + len(self.never))
        self.never[id_] = slot
        return _said(f"{self._taken(id_, slot)}\n")

    def _slot(self, said: dict[str, str], resources: dict[str, str], owner: str, script: str) -> SlotRequest:
        spec = resources.get("nodes") or resources["select"]
        chunks = [chunk.split(":") for chunk in spec.split("+")]
        words = [dict(word.partition("=")[::2] for word in chunk[1:]) for chunk in chunks]
        if self.dialect is Dialect.PBS:
            cores = int(words[0]["ncpus"])
            nodes = tuple(
                (word["vnode"], int(chunk[0]))
                for chunk, word in zip(chunks, words, strict=True)
                if "vnode" in word
            )
            count = sum(int(chunk[0]) for chunk in chunks)
            memory = int(words[0].get("mem", "0mb")[:-2])
        elif chunks[0][0].isdigit():
            [chunk], [word] = chunks, words
            cores, nodes, count = int(word["ppn"]), (), int(chunk[0])
            memory = int(resources.get("mem", "0mb")[:-2]) // count
        else:
            nodes = tuple((chunk[0], int(word["ppn"])) for chunk, word in zip(chunks, words, strict=True))
            cores, count = 1, sum(many for _, many in nodes)
            memory = int(resources.get("mem", "0mb")[:-2]) // count
        limit = resources.get("walltime")
        return SlotRequest(
            key=f"{len(self.commands)}x{said['-N'].replace('-', '')}"[:32],
            name=said["-N"],
            user=owner,
            cores=cores,
            memory=memory,
            count=count,
            walltime=int(limit) if limit else None,
            queue=said.get("-q", QUEUES[0]),
            account=said.get("-A"),
            script=script,
            nodes=nodes,
            held="-h" in said,
            rerun=said["-r"] == "y",
        )

    def _taken(self, id_: str, slot: SlotRequest) -> str:
        self.slots[slot.key] = slot
        self.created[slot.key] = int(self.farm._clock())
        self.holds[slot.key] = "u" if slot.held else "n"
        self._line("Q", f"{id_}.{SERVER}", f"queue={slot.queue}")
        return f"{id_}.{SERVER}"

    def _refuses(self, why: str) -> Answer:
        code, said = REFUSED[self.dialect][why]
        return Answer(code, b"", said)

    # ------------------------------------------------------------------ acting

    async def _each(
        self, program: str, action: Action, ids: Iterable[str], user: str, walltime: int | None = None
    ) -> Answer:
        code, lines = 0, list[str]()
        for id_ in ids:
            failed, said = await self._one(program, action, id_, user, walltime)
            code = code or failed
            lines += [said] if said else []
        return Answer(code, b"", "\n".join(lines))

    async def _one(
        self, program: str, action: Action, id_: str, user: str, walltime: int | None
    ) -> tuple[int, str]:
        torque = self.dialect is Dialect.TORQUE
        short = id_.partition(".")[0]
        if short in self.never and action is Action.CANCEL:
            slot = self.never.pop(short)
            ref = JobRef("", short, slot.key, 0)
            self.deleted.append(Ending(ref, JobState.CANCELLED, None, int(self.farm._clock()), None))
            self._line("D", id_, f"requestor={user}@{SERVER}")
            return 0, ""
        job = next((job for job in self.farm._farm.jobs if job.ref.id == short), None)
        if job is None:
            if torque and action is Action.CANCEL and any(e.ref.id == short for e in self._remembered()):
                return (
                    170,
                    f"qdel: Request invalid for state of job MSG=invalid state for job - COMPLETE {id_}",
                )
            if not torque and any(e.ref.id == short for e in self._remembered()):
                return 35, f"{program}: Job has finished {id_}"
            said = UNKNOWN[Dialect.TORQUE][program] if torque else f"{program}: Unknown Job Id {{id}}"
            return 153, said.format(id=id_)
        if not self.is_manager and (
            action not in {Action.CANCEL, Action.HOLD, Action.RELEASE} or user != job.slot.user
        ):
            return (
                159,
                f"{program}: Unauthorized Request  {'MSG=operation not permitted ' if torque else ''}{id_}",
            )
        if action in {Action.HOLD, Action.RELEASE} and job.state is JobState.RUNNING:
            self.holds[job.ref.key] = "u" if action is Action.HOLD else "n"
            return 0, ""  # only a flag, for its next requeue
        if torque and action is Action.REQUEUE and job.state not in {JobState.RUNNING, JobState.SUSPENDED}:
            return 0, ""  # nothing happens, in silence
        if action is Action.RELEASE and self.holds[job.ref.key] not in {"u", "n"}:
            return 0, ""  # the system's hold stays
        outcome = (await self.farm.act(action, [job.ref], walltime=walltime))[job.ref]
        if outcome.verdict is Verdict.UNKNOWN:
            return 174, f"{program}: End of File {id_}"
        if outcome.verdict is not Verdict.DONE:
            return (170 if torque else 168), f"{program}: Request invalid for state of job {id_}"
        if action is Action.CANCEL:
            self._line("D", id_, f"requestor={user}@{SERVER}")
        elif action is Action.REQUEUE:
            self._line("R", id_, "")
        elif action in {Action.HOLD, Action.RELEASE}:
            self.holds[job.ref.key] = "u" if action is Action.HOLD else "n"
        return 0, ""

    async def _set_node(self, closes: bool, note: str, node: str) -> Answer:
        torque = self.dialect is Dialect.TORQUE
        known = {shown.name for shown in self.farm._farm.nodes}
        if node not in known or not self.is_manager:
            why = "Unknown node " if node not in known else "Unauthorized Request "
            if torque:
                return Answer(0, b"", f"Error setting note attribute for {node} - {why}")
            return Answer(1, b"", f"Error marking node {node} - {why}")
        await self.farm.set_node(node, NodeAction.DRAIN if closes else NodeAction.UNDRAIN, note)
        (self.offline.add if closes else self.offline.discard)(node)
        self.notes.pop(node, None)
        if note:
            self.notes[node] = note
        return Answer(0)

    # ----------------------------------------------------------------- showing

    def _remembered(self) -> list[Ending]:
        """What has ended and is still shown."""
        since = self.farm._clock() - self.keep
        ended = [*self.farm._farm.endings, *self.deleted]
        return [each for each in ended if each.ended_at > since and each.ref.key in self.slots]

    def _changed(self, since: str) -> list[str]:
        assert since.startswith("-tm.ge.")
        at = datetime.strptime(since.removeprefix("-tm.ge."), "%Y%m%d%H%M.%S").replace(tzinfo=UTC).timestamp()
        return [f"{each.ref.id}.{SERVER}" for each in self._remembered() if each.ended_at >= at]

    def _some(self, ids: list[str]) -> Answer:
        shown = self._shown(with_ended=True)
        known = [id_ for id_ in ids if id_ in shown]
        word = "Unknown Job Id Error" if self.dialect is Dialect.TORQUE else "Unknown Job Id"
        said = "\n".join(f"qstat: {word} {id_}" for id_ in ids if id_ not in shown)
        if self.dialect is Dialect.TORQUE:  # a document for each
            out = "".join(xml({id_: shown[id_]}) for id_ in known)
        else:
            out = self._json({"Jobs": {id_: shown[id_] for id_ in known}} if known else {})
        return Answer(153 if said else 0, out.encode(), said)

    def _shown(self, *, with_ended: bool) -> dict[str, dict[str, Any]]:
        make = torque_job if self.dialect is Dialect.TORQUE else pbs_job
        shown: dict[str, dict[str, Any]] = {}
        for job in self.farm._farm.jobs:
            slot = self.slots.setdefault(job.ref.key, job.slot)
            self.created.setdefault(slot.key, job.ref.submitted_at)
            holds = self.holds.setdefault(slot.key, "u" if slot.held else "n")
            shown[f"{job.ref.id}.{SERVER}"] = make(slot, self.created[slot.key], holds, job)
        for id_, slot in self.never.items():
            job = Waiting(JobRef("", id_, slot.key, 0), slot)
            shown[f"{id_}.{SERVER}"] = make(slot, self.created[slot.key], self.holds[slot.key], job)
        for ending in self._remembered() if with_ended else ():
            slot = self.slots[ending.ref.key]
            holds = self.holds.get(slot.key, "n")
            shown[f"{ending.ref.id}.{SERVER}"] = make(slot, self.created.get(slot.key, 0), holds, ending)
        return dict(sorted(shown.items(), key=lambda item: int(item[0].partition(".")[0])))

    def _pbsnodes(self, names: list[str]) -> Answer:
        taken: dict[str, int] = {}
        jobs: dict[str, list[str]] = {}
        for job in self.farm._farm.jobs:
            for name, parts in job.nodes if job.state is JobState.RUNNING else ():
                first, cores = taken.get(name, 0), parts * job.slot.cores
                taken[name] = first + cores
                jobs.setdefault(name, []).append(f"{slots(first, cores)}/{job.ref.id}.{SERVER}")
        nodes = {node.name: node for node in self.farm._farm.nodes if not names or node.name in names}
        if self.dialect is Dialect.TORQUE:
            if names and not nodes:
                return Answer(1, b"", "pbsnodes: Unknown node  MSG=cannot locate specified node")
            shown = "".join(
                torque_node(
                    node,
                    taken.get(node.name, 0),
                    jobs.get(node.name, []),
                    node.name in self.offline,
                    self.notes,
                )
                for node in nodes.values()
            )
            return _said(f"<Data>{shown}</Data>")
        listed = {
            name: pbs_node(node, taken.get(name, 0), name in self.offline, self.notes)
            for name, node in nodes.items()
        }
        return _said(self._json({"nodes": listed or {names[0]: {names[0]: "Unknown node "}}}))

    def _json(self, more: dict[str, Any]) -> str:
        head = {"timestamp": int(self.farm._clock()), "pbs_version": "23.06.06", "pbs_server": SERVER}
        return json.dumps(head | {name: value for name, value in more.items() if value}, indent="\t")

    # -------------------------------------------------------------- accounting

    def _write(self) -> None:
        """Write the ends of what has ended since the last command."""
        endings = self.farm._farm.endings
        for ending in endings.since(self._logged, endings.count):
            if ending.started_at is not None and ending.ref.key in self.slots:
                slot = self.slots[ending.ref.key]
                created = self.created.get(slot.key, ending.ref.submitted_at)
                text = record(ending, slot, created, self.dialect)
                self._line("E", f"{ending.ref.id}.{SERVER}", text, ending.ended_at)
        self._logged = endings.count

    def _line(self, kind: str, id_: str, text: str, at: float | None = None) -> None:
        if self.log is None:
            return
        when = datetime.fromtimestamp(self.farm._clock() if at is None else at, self.zone)
        with (self.log / when.strftime("%Y%m%d")).open("a") as file:
            file.write(f"{when:%m/%d/%Y %H:%M:%S};{kind};{id_};{text}\n")


def _said(text: str) -> Answer:
    return Answer(0, text.encode())
