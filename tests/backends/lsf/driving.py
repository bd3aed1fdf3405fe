"""A driver, the commands that it runs, and the farm behind them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from backends.lsf.stub import Dialect, Lsf
from wnodes_batch.identity import Account
from wnodes_batch.runner import Answer, Command
from wnodes_engine.backend import Action, ActionOutcome, Endings, JobRef, SlotRequest, Verdict
from wnodes_lsf.backend import LsfBackend

CONF = "# lsf.conf\nLSF_UNIT_FOR_LIMITS=MB  # of memory\nLSB_MOD_ALL_JOBS=Y\n"


def lookup(who: str | int) -> Account | None:
    """Everybody is a user here whose name is a word of letters."""
    if who == "root":
        return Account("root", 0, 0, "/root")
    if isinstance(who, str) and who.isalpha() and who != "somebody":
        return Account(who, 990 if who == "wnodes" else 1000, 1000, f"/home/{who}")
    return {990: Account("wnodes", 990, 990, "/"), 0: Account("root", 0, 0, "/root")}.get(who)  # type: ignore[arg-type]


DIALECTS = ["ibm", "volclava", "old"]


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_795_400_000.0

    def __call__(self) -> float:
        return self.now


class Lab:
    def __init__(
        self,
        folder: Path,
        dialect: Dialect = "volclava",
        clock: Any = None,
        acct: bool = False,
        **options: Any,
    ) -> None:
        self.folder, self.clock = folder, clock
        (folder / "lsf.conf").write_text(CONF)
        self.lsf = Lsf(dialect, **({"clock": clock} if clock else {}), **options)
        if acct:
            self.lsf.acct = folder / "lsb.acct"
            self.lsf.acct.touch()
        self.lsf.administrators.append("wnodes")
        self.commands: list[Command] = []
        self.backend = self.driver()

    def driver(self, own: int = 990, **options: Any) -> LsfBackend:
        """A new driver, as after a restart."""
        given = {"submit_as": "sudo", "min_uid": 500, "envdir": str(self.folder), **options}
        if self.lsf.acct is not None:
            given["accounting"] = str(self.lsf.acct)
        clock = {"clock": self.clock} if self.clock else {}
        return LsfBackend("grid", given, runner=self.run, lookup=lookup, own=own, **clock)

    async def run(self, command: Command) -> Answer:
        """The runner: whom a command runs as is what stands before it."""
        self.commands.append(command)
        argv, user = list(command.argv), "wnodes"
        if argv == ["sudo", "-n", "-l"]:
            return Answer(0, b"    (%grid) SETENV: NOPASSWD: /opt/lsf/bin/bsub\n")
        while argv[0] in {"env", "sudo", "runuser"}:
            if argv[0] == "env":
                argv = argv[5:]
            else:
                user = argv[argv.index("-u") + 1]
                argv = argv[argv.index("--") + 1 :]
        said = self.lsf.run(argv, command.stdin.decode(), user, dict(command.env))
        if said.status is None:
            return Answer(None, said=f"{argv[0]} did not end within {command.limit:g} s")
        if said.status == 127:
            return Answer(None, said=f"{argv[0]} cannot be run: No such file or directory", began=False)
        return Answer(said.status, said.out.encode(), said.err)

    def submit(self, key: str = "k", **fields: Any) -> JobRef | ActionOutcome:
        given = {"name": "wnodes-1", "user": "ada", "cores": 1, "memory": 64, "walltime": 900} | fields
        given = {"script": "#!/bin/sh\nsleep 60\n"} | given
        return asyncio.run(self.backend.submit(SlotRequest(key=key, **given)))

    def taken(self, key: str = "k", **fields: Any) -> JobRef:
        ref = self.submit(key, **fields)
        assert isinstance(ref, JobRef), ref
        return ref

    def act(self, action: Action, ref: JobRef, **more: Any) -> Verdict:
        return asyncio.run(self.backend.act(action, [ref], **more))[ref].verdict

    def finished(self, cursor: str = "", backend: LsfBackend | None = None) -> Endings:
        return asyncio.run((backend or self.backend).finished(cursor))

    def ran(self) -> list[str]:
        return [argv[0] for argv in self.lsf.ran]
