"""The driver before the stub's commands, with a simulated farm behind them: its laws, and fault by fault."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from backends.torque.stub import Stub, lookup
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    BackendUnavailable,
    Endings,
    JobRef,
    JobState,
    SlotRequest,
)
from wnodes_engine.conformance.laws import LAWS, Found, Law, judge, statement
from wnodes_engine.conformance.subject import Settings
from wnodes_simulated.backend import SimulatedBackend
from wnodes_torque.backend import TorqueBackend
from wnodes_torque.options import Dialect

SETTINGS = Settings(user="ada", queue="batch", patience=5, pause=0.01)
FARM = "nodes:\n  - {name: 'n[1-3]', cores: 8, memory: 8GiB}\n"
DIALECTS = pytest.mark.parametrize("dialect", Dialect)
SOURCES = pytest.mark.parametrize("has_log", [True, False], ids=["log", "qstat"])


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


class Lab:
    """A driver, the commands that it runs, and the farm behind them."""

    def __init__(
        self, folder: Path, dialect: Dialect, clock: Any = None, has_log: bool = True, **options: Any
    ) -> None:
        (folder / "farm.yaml").write_text(FARM)
        given = {"farm": str(folder / "farm.yaml"), "speed": 20, **options}
        self.clock, self.log = clock, folder / "accounting"
        self.farm = SimulatedBackend("grid", given, **({"clock": clock} if clock else {}))
        self.stub = Stub(self.farm, dialect, self.log if has_log else None, ZoneInfo("Europe/Rome"))
        self.more = {"accounting": str(self.log)} if has_log else {}
        self.backend = self.driver()

    def driver(self, **options: Any) -> TorqueBackend:
        """A new driver, as after a restart."""
        given = {
            "submit_as": "sudo",
            "service_user": "wnodes",
            "min_uid": 500,
            "manager": True,
            "timezone": "Europe/Rome",
            **self.more,
            **options,
        }
        clock = {"clock": self.clock} if self.clock else {}
        return TorqueBackend("grid", given, runner=self.stub, lookup=lookup, own=0, **clock)

    def submit(self, key: str = "k", **fields: Any) -> JobRef | ActionOutcome:
        given = {"name": "wnodes-1", "user": "ada", "cores": 1, "memory": 64, "walltime": 900} | fields
        return asyncio.run(self.backend.submit(SlotRequest(key=key, script="#!/bin/sh\nsleep 60\n", **given)))

    def taken(self, key: str = "k", **fields: Any) -> JobRef:
        ref = self.submit(key, **fields)
        assert isinstance(ref, JobRef)
        return ref

    def act(self, action: Action, ref: JobRef, **more: Any) -> ActionOutcome:
        return asyncio.run(self.backend.act(action, [ref], **more))[ref]

    def states(self) -> dict[JobRef, JobState]:
        return {job.ref: job.state for job in asyncio.run(self.backend.snapshot()).jobs}

    def finished(self, cursor: str = "", backend: TorqueBackend | None = None) -> Endings:
        self.stub.tick()
        return asyncio.run((backend or self.backend).finished(cursor))

    def programs(self) -> list[str]:
        return [command.argv[0] for command in self.stub.commands]


@pytest.fixture(params=list(Dialect))
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    return Lab(tmp_path, request.param, Clock())


def judged(law: Law, lab: Lab) -> Found:
    async def goes_on() -> None:
        while True:
            lab.stub.tick()
            await asyncio.sleep(0.01)

    async def tried() -> Found:
        server = asyncio.create_task(goes_on())
        for _ in range(50):
            try:
                await lab.backend.snapshot()
                break
            except BackendUnavailable:
                pass
        try:
            return await judge(law, lab.backend, SETTINGS)
        finally:
            server.cancel()

    return asyncio.run(tried())


@pytest.mark.parametrize("law", LAWS, ids=statement)
@DIALECTS
@SOURCES
def test_the_driver_keeps_every_law(law: Law, dialect: Dialect, has_log: bool, tmp_path: Path) -> None:
    found = judged(law, Lab(tmp_path, dialect, has_log=has_log))
    assert found.holds is True, found.said
