"""The driver keeps the laws of backends on a real Slurm."""

from __future__ import annotations

import asyncio

import pytest
from labs.slurm.cluster import Cluster
from labs.slurm.driving import driver
from wnodes_engine.conformance.laws import LAWS, Found, Law, judge, statement
from wnodes_engine.conformance.subject import Settings

SETTINGS = Settings(user="games", queue="grid", account="cloud", patience=60)


@pytest.mark.parametrize("law", LAWS, ids=statement)
def test_a_real_slurm_keeps_every_law(law: Law, slurm: Cluster) -> None:
    backend = driver(slurm)

    async def tried() -> Found:
        await backend.snapshot()  # what it can do, it has to learn
        return await judge(law, backend, SETTINGS)

    found = asyncio.run(tried())
    assert found.holds, found.said
