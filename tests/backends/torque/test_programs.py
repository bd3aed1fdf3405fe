"""The driver before real programs, by the real runner: the stub's commands, each a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from backends.torque.stub import Stub, lookup
from wnodes_batch.runner import Command
from wnodes_engine.backend import ActionOutcome, BackendUnavailable, JobRef, SlotRequest, Verdict
from wnodes_engine.conformance import submission
from wnodes_engine.conformance.laws import Law, judge, statement
from wnodes_engine.conformance.subject import Settings
from wnodes_simulated.backend import SimulatedBackend
from wnodes_torque.backend import TorqueBackend
from wnodes_torque.options import Dialect

PROGRAMS = ("qsub", "qstat", "qdel", "qhold", "qrls", "qrerun", "qsig", "qalter", "qselect", "pbsnodes")
PROGRAM = """#!{python} -IS
import json, os, socket, sys
script = sys.stdin.read() if sys.argv[0].endswith("qsub") else ""
line = socket.socket(socket.AF_UNIX)
line.connect({path!r})
line.sendall(json.dumps([[os.path.basename(sys.argv[0]), *sys.argv[1:]], script, dict(os.environ)]).encode())
line.shutdown(socket.SHUT_WR)
status, out, said = json.load(line.makefile())
sys.stdout.write(out)
sys.stderr.write(said)
sys.exit(status)
"""
LAWS = (
    submission.a_held_job_is_shown_as_it_was_asked_for_and_does_not_start,
    submission.many_submissions_at_once_become_as_many_jobs,
    submission.a_queue_that_is_not_there_is_refused_in_words,
)


async def before(
    folder: Path, dialect: Dialect, do: Callable[[TorqueBackend], Awaitable[None]], hangs: bool = False
) -> list[dict[str, str]]:
    """Do something with a driver whose programs are there; the environments that they had."""
    (folder / "farm.yaml").write_text("nodes:\n  - {name: 'n[1-3]', cores: 8, memory: 8GiB}\n")
    (folder / "bin").mkdir()
    stub = Stub(SimulatedBackend("grid", {"farm": str(folder / "farm.yaml")}), dialect)
    environments: list[dict[str, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        argv, script, environment = json.loads(await reader.read())
        environments.append(environment)
        if hangs and "--version" not in argv:
            await asyncio.sleep(10)
        said = await stub(Command(tuple(argv), script.encode()))
        writer.write(json.dumps([said.status, said.out.decode(), said.said]).encode())
        writer.close()

    path = str(folder / "socket")
    for name in PROGRAMS:
        program = folder / "bin" / name
        program.write_text(PROGRAM.format(python=sys.executable, path=path))
        program.chmod(0o755)
    options = {"bin": str(folder / "bin"), "manager": True, "server": "head"}
    backend = TorqueBackend("grid", options | {"limit": 3 if hangs else 30}, lookup=lookup, own=990)
    server = await asyncio.start_unix_server(answer, path)
    try:
        await do(backend)
    finally:
        server.close()
    return environments


@pytest.mark.parametrize("law", LAWS, ids=statement)
@pytest.mark.parametrize("dialect", Dialect)
def test_the_laws_of_submission_hold_before_real_programs(law: Law, dialect: Dialect, tmp_path: Path) -> None:
    async def judged(backend: TorqueBackend) -> None:
        found = await judge(law, backend, Settings(queue="batch", patience=30, pause=0.01))
        assert found.holds is True, found.said

    environments = asyncio.run(before(tmp_path, dialect, judged))
    names = {name for environment in environments for name in environment}
    assert names - {"LC_CTYPE"} == {"PATH", "LC_ALL", "TZ", "HOME", "PBS_DEFAULT", "PBS_SERVER"}


@pytest.mark.parametrize("dialect", Dialect)
def test_programs_that_hang_are_given_up(dialect: Dialect, tmp_path: Path) -> None:
    async def tried(backend: TorqueBackend) -> None:
        slot = SlotRequest("k", "x", "", 1, 64, script="#!/bin/sh\n")
        answer, *_ = await asyncio.gather(backend.submit(slot), fails(backend))
        assert not isinstance(answer, JobRef)
        assert isinstance(answer, ActionOutcome)
        assert (answer.verdict, "did not end within 3 s" in answer.message) == (Verdict.UNKNOWN, True)

    async def fails(backend: TorqueBackend) -> None:
        with pytest.raises(BackendUnavailable, match="did not end within 3 s"):
            await backend.snapshot()

    asyncio.run(before(tmp_path, dialect, tried, hangs=True))
