"""Two daemons on hosts of their own, and a link that is cut: packets are lost, and nobody is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon.test_two_daemons import Pair, carried_out_once, started
from sites.network import HERE, Network, NoNetwork
from sites.postgresql import Cluster, programs
from sites.running import form, until


@pytest.fixture
def network() -> Iterator[Network]:
    if "network" not in os.environ.get("WNODES_LABS", "").split(","):
        pytest.skip("hosts of a network are made by `make lab-network` only")
    try:
        made = Network(2)
    except NoNetwork as error:
        pytest.skip(str(error))
    with made:
        yield made


@pytest.fixture
def url(network: Network) -> Iterator[str]:
    """A database on this host, for the others."""
    bin_ = programs()
    if bin_ is None:
        assert not os.environ.get("WNODES_POSTGRESQL"), "PostgreSQL's server is not installed"
        pytest.skip("PostgreSQL's server is not installed")
    cluster = Cluster(bin_, HERE)
    yield cluster.database().replace("@/", f"@{HERE}/").partition("?")[0]
    cluster.close()


def test_a_leader_whose_link_is_cut_stops_and_the_other_leads(
    tmp_path: Path, url: str, network: Network
) -> None:
    pair = Pair(tmp_path, url)
    pair.one.before = network.on(2, [])
    pair.two.before = network.on(3, [])
    try:
        ids = started(pair)
        network.cut(2)
        until(pair.leads(pair.two))
        until(lambda: not pair.leads(pair.one)())
        ids.append(pair.client(pair.two).submit(form(user="late", walltime=60)).id)
        network.mend(2)
        until(pair.stands_by(pair.one))
        carried_out_once(pair, pair.two, ids)
    finally:
        for site in (pair.one, pair.two):
            if site.process is not None:
                site.process.kill()
                site.process.wait()
