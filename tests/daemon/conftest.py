"""Sites for the tests of the daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
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
