"""The simulated cloud keeps the laws of executors, and those that break one are found out."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from wnodes_engine.backend import ActionOutcome, Verdict
from wnodes_engine.conformance.cloud import CloudSettings
from wnodes_engine.conformance.clouds import CLOUD_LAWS, CloudLaw, judge_cloud
from wnodes_engine.conformance.laws import Found, statement
from wnodes_engine.executor import Amounts, CloudView, Gone, Machine, Server, ServerRef
from wnodes_simulated_cloud.executor import SimulatedExecutor

PATIENT = CloudSettings("p1", "tiny", patience=5, pause=0.005)
HASTY = CloudSettings("p1", "tiny", patience=0.3, pause=0.005)
HOSTS = [{"name": f"h{number}", "vcpus": 8, "memory": 32768} for number in (1, 2)]
FAULTS = {"lost": 0.2, "passing": 0.2, "slow": 0.2, "slow_by": 0.01, "generation": 0.3}


def judged(
    law: CloudLaw,
    driver: type[SimulatedExecutor] = SimulatedExecutor,
    settings: CloudSettings = PATIENT,
    **options: object,
) -> Found:
    given = {"hosts": HOSTS, "boots": 0.02, "leaves": 0.02, "projects": ["p1"]} | options
    return asyncio.run(judge_cloud(law, driver("cloud", given), settings))


@pytest.mark.parametrize("law", CLOUD_LAWS, ids=statement)
def test_the_simulated_cloud_keeps_every_law(law: CloudLaw) -> None:
    found = judged(law)
    assert found.holds is True, found.said


@pytest.mark.parametrize("law", CLOUD_LAWS, ids=statement)
def test_the_laws_hold_while_answers_get_lost_and_generations_pass(law: CloudLaw) -> None:
    found = judged(law, faults=FAULTS, seed=5)
    assert found.holds is True, found.said


class Adrift(SimulatedExecutor):
    """Lets the scheduler choose."""

    async def create(self, machine: Machine, host: str) -> ServerRef | ActionOutcome:
        return await super().create(machine, "" if host != "no-such-host" else host)


class Trusting(SimulatedExecutor):
    """Believes that a key is proof enough."""

    async def find(self, wanted: Mapping[str, str]) -> Mapping[str, tuple[Server, ...]]:
        servers = (await self.inventory()).servers
        return {server.ref.key: (server,) for server in servers if server.ref.key in wanted}


class Hasty(SimulatedExecutor):
    """Takes a 404 for proof that a machine has ended."""

    async def look(self, ref: ServerRef) -> Server | Gone:
        seen = await super().look(ref)
        return msgspec.structs.replace(seen, confirmed=False) if isinstance(seen, Gone) else seen


class Adding(SimulatedExecutor):
    """Adds to the ballast what should have been set."""

    async def set_ballast(self, host: str, granted: Amounts) -> ActionOutcome:
        seen = await self.host(host)
        held = 0 if seen is None else seen.ballast.get("VCPU", 0) // 4
        return await super().set_ballast(host, {**granted, "VCPU": granted.get("VCPU", 0) + held})


class Silent(SimulatedExecutor):
    """Says that all was well without doing anything."""

    async def set_ballast(self, host: str, granted: Amounts) -> ActionOutcome:
        return ActionOutcome(Verdict.DONE)

    async def delete(self, ref: ServerRef) -> ActionOutcome:
        return ActionOutcome(Verdict.DONE)


class Blind(SimulatedExecutor):
    """Takes a failed query for an empty cloud."""

    async def inventory(self) -> CloudView:
        return msgspec.structs.replace(await super().inventory(), servers=())


class Rough(SimulatedExecutor):
    """Touches whatever has the id."""

    async def shelve(self, ref: ServerRef) -> ActionOutcome:
        box = self.cloud.servers.get(ref.id)
        return await super().shelve(ref if box is None else msgspec.structs.replace(ref, project=box.project))


@pytest.mark.parametrize(
    ("driver", "broken"),
    [
        (Adrift, "a machine runs on its host"),
        (Trusting, "a server is found by its key"),
        (Hasty, "a server that was deleted"),
        (Adding, "ballast is set and not added"),
        (Silent, "full ballast leaves nothing"),
        (Silent, "a server that was deleted"),
        (Blind, "all views of a server agree"),
        (Rough, "a server that is not ours"),
    ],
)
def test_an_executor_that_breaks_a_law_is_found_out(driver: type[SimulatedExecutor], broken: str) -> None:
    [law] = [law for law in CLOUD_LAWS if statement(law).startswith(broken)]
    assert judged(law, driver, HASTY).holds is False


def test_one_command_tries_an_executor_of_a_site(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(
        "name: x\ntimezone: UTC\nexecutors:\n  cloud:\n    driver: simulated\n    options:\n"
        "      boots: 0.01\n      leaves: 0.01\n      hosts:\n        - {name: h1, vcpus: 4, memory: 8192}\n"
    )
    argv = ("cloud", "--project", "p1", "--image", "tiny", "--only", "ballast", "--patience", "5")
    done = subprocess.run(
        [sys.executable, "-m", "wnodes_engine.conformance", *argv, "--config", str(tmp_path / "site.yaml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "ok     full ballast leaves nothing to boot into" in done.stdout
