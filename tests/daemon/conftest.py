"""Sites for the tests of the daemon."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sites.postgresql import Cluster, programs
from sites.running import Site


def _site(folder: Path) -> Iterator[Site]:
    site = Site(folder)
    yield site
    if site.process is not None:
        site.process.kill()
        site.process.wait()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of one test; its daemon has to be started."""
    yield from _site(tmp_path)


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of all tests of a module; its daemon has to be started."""
    yield from _site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL server of our own. Where it has to be there, and is not, that is a failure."""
    bin_ = programs()
    if bin_ is None:
        assert not os.environ.get("WNODES_POSTGRESQL"), "PostgreSQL's server is not installed"
        pytest.skip("PostgreSQL's server is not installed")
    cluster = Cluster(bin_)
    yield cluster
    cluster.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store is to be: a file, and a database of PostgreSQL."""
    if request.param == "sqlite":
        return str(tmp_path / "store.sqlite")
    cluster: Cluster = request.getfixturevalue("postgresql")
    return cluster.database()


@pytest.fixture
def places(place: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """The same, as many as one likes."""
    count = iter(range(1_000_000))
    if "://" not in place:
        return lambda: str(tmp_path / f"store{next(count)}.sqlite")
    cluster: Cluster = request.getfixturevalue("postgresql")
    return cluster.database
