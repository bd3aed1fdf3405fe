"""Labs: real systems on this machine. `make lab-…` asks for one; other runs leave them out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from labs.openstack import cloud as openstack
from labs.openstack.cloud import Cloud
from labs.slurm.cluster import Cluster, missing, running


def _leave_out(reason: str) -> None:
    """A lab whose system cannot be had is left out; in CI, where root could install it, that is a failure."""
    if os.environ.get("CI") and os.geteuid() == 0:
        pytest.fail(f"this lab has to run here, and cannot: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """A real Slurm, as it is for all tests of the session."""
    if "slurm" not in os.environ.get("WNODES_LABS", "").split(","):
        pytest.skip("a real Slurm is brought up by `make lab-slurm` only")
    if reason := missing():
        _leave_out(reason)
    with running() as cluster:
        yield cluster


@pytest.fixture
def cluster(slurm: Cluster) -> Iterator[Cluster]:
    """The same, with an empty queue and all nodes up, whatever a test has done to it."""
    slurm.clear()
    yield slurm
    for name, start in (("slurmdbd", slurm.start_accounting), ("slurmctld", slurm.start_controller)):
        if name not in slurm.processes:
            start()


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """A real OpenStack for all tests of the session; `WNODES_OPENSTACK` is one that runs already."""
    if "openstack" not in os.environ.get("WNODES_LABS", "").split(","):
        pytest.skip("a real OpenStack is brought up by `make lab-openstack` only")
    if given := os.environ.get("WNODES_OPENSTACK"):
        yield Cloud(Path(given))
        return
    if reason := openstack.missing():
        _leave_out(reason)
    with openstack.running() as started:
        yield started
