"""The driver keeps every law before the commands of LSF, of what was recorded, and of one without JSON."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from backends.lsf.driving import Lab
from wnodes_engine.conformance.laws import LAWS, Found, Law, judge, statement
from wnodes_engine.conformance.subject import Settings

SETTINGS = Settings(user="ada", queue="short", account="lab", patience=5, pause=0.01)


def judged(law: Law, lab: Lab) -> Found:
    async def goes_on() -> None:
        while True:  # the daemon writes lsb.acct whether anybody asks or not
            lab.lsf.advance()
            await asyncio.sleep(0.02)

    async def tried() -> Found:
        daemon = asyncio.create_task(goes_on())
        await lab.backend.snapshot()
        found = await judge(law, lab.backend, SETTINGS)
        daemon.cancel()
        return found

    return asyncio.run(tried())


@pytest.mark.parametrize("law", LAWS, ids=statement)
@pytest.mark.parametrize("acct", [False, True], ids=["commands", "lsb.acct"])
@pytest.mark.parametrize("dialect", ["ibm", "volclava", "old"])
def test_the_driver_keeps_every_law(law: Law, dialect: str, acct: bool, tmp_path: Path) -> None:
    found = judged(law, Lab(tmp_path, dialect, acct=acct))
    assert found.holds is True, found.said


@pytest.mark.parametrize("law", LAWS, ids=statement)
@pytest.mark.parametrize("dialect", ["ibm", "volclava"])
def test_the_laws_hold_while_submissions_are_turned_away_and_answers_get_lost(
    law: Law, dialect: str, tmp_path: Path
) -> None:
    found = judged(law, Lab(tmp_path, dialect, lost=0.2, passing=0.3, late=0.1, seed=3))
    assert found.holds is True, found.said
