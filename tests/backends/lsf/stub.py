"""LSF's commands before a farm of their own: what they said when they were recorded, late and wrong too.

`Lsf` keeps the farm's state and answers one command at a time; as a program (`python stub.py STATE bsub …`)
the state is in a file. Three dialects: `ibm` is LSF 10.1 as documented, `volclava` the system that was
recorded, `old` an LSF without JSON.
"""

from __future__ import annotations

import os
import pickle
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backends.lsf.printing import Printer
from backends.lsf.recordings import recorded

Dialect = Literal["ibm", "volclava", "old"]
LIM_DOWN = "Failed in an LSF library call: LIM is down; try later"
REFUSED = "Connection refused by server"
TRYING = "batch system daemon not responding ... still trying"
WAITING = {"PEND", "PSUSP"}
ENDED = {"DONE", "EXIT"}
SUBMITTED = "Job <{}> is submitted to {}queue <{}>.\n"


@dataclass
class Host:
    slots: int
    memory: int
    status: str = "ok"
    is_closed: bool = False
    comment: str = ""


@dataclass
class Job:
    id: int
    user: str
    submitted: float
    name: str = ""
    index: int = 0
    project: str = "default"
    queue: str = "normal"
    slots: int = 1
    asked: list[str] = field(default_factory=list)
    resources: str = ""
    ptile: int | None = None
    limit: int | None = None
    command: str = "sleep 1"
    runs_for: float = 1.0
    code: int = 0
    stat: str = "PEND"
    eligible: float = 0.0
    started: float | None = None
    ended: float | None = None
    hosts: list[tuple[str, int]] = field(default_factory=list)
    wait_status: int = 0
    reason: str = ""
    due: tuple[float, str] | None = None
    visible: float = 0.0


@dataclass
class Said:
    """How a command ended, and what it wrote. Without a status it hangs until it is ended."""

    status: int | None
    out: str = ""
    err: str = ""


class Lsf:
    def __init__(
        self,
        dialect: Dialect = "volclava",
        hosts: dict[str, int] | None = None,
        clock: Callable[[], float] = time.time,
        **options: object,
    ) -> None:
        self.dialect, self.clock = dialect, clock
        self.hosts = {
            name: Host(slots, 24105) for name, slots in (hosts or {"vm": 8, "vn1": 8, "vn2": 8}).items()
        }
        self.jobs: list[Job] = []
        self.last_id = 0
        self.dispatch = float(options.get("dispatch", 0.05))  # seconds until a job that may run does
        self.kill = float(options.get("kill", 0.05))  # and until a signal has its effect
        self.down: str | None = None
        self.random = Random(int(options.get("seed", 1)))
        self.lost = float(options.get("lost", 0))
        self.passing = float(options.get("passing", 0))
        self.late = float(options.get("late", 0))
        self.administrators = ["volcadm", "root"]
        self.extends = bool(options.get("extends", True))
        self.acct: Path | None = None
        self.ran: list[list[str]] = []

    def run(
        self, argv: list[str], stdin: str = "", user: str = "root", env: dict[str, str] | None = None
    ) -> Said:
        """Answer a command of a user's."""
        self.ran.append(argv)
        self.advance()
        name, words = argv[0].rpartition("/")[2], argv[1:]
        if self.down == "hung":
            return Said(None, "", TRYING)
        if self.down == "lim":
            return Said(255, "", f"ls_getclustername(): {LIM_DOWN}" if name == "lsid" else LIM_DOWN)
        if self.down == "mbatchd" and name not in {"lsid", "lshosts", "lsclusters"}:
            if name == "bjobs" and "-json" in words and self.dialect == "volclava":
                return Said(255, Printer(self).document("bjobs", "JOBS", []))  # as it is in its source
            return Said(255, "", REFUSED + (". Job not submitted." if name == "bsub" else ""))
        command = getattr(self, f"_{name}", None)
        if command is None:
            return Said(127, "", f"bash: line 1: {name}: command not found")
        said: Said = command(words, user, stdin, env or {})
        return said

    # ------------------------------------------------------------------ the farm

    def advance(self) -> None:
        now = self.clock()
        for job in self.jobs:
            if job.due is not None and job.due[0] <= now:
                self._effect(job, job.due[1], job.due[0])
            if job.stat == "RUN" and job.started is not None and job.started + job.runs_for <= now:
                self._end(job, job.started + job.runs_for, job.code << 8, "")
            if job.stat == "PEND" and job.eligible + self.dispatch <= now and (places := self._room(job)):
                job.stat, job.started, job.hosts = "RUN", now, places

    def _room(self, job: Job) -> list[tuple[str, int]]:
        taken: dict[str, int] = {}
        for other in self.jobs:
            for host, slots in other.hosts if other.stat not in WAITING | ENDED else ():
                taken[host] = taken.get(host, 0) + slots
        order = [host for host in self.hosts if not job.asked or host in job.asked]
        order.sort(key=lambda host: job.asked.index(host) if job.asked else 0)
        excluded = re.findall(r"hname!='([^']+)'", job.resources)
        free = {
            host: self.hosts[host].slots - taken.get(host, 0)
            for host in order
            if self.hosts[host].status == "ok" and not self.hosts[host].is_closed and host not in excluded
        }
        if spread := re.findall(r"([0-9]+)\*\{select\[hname=='([^']+)'\]", job.resources):
            places = [(host, int(slots)) for slots, host in spread]
            return places if all(free.get(host, 0) >= slots for host, slots in places) else []
        left, places = job.slots, []
        for host, slots in free.items():
            each = min(left, job.ptile) if job.ptile else min(left, slots)
            if 0 < each <= slots:
                places.append((host, each))
                left -= each
        return places if not left else []

    def _effect(self, job: Job, what: str, at: float) -> None:
        job.due = None
        if what == "requeue" and job.stat not in ENDED | WAITING:
            self._account(job, at, 130 << 8, 10 if self.dialect == "ibm" else 0)
            job.stat, job.started, job.hosts, job.eligible = "PEND", None, [], at
        elif what == "kill" and job.stat not in ENDED:
            self._end(job, at, 130 << 8, "TERM_OWNER: job killed by owner" if self.dialect == "ibm" else "")
        elif what == "resume" and job.stat == "SSUSP":
            job.stat = "RUN"

    def _end(self, job: Job, at: float, wait_status: int, reason: str) -> None:
        job.stat = "EXIT" if wait_status or job.started is None else "DONE"
        job.ended, job.wait_status, job.reason = at, wait_status, reason
        self._account(job, at, wait_status, 14 if reason else 0)

    def _account(self, job: Job, at: float, wait_status: int, exit_info: int) -> None:
        if self.acct is not None:
            with self.acct.open("a") as file:
                file.write(Printer(self).acct(job, at, wait_status, exit_info))

    # ------------------------------------------------------------------ submitting

    def _bsub(self, words: list[str], user: str, stdin: str, env: dict[str, str]) -> Said:
        if user == "root":
            return Said(-13)  # it dies of a broken pipe without a word (LSF_ROOT_REX)
        fault = self.random.random()
        if fault < self.passing:
            return Said(255, "", f"{REFUSED}. Job not submitted.")
        job = Job(self.last_id + 1, user, self.clock())
        held, rest = False, list(words)
        while rest:
            option = rest.pop(0)
            if option == "-H":
                held = True
            elif option in {"-r", "-rn"}:
                continue
            elif option in {
                "-J",
                "-q",
                "-P",
                "-n",
                "-W",
                "-m",
                "-R",
                "-o",
                "-cwd",
                "-L",
                "-U",
                "-app",
                "-gpu",
            }:
                if why := self._set(job, option, rest.pop(0)):
                    return Said(255, "", f"{why}. Job not submitted.")
            else:
                return Said(255, "", f"bsub: invalid option -- '{option}'. Job not submitted.")
        for line in stdin.split("\n"):  # as bsub reads a script
            if re.match(r"\s*#\s*BSUB\s*-", line):
                raise AssertionError(f"a script has become an option: {line!r}")
        job.command = ";".join(stdin.strip().split("\n"))
        if matched := re.search(r"sleep ([0-9]+)", stdin):
            job.runs_for = float(matched[1])
        elif codes := re.findall(r"^exit ([0-9]+)", stdin, re.MULTILINE):
            job.runs_for, job.code = 0.0, int(codes[-1])
        else:
            job.runs_for = 1e9
        if job.slots > sum(host.slots for host in self.hosts.values()):
            return Said(255, "", "Too many processors requested. Job not submitted.")
        self.last_id = job.id
        job.stat = "PSUSP" if held else "PEND"
        job.eligible = job.submitted
        is_lost = fault < self.passing + self.lost
        job.visible = job.submitted + (self.late if is_lost else 0)
        self.jobs.append(job)
        if is_lost:
            return Said(None, "", TRYING)
        default = "" if "-q" in words else "default "
        return Said(0, SUBMITTED.format(job.id, default, job.queue))

    def _set(self, job: Job, option: str, value: str) -> str:
        if option == "-J":
            job.name = value
        elif option == "-q":
            if value not in {"normal", "short", "owners"}:
                return f"{value}: No such queue"
            if value == "owners":
                return f"{value}: User cannot use the queue"
            job.queue = value
        elif option == "-P":
            job.project = value
        elif option == "-n":
            job.slots = int(value)
        elif option == "-W":
            job.limit = int(value)
        elif option == "-m":
            job.asked = [host.rstrip("!") for host in value.split()]
            for host in job.asked:
                if host not in self.hosts:
                    return f"{host}: Bad host name, host group name or cluster name"
        elif option == "-R":
            if "nosuch" in value or (self.dialect != "ibm" and re.search(r"hname|MB|\*\{", value)):
                return "Bad resource requirement syntax"
            job.resources = value
            if matched := re.search(r"span\[ptile=([0-9]+)\]", value):
                job.ptile = int(matched[1])
            elif "span[hosts=1]" in value:
                job.ptile = job.slots
        elif option in {"-cwd", "-gpu", "-app", "-U"} and self.dialect == "volclava":
            return f"bsub: invalid option -- '{option[1]}'"
        return ""

    # ------------------------------------------------------------------ acting

    def _signal(self, words: list[str], user: str, well: str, do: Callable[[Job], str]) -> Said:
        out, err = [], []
        for id_ in words:
            number, _, index = id_.rstrip("]").partition("[")
            found = [
                job for job in self.jobs if str(job.id) == number and (not index or str(job.index) == index)
            ]
            why = "No matching job found" if not found else ""
            if found and user not in {found[0].user, *self.administrators}:
                why = "User permission denied"
            elif found and found[0].stat in ENDED:
                why = "Job has already finished"
            for job in found if not why else ():
                why = why or do(job)
            colon = " :" if well == "requeued" else ":"
            if why:
                err.append(f"Job <{id_}>{colon} {why}")
            else:
                out.append(f"Job <{id_}> is being {well}{' ' if well == 'requeued' else ''}")
        return Said(255 if err else 0, "".join(f"{line}\n" for line in out), "\n".join(err))

    def _bkill(self, words: list[str], user: str, *_: object) -> Said:
        def kill(job: Job) -> str:
            if job.stat in WAITING:
                self._end(
                    job, self.clock(), 0, "TERM_OWNER: job killed by owner" if self.dialect == "ibm" else ""
                )
            else:
                job.due = (self.clock() + self.kill, "kill")
            return ""

        return self._signal(words, user, "terminated", kill)

    def _bstop(self, words: list[str], user: str, *_: object) -> Said:
        def stop(job: Job) -> str:
            job.stat = "PSUSP" if job.stat in WAITING else "USUSP"
            return ""

        return self._signal(words, user, "stopped", stop)

    def _bresume(self, words: list[str], user: str, *_: object) -> Said:
        def resume(job: Job) -> str:
            if job.stat == "PSUSP":
                job.stat, job.eligible = "PEND", self.clock()
            elif job.stat == "USUSP":
                job.stat, job.due = "SSUSP", (self.clock() + self.kill, "resume")
            return ""

        return self._signal(words, user, "resumed", resume)

    def _brequeue(self, words: list[str], user: str, *_: object) -> Said:
        def requeue(job: Job) -> str:
            if job.stat in WAITING:
                return "Job has not started yet"
            job.due = (self.clock() + self.kill, "requeue")
            return ""

        return self._signal(words, user, "requeued", requeue)

    def _bmod(self, words: list[str], user: str, *_: object) -> Said:
        [option, minutes, id_] = words
        found = [job for job in self.jobs if str(job.id) == id_]
        assert option == "-W"
        if not found:
            return Said(255, "", f"Job <{id_}>: No matching job found. Job not modified.")
        if found[0].stat not in WAITING and not self.extends:
            said = "Job parameters cannot be changed now; non-repetitive job is running. Job not modified."
            return Said(255, "", said)
        found[0].limit = int(minutes)
        return Said(0, f"Parameters of job <{id_}> are being changed\n")

    def _badmin(self, words: list[str], user: str, *_: object) -> Said:
        name, closes = words[-1], words[0] == "hclose"
        if user not in self.administrators:
            verb = "Close" if closes else "Open"
            return Said(255, "", f"{verb} <{name}> ...... Host control failed.: User permission denied")
        chosen = list(self.hosts) if name == "all" else [name]
        if not set(chosen) <= set(self.hosts):
            return Said(255, "", "Bad host name, host group name or cluster name")
        for host in chosen:
            self.hosts[host].is_closed = closes
            self.hosts[host].comment = words[2] if closes else ""
        return Said(
            0, "", "\n".join(f"{'Close' if closes else 'Open'} <{host}> ...... done" for host in chosen)
        )

    # ------------------------------------------------------------------ looking

    def _bjobs(self, words: list[str], user: str, _: object, env: dict[str, str]) -> Said:
        rest, ids, fields, has = list(words), [], None, set()
        who: str | None = user
        while rest:
            word = rest.pop(0)
            if word == "-u":
                who = rest.pop(0)
            elif word == "-o":
                fields = rest.pop(0)
            elif word.startswith("-"):
                has.add(word)
            else:
                ids.append(word)
        unknown = has - {"-d", "-a", "-UF", "-json", "-X"} | (
            has & {"-X"} if self.dialect == "volclava" else set()
        )
        unknown |= has & {"-json"} if self.dialect == "old" else set()
        if unknown:
            return Said(
                255,
                "",
                f"bjobs: invalid option -- '{min(unknown)[1]}'\nUsage: bjobs [-h] [-V] [-w |-l |-UF] …",
            )
        shown = [job for job in self.jobs if job.visible <= self.clock()]
        missing = [id_ for id_ in ids if not any(self._is(job, id_) for job in shown)]
        if ids:
            shown = [job for job in shown if any(self._is(job, id_) for id_ in ids)]
        else:
            shown = [job for job in shown if who in {"all", job.user}]
            shown = [job for job in shown if (job.stat in ENDED) == ("-d" in has)]
        return Printer(self).bjobs(shown, fields, has, missing, env)

    @staticmethod
    def _is(job: Job, id_: str) -> bool:
        number, _, index = id_.rstrip("]").partition("[")
        return str(job.id) == number and (not index or str(job.index) == index)

    def _bhosts(self, words: list[str], *_: object) -> Said:
        if "-o" in words and self.dialect != "ibm":
            return Said(255, "", "bhosts: invalid option -- 'j'\nUsage: \nbhosts [-h] [-V] …")
        named = words[1:] if words[:1] in (["-w"], ["-l"]) else []
        if not set(named) <= set(self.hosts):
            return Said(255, "", f"{named[0]}: Bad host name, host group name or cluster name")
        chosen = {name: host for name, host in self.hosts.items() if not named or name in named}
        if "-o" in words:
            return Printer(self).hosts_json(chosen, words[words.index("-o") + 1])
        return Printer(self).hosts(chosen, in_full="-l" in words)

    def _lshosts(self, *_: object) -> Said:
        return Printer(self).lshosts()

    def _lsid(self, *_: object) -> Said:
        product = "volclava project 2.2, Nov 23 2026\n"
        if self.dialect != "volclava":
            version = "10.1.0.13" if self.dialect == "ibm" else "9.1.3.0"
            product = f"IBM Spectrum LSF Standard {version}, Apr 14 2022\nCopyright IBM\n"
        return Said(0, f"{product}\nMy cluster name is labcl\nMy master name is vm\n")

    def _bparams(self, *_: object) -> Said:
        return Said(0, recorded("bparams").out)

    def _lsclusters(self, *_: object) -> Said:
        return Said(0, f"CLUSTER_NAME: labcl\n\nLSF administrators: {' '.join(self.administrators)}\n")

    def _bqueues(self, *_: object) -> Said:
        return Said(0, recorded("bqueues_l").out)

    def _bacct(self, words: list[str], *_: object) -> Said:
        if self.dialect == "volclava":
            return Said(127, "", "bash: line 1: bacct: command not found")
        ids = words[3:] if "-C" not in words else []
        found = [job for job in self.jobs if job.stat in ENDED and (not ids or str(job.id) in ids)]
        return Said(0, Printer(self).bacct(found))

    def _bhist(self, words: list[str], *_: object) -> Said:
        ids = words[5:] if "-C" not in words else []
        found = [job for job in self.jobs if job.stat in ENDED and (not ids or str(job.id) in ids)]
        if not found:
            return Said(255, "", "No matching job found")
        return Said(0, Printer(self).bhist(found))


def main() -> int:
    """One command of a farm whose state is in a file, in the order in which they come."""
    import fcntl
    import pwd

    path, argv = Path(sys.argv[1]), sys.argv[2:]
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lsf: Lsf = pickle.load(file)  # noqa: S301 - our own
        stdin = sys.stdin.read() if argv[0] == "bsub" else ""
        said = lsf.run(argv, stdin, pwd.getpwuid(os.geteuid()).pw_name, dict(os.environ))
        file.seek(0)
        file.truncate()
        pickle.dump(lsf, file)
    sys.stdout.write(said.out)
    sys.stderr.write(f"{said.err}\n" if said.err else "")
    sys.stdout.flush()
    if said.status is None:
        time.sleep(600)
    return said.status if said.status is not None else 1


if __name__ == "__main__":
    sys.exit(main())
