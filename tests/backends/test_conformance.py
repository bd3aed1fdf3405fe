"""The simulated farm keeps the laws of backends, and those that break one are found out."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    Capability,
    Endings,
    JobRef,
    NodeAction,
    SlotRequest,
    Snapshot,
    Verdict,
)
from wnodes_engine.conformance.laws import LAWS, Found, Law, judge, statement
from wnodes_engine.conformance.subject import Settings
from wnodes_simulated.backend import SimulatedBackend

SITE = (
    "name: x\ntimezone: UTC\nfarm: farm.yaml\nbackends:\n  farm: {driver: simulated, options: {speed: 20}}\n"
)
PATIENT = Settings(user="ada", patience=5, pause=0.01)
HASTY = Settings(user="ada", patience=0.3, pause=0.01)
FAULTS = {"lost": 0.2, "passing": 0.3, "slow": 0.2, "slow_by": 0.02, "late": 0.2, "late_by": 0.1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "farm.yaml").write_text("nodes:\n  - {name: 'n[1-3]', cores: 8, memory: 8GiB}\n")
    (tmp_path / "site.yaml").write_text(SITE)
    return tmp_path


def judged(
    law: Law, folder: Path, driver: type[SimulatedBackend], settings: Settings, **options: object
) -> Found:
    backend = driver("farm", {"farm": str(folder / "farm.yaml"), "speed": 20, **options})
    return asyncio.run(judge(law, backend, settings))


@pytest.mark.parametrize("law", LAWS, ids=statement)
def test_the_simulated_farm_keeps_every_law(law: Law, folder: Path) -> None:
    found = judged(law, folder, SimulatedBackend, PATIENT)
    assert found.holds is (None if "a queue" in found.law else True), found.said


@pytest.mark.parametrize("law", LAWS, ids=statement)
def test_the_laws_hold_while_answers_are_slow_and_get_lost(law: Law, folder: Path) -> None:
    found = judged(law, folder, SimulatedBackend, PATIENT, faults=FAULTS, seed=7)
    assert found.holds is (None if "a queue" in found.law else True), found.said


class Eager(SimulatedBackend):
    """Does not hold what was to be held."""

    async def submit(self, slot: SlotRequest) -> JobRef | ActionOutcome:
        return await super().submit(msgspec.structs.replace(slot, held=False))


class Unpinned(SimulatedBackend):
    """Puts jobs where it likes."""

    async def submit(self, slot: SlotRequest) -> JobRef | ActionOutcome:
        return await super().submit(msgspec.structs.replace(slot, nodes=(), allowed=(), excluded=()))


class Trusting(SimulatedBackend):
    """Believes that a key is proof enough."""

    async def find(self, wanted: Mapping[str, str]) -> Mapping[str, JobRef]:
        return {job.ref.key: job.ref for job in (await self.snapshot()).jobs if job.ref.key in wanted}


class Sloppy(SimulatedBackend):
    """Looks at nothing but the id before it acts."""

    async def act(
        self, action: Action, refs: Sequence[JobRef], *, walltime: int | None = None
    ) -> Mapping[JobRef, ActionOutcome]:
        jobs = {job.ref.id: job.ref for job in (await self.snapshot()).jobs}
        meant = {ref: jobs.get(ref.id, ref) for ref in refs}
        done = await super().act(action, list(meant.values()), walltime=walltime)
        return {ref: done[other] for ref, other in meant.items()}


class Silent(SimulatedBackend):
    """Says that all was well without doing anything."""

    async def act(
        self, action: Action, refs: Sequence[JobRef], *, walltime: int | None = None
    ) -> Mapping[JobRef, ActionOutcome]:
        return {ref: ActionOutcome(Verdict.DONE) for ref in refs}

    async def set_node(self, node: str, action: NodeAction, reason: str) -> ActionOutcome:
        return ActionOutcome(Verdict.DONE)


class Forgetful(SimulatedBackend):
    """Tells every ending each time."""

    async def finished(self, cursor: str) -> Endings:
        return msgspec.structs.replace(await super().finished(""), cursor=cursor)


class Blind(SimulatedBackend):
    """Takes a failed query for an empty farm."""

    async def snapshot(self) -> Snapshot:
        return Snapshot((), (), 0)


class Failing(SimulatedBackend):
    """Lets its own errors out."""

    async def submit(self, slot: SlotRequest) -> JobRef | ActionOutcome:
        raise KeyError("jobid")


@pytest.mark.parametrize(
    ("driver", "broken"),
    [
        (Eager, "a held job is shown"),
        (Unpinned, "a pinned job runs on its node"),
        (Unpinned, "the parts of a pinned job"),
        (Unpinned, "a job keeps to the nodes"),
        (Trusting, "a job is found by its key and user"),
        (Sloppy, "a job that is not the one meant"),
        (Sloppy, "one wrong reference"),
        (Silent, "a released job runs"),
        (Silent, "a job that is taken back"),
        (Silent, "a node that is not there"),
        (Forgetful, "each ending is told once"),
        (Blind, "the nodes are shown"),
        (Failing, "a job that was not to be held"),
    ],
)
def test_a_backend_that_breaks_a_law_is_found_out(
    driver: type[SimulatedBackend], broken: str, folder: Path
) -> None:
    [law] = [law for law in LAWS if statement(law).startswith(broken)]
    assert judged(law, folder, driver, HASTY).holds is False


class Poor(SimulatedBackend):
    """Can do very little."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()


def test_what_a_backend_does_not_claim_to_do_is_left_out_and_said(folder: Path) -> None:
    [law] = [law for law in LAWS if statement(law).startswith("a pinned job")]
    assert judged(law, folder, Poor, HASTY) == Found(statement(law), None, "this backend has no pin")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [
        sys.executable,
        "-m",
        "wnodes_engine.conformance",
        *arguments,
        "--config",
        str(folder / "site.yaml"),
    ]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def test_one_command_tries_a_backend_of_a_site(folder: Path) -> None:
    done = run(folder, "farm", "--patience", "5", "--only", "held", "--user", "ada")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok     a held job is shown" in done.stdout
    assert " laws hold, 0 are broken, 0 were left out\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [(("barn",), 1, "no backend 'barn': there is farm"), (("farm", "--only", "milk"), 2, "no law speaks")],
)
def test_what_the_command_cannot_do_is_said(
    folder: Path, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = run(folder, *arguments)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
