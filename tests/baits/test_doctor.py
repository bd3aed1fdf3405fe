"""Whether batch systems and clouds fit together is told before anybody asks for a machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from wnodes_daemon.baits.doctor import doctor, look
from wnodes_engine.executor import CloudView, Host, Inventory
from wnodes_engine.values import Node
from wnodes_simulated.backend import SimulatedBackend
from wnodes_simulated_cloud.executor import SimulatedExecutor

NODES = {"wn01": Node("wn01", 16, 1000), "wn02": Node("wn02", 16, 1000)}


def host(name: str, node: str, cores: int = 16) -> Host:
    return Host(name, node, name, name, {"VCPU": Inventory(cores)}, {}, {}, True, 0)


@pytest.mark.parametrize(
    ("hosts", "ill"),
    [
        ([host("cn1", "wn01"), host("cn2", "wn02")], []),
        ([host("cn1", "wn01"), host("cn9", "cn9")], ["hosts that are no node of a batch system: cn9 (cn9)"]),
        ([host("cn1", "wn01", 8)], ["cn1 has 8 VCPU, its node 16 cores"]),
        ([host("cn1", "wn01"), host("cn2", "wn01")], ["several hosts are one node: wn01"]),
    ],
)
def test_hosts_are_held_against_nodes(hosts: list[Host], ill: list[str]) -> None:
    found = list(look("cloud", CloudView(tuple(hosts), (), 1), NODES))
    assert [each.found for each in found if not each.well] == ill
    assert all(each.well or each.mend for each in found)


def test_what_does_not_answer_is_told(tmp_path: Path) -> None:
    (tmp_path / "farm.yaml").write_text("nodes:\n  - {name: cn1, cores: 8, memory: 8GiB}\n")
    hosts = [{"name": "cn1", "vcpus": 8, "memory": 1000}]

    def ill(unavailable: float) -> list[str]:
        faults = {"faults": {"unavailable": unavailable}}
        batch = SimulatedBackend("farm", {"farm": str(tmp_path / "farm.yaml"), **faults})
        cloud = SimulatedExecutor("cloud", {"hosts": hosts, **faults})
        return [each.check for each in asyncio.run(doctor([batch], [cloud])) if not each.well]

    assert ill(0.0) == []
    assert ill(1.0) == ["machines: nodes", "machines: hosts"]
