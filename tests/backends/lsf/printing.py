"""How LSF's commands print: the forms that were recorded, and those that IBM documents."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backends.lsf.stub import Host, Job, Lsf

SMALL = ["JOBID", "USER", "STAT", "QUEUE", "FROM_HOST", "EXEC_HOST", "JOB_NAME", "SUBMIT_TIME"]
ENDED = {"DONE", "EXIT"}
WAITING = {"PEND", "PSUSP"}


def short(at: float) -> str:
    told = time.gmtime(at)
    return f"{time.strftime('%b', told)} {told.tm_mday:2d} {time.strftime('%H:%M', told)}"


def full(at: float) -> str:
    told = time.gmtime(at)
    return f"{time.strftime('%a %b', told)} {told.tm_mday:2d} {time.strftime('%H:%M:%S', told)}"


def dated(at: float) -> str:
    told = time.gmtime(at)
    return f"{time.strftime('%b', told)} {told.tm_mday:2d} {time.strftime('%H:%M:%S %Y', told)}"


class Printer:
    def __init__(self, lsf: Lsf) -> None:
        self.lsf = lsf
        self.is_ibm = lsf.dialect != "volclava"

    def said(self, status: int, out: str = "", err: str = "") -> Any:
        from backends.lsf.stub import Said

        return Said(status, out, err)

    # ------------------------------------------------------------------ bjobs

    def bjobs(
        self, jobs: list[Job], fields: str | None, has: set[str], missing: list[str], env: dict[str, str]
    ) -> Any:
        lost = [f"Job <{id_}> is not found" for id_ in missing]
        if "-UF" in has:
            out = "".join(self.block(job) for job in jobs) + "\n"
            return self.said(
                255 if lost or not jobs else 0, out if jobs else "", "\n".join(lost) or self.none(jobs)
            )
        if fields is None:
            rows = "".join(f"{job.id:<7} {job.user:7.7} {job.stat}\n" for job in jobs)
            return self.said(
                254 if not jobs and not lost else 255 if lost else 0, rows, "\n".join(lost) or self.none(jobs)
            )
        names, delimiter = fields.split(), " "
        if names[-1].startswith("delimiter="):
            delimiter = names.pop()[11:-1]
            if not self.is_ibm and jobs:
                return self.said(
                    99, "", f"<{names[-1].upper()}> in the format string is not a valid field name."
                )
        for name in names:  # the recorded system looks at the fields only when there is a job to show
            if not self.is_ibm and name.upper() not in SMALL and jobs:
                return self.said(99, "", f"<{name.upper()}> in the format string is not a valid field name.")
        rows = [{name.upper(): self.value(job, name, env) for name in names} for job in jobs]
        if "-json" in has:
            errors = [{"JOBID": id_, "ERROR": f"Job <{id_}> is not found"} for id_ in missing]
            err = self.none(jobs) if self.is_ibm and not missing else ""
            return self.said(
                0 if jobs and not errors else 255, self.document("bjobs", "JOBS", rows + errors), err
            )
        lines = [
            delimiter.join(names).upper(),
            *(delimiter.join(v or "-" for v in row.values()) for row in rows),
        ]
        if not jobs:
            return self.said(255, "", "\n".join(lost) or self.none(jobs))
        return self.said(255 if lost else 0, "\n".join(lines) + "\n", "\n".join(lost))

    @staticmethod
    def none(jobs: list[Job]) -> str:
        return "" if jobs else "No unfinished job found"

    def document(self, command: str, counted: str, rows: list[dict[str, str]]) -> str:
        text = json.dumps({"COMMAND": command, counted: len(rows), "RECORDS": rows}, indent=2)
        return (text.replace("/", "\\/") if self.is_ibm else text) + "\n"

    def value(self, job: Job, name: str, env: dict[str, str]) -> str:
        has_year = self.is_ibm and env.get("LSB_DISPLAY_YEAR", "").upper() == "Y"
        when = dated if has_year else short
        slots = sum(count for _, count in job.hosts)
        placed = job.stat not in WAITING and job.hosts
        if name == "exec_host":
            if not placed:
                return ""
            if not self.is_ibm:
                return job.hosts[0][0]
            return ":".join(f"{count}*{host}" if count > 1 else host for host, count in job.hosts)
        values = {
            "jobid": str(job.id),
            "jobindex": str(job.index),
            "stat": job.stat,
            "user": job.user,
            "queue": job.queue,
            "job_name": job.name,
            "from_host": "vm",
            "submit_time": when(job.submitted),
            "proj_name": job.project,
            "start_time": when(job.started) if job.started is not None else "",
            "finish_time": f"{when(job.ended)} L" if job.ended is not None else "",
            "nalloc_slot": str(slots) if placed else "",
            "nreq_slot": str(job.slots),
            "slots": str(slots if placed else job.slots),
            "runtimelimit": f"{job.limit // 60:02}:{job.limit % 60:02}:00" if job.limit is not None else "",
            "combined_resreq": self.resources(job),
            "pend_reason": "Job has been stopped while pending;" if job.stat == "PSUSP" else "",
            "exit_code": str(job.wait_status >> 8) if job.stat == "EXIT" and job.wait_status else "",
            "exit_reason": job.reason,
            "cpu_used": "0 second(s)" if job.started is not None else "",
        }
        return values.get(name, "")

    def resources(self, job: Job) -> str:
        """With the amounts in the unit that the cluster uses, as LSF shows them."""
        asked = re.sub(r"mem=([0-9]+)(?:MB)?", lambda found: f"mem={float(found[1]):.2f}", job.resources)
        return f"select[type == local] order[r15s:pg] {asked}".strip()

    # ------------------------------------------------------------------ in full

    def header(self, job: Job, has_status: bool = True) -> str:
        id_ = f"{job.id}[{job.index}]" if job.index else str(job.id)
        name = f" Job Name <{job.name}>," if job.name else ""
        status = f" Status <{job.stat}>, Queue <{job.queue}>," if has_status else ""
        project = f" Project <{job.project}>,"
        return f"\nJob <{id_}>,{name} User <{job.user}>,{project}{status} Command <{job.command}>\n"

    def submitted(self, job: Job, queue: str = "") -> str:
        asked = f", {job.slots} Task(s)" if job.slots > 1 else ""
        resources = f", Requested Resources <{job.resources}>" if job.resources else ""
        return f"{full(job.submitted)}: Submitted from host <vm>{queue}, CWD </tmp>{asked}{resources};\n"

    def block(self, job: Job) -> str:
        text = self.header(job) + self.submitted(job)
        hosts = " ".join(f"<{host}>" for host, count in job.hosts for _ in range(count))
        slots = sum(count for _, count in job.hosts)
        if job.started is not None:
            text += (
                f"{full(job.started)}: {f'[{job.index}] started' if job.index else 'Started'} "
                f"{slots} Task(s) on Host(s) {hosts}, Allocated {slots} Slot(s) on Host(s) {hosts}, "
                f"Execution Home </home/{job.user}>, Execution CWD </tmp>;\n"
            )
        if job.ended is not None:
            text += f"{full(job.ended)}: {self.ending(job)}\n"
        if job.limit is not None:
            text += f"\n RUNLIMIT                \n {job.limit:.1f} min                \n"
        return (
            text
            + "\n SCHEDULING PARAMETERS:\n           r15s   r1m  r15m   ut      pg    io   ls    it\n"
            + " loadSched   -     -     -     -       -     -    -     -     -      -      -  \n\n"
            + f" RESOURCE REQUIREMENT DETAILS:\n Combined: {self.resources(job)}\n"
            + f" Effective: {self.resources(job) if job.started is not None else '-'}\n"
            + "------------------------------------------------------------------------------\n"
        )

    def ending(self, job: Job) -> str:
        used = " The CPU time used is 0.0 seconds." if job.started is not None else ""
        if job.stat == "DONE":
            return f"Done successfully.{used}"
        code = job.wait_status >> 8
        return f"Exited with exit code {code}.{used}" if code else f"Exited{used}"

    def bhist(self, jobs: list[Job]) -> str:
        text = ""
        for job in jobs:
            text += wrapped(self.header(job, has_status=False)) + wrapped(
                self.submitted(job, f", to Queue <{job.queue}>")
            )
            if job.started is not None:
                hosts = " ".join(f"<{host}>" for host, count in job.hosts for _ in range(count))
                many = (
                    f" {sum(count for _, count in job.hosts)} Hosts/Processors"
                    if len(hosts.split()) > 1
                    else ""
                )
                text += wrapped(f"{full(job.started)}: Dispatched to{many} {hosts};\n")
                text += f"{full(job.started)}: Starting (Pid 23375);\n"
            text += wrapped(f"{full(job.ended or 0)}: {self.ending(job)}\n")
            text += f"\nSummary of time in seconds spent in various states by  {full(job.ended or 0)}\n"
        return text

    def bacct(self, jobs: list[Job]) -> str:
        text = "\nAccounting information about jobs that are: \n  - submitted by all users.\n"
        rule = "------------------------------------------------------------------------------\n"
        for job in jobs:
            text += rule + wrapped(self.header(job)) + wrapped(self.submitted(job))
            if job.started is not None:
                hosts = " ".join(
                    f"<{count}*{host}>" if count > 1 else f"<{host}>" for host, count in job.hosts
                )
                slots = sum(count for _, count in job.hosts)
                text += wrapped(
                    f"{full(job.started)}: Dispatched {slots} Task(s) on Host(s) {hosts}, "
                    f"Allocated {slots} Slot(s) on Host(s) {hosts}, "
                    f"Effective RES_REQ <{self.resources(job)} >;\n"
                )
            reason = f"; {job.reason}" if job.reason else ""
            text += (
                f"{full(job.ended or 0)}: Completed <{'done' if job.stat == 'DONE' else 'exit'}>{reason}.\n\n"
            )
            text += "Accounting information about this job:\n"
            text += "     CPU_T     WAIT     TURNAROUND   STATUS     HOG_FACTOR    MEM    SWAP\n"
            text += (
                f"      0.08       50            117     {job.stat.lower()}         0.0007     5M    222M\n"
            )
        return text + rule + "\nSUMMARY:      ( time unit: second ) \n"

    def acct(self, job: Job, at: float, wait_status: int, exit_info: int) -> str:
        def quoted(text: str) -> str:
            return '"' + text.replace('"', '""') + '"'

        hosts = [f"{count}*{host}" if self.is_ibm and count > 1 else host for host, count in job.hosts]
        if not self.is_ibm:
            hosts = [host for host, count in job.hosts for _ in range(count)]
        status = 64 if not wait_status and job.started is not None else 32
        fields = [
            '"JOB_FINISH"', '"10.1"' if self.is_ibm else '"2.2"', int(at), job.id, 1000, 33554434, job.slots,
            int(job.submitted), 0, 0, int(job.started or 0), quoted(job.user), quoted(job.queue),
            quoted(job.resources), '""', '""', '"vm"', '"/tmp"', '""', '""', '""', '"1644826545.386"',
            0, len(hosts), *map(quoted, hosts), status, 100.0, quoted(job.name), quoted(job.command),
            0.004997, 0.006155, 3748, 0, -1, 0, 0, 436, 4, 0, 928, 0, -1, 0, 0, 0, 19, 2, -1,
            '""', quoted(job.project), wait_status, job.slots, '""', *(['""'] if self.is_ibm else []),
            job.index, 2048, 0,
        ]  # fmt: skip
        tail = ['""'] * 4 + ["0", '""', exit_info, '""', "-1"] if self.is_ibm else ['""'] * 2
        return " ".join(str(each) for each in fields + tail) + "\n"

    # ------------------------------------------------------------------ hosts

    def status(self, name: str, host: Host) -> str:
        if host.status != "ok":
            return host.status
        if host.is_closed:
            return "closed_Adm"
        return "closed_Full" if self.taken(name) >= host.slots else "ok"

    def taken(self, name: str) -> int:
        running = (job for job in self.lsf.jobs if job.stat not in WAITING | ENDED)
        return sum(count for job in running for host, count in job.hosts if host == name)

    def hosts(self, chosen: dict[str, Host], in_full: bool) -> Any:
        if not in_full:
            out = "HOST_NAME          STATUS          JL/U    MAX  NJOBS    RUN  SSUSP  USUSP    RSV \n"
            for name, host in chosen.items():
                taken = self.taken(name)
                out += f"{name:18} {self.status(name, host):15}    - {host.slots:6} "
                out += f"{taken:6} {taken:6}      0      0      0\n"
            return self.said(0, out)
        out = ""
        for name, host in chosen.items():
            out += f"HOST  {name}\nSTATUS           CPUF  JL/U    MAX  NJOBS    RUN  SSUSP\n"
            out += f"{self.status(name, host):14} 100.00     - {host.slots:6}      0      0      0\n\n"
            if host.comment:
                out += f"ADMIN ACTION COMMENT:  {host.comment}\n\n\n"
        return self.said(0, out)

    def hosts_json(self, chosen: dict[str, Host], fields: str) -> Any:
        rows = []
        for name, host in chosen.items():
            told = {
                "host_name": name,
                "status": self.status(name, host),
                "max": str(host.slots),
                "ngpus": "2",
            }
            if unknown := [field for field in fields.split() if field not in told]:
                return self.said(255, "", f"<{unknown[0]}> in the format string is not a valid field name.")
            rows.append({field.upper(): told[field] for field in fields.split()})
        return self.said(0, self.document("bhosts", "HOSTS", rows))

    def lshosts(self) -> Any:
        out = "HOST_NAME                       type       model  cpuf ncpus maxmem maxswp server RESOURCES\n"
        for name, host in self.lsf.hosts.items():
            away = host.status in {"unavail", "unreach"}
            ncpus, memory = ("-", "-") if away else (str(host.slots), f"{host.memory}M")
            out += f"{name:30} linux     IntelI5 100.0 {ncpus:>5} {memory:>6}      -    Yes (fs cs)\n"
        return self.said(0, out)


def wrapped(text: str) -> str:
    """Lines broken after 79 characters, as the long forms are."""
    lines = []
    for line in text.split("\n"):
        lines.append(line[:79])
        rest = line[79:]
        while rest:
            lines.append(" " * 21 + rest[:58])
            rest = rest[58:]
    return "\n".join(lines)
