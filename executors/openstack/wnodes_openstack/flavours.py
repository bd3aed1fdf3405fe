"""Flavours: the one that is named, the smallest that is large enough, or one made to measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wnodes_engine.executor import MachineSpec

from wnodes_openstack.connections import Link
from wnodes_openstack.errors import Answer, expected, message_of

VERSION: Final = "2.75"
"""Extra specs come with the flavour since 2.61."""
_PREFIX: Final = "wnodes"


class FlavourError(Exception):
    """There is no flavour like that; the message is for the requester."""


def list_flavours(link: Link) -> list[dict[str, Any]]:
    """The flavours that the project can use. Raises ExecutorUnavailable."""
    found: list[dict[str, Any]] = []
    marker = ""
    while True:
        path = f"/flavors/detail?limit=1000{f'&marker={marker}' if marker else ''}"
        page = expected(link.ask("compute", "GET", path, version=VERSION), "the flavours")["flavors"]
        found += page
        if len(page) < 1000:
            return found
        marker = page[-1]["id"]


def chosen(flavours: Iterable[Mapping[str, Any]], spec: MachineSpec) -> Mapping[str, Any] | None:
    """The flavour that is named by id or name, or else the smallest that has all that is asked for.

    None if none is large enough. Raises FlavourError where one is named that is not there, or too small.
    """
    usable = [each for each in flavours if not each.get("OS-FLV-DISABLED:disabled")]
    if spec.flavour:
        named = [each for each in usable if spec.flavour in {each["id"], each["name"]}]
        if not named:
            raise FlavourError(f"there is no flavour {spec.flavour!r} that the project can use")
        if said := _why_too_small(named[0], spec):
            raise FlavourError(f"the flavour {spec.flavour!r} {said}")
        return named[0]
    large = [each for each in usable if not _why_too_small(each, spec) and _plain(each, spec)]
    order = sorted(large, key=lambda each: (each["vcpus"], each["ram"], each["disk"], each["id"]))
    return order[0] if order else None


def _why_too_small(flavour: Mapping[str, Any], spec: MachineSpec) -> str:
    disk = 0 if spec.boot_volume else spec.disk
    if flavour["vcpus"] < spec.cores:
        return f"has {flavour['vcpus']} cores, {spec.cores} are asked for"
    if flavour["ram"] < spec.memory:
        return f"has {flavour['ram']} MiB of memory, {spec.memory} are asked for"
    if flavour["disk"] * 1024 < disk:
        return f"has a disk of {flavour['disk']} GiB, {disk} MiB are asked for"
    if _gpus(flavour) < spec.gpus:
        return f"has {_gpus(flavour)} GPUs, {spec.gpus} are asked for"
    return ""


def _plain(flavour: Mapping[str, Any], spec: MachineSpec) -> bool:
    """Whether it may be taken without being named: one with GPUs is for those who ask for them."""
    return bool(spec.gpus) or not _gpus(flavour)


def _gpus(flavour: Mapping[str, Any]) -> int:
    specs = flavour.get("extra_specs") or {}
    alias = str(specs.get("pci_passthrough:alias", ""))
    passed = sum(
        int(part.rpartition(":")[2]) for part in alias.split(",") if part.rpartition(":")[2].isdigit()
    )
    return max(passed, int(specs.get("resources:VGPU", 0) or 0))


def fits_exactly(flavour: Mapping[str, Any], spec: MachineSpec) -> bool:
    """Whether nothing would be wasted."""
    disk = -(-spec.disk // 1024)
    return bool(flavour["vcpus"] == spec.cores and flavour["ram"] == spec.memory and flavour["disk"] == disk)


def measured(spec: MachineSpec) -> dict[str, Any]:
    """The flavour that has exactly what is asked for; its name says it, so that it is made once."""
    disk = 0 if spec.boot_volume else -(-spec.disk // 1024)
    name = f"{_PREFIX}-{spec.cores}c-{spec.memory}m-{disk}d"
    return {"name": name, "id": name, "vcpus": spec.cores, "ram": spec.memory, "disk": disk}


def make(link: Link, wanted: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, Answer]:
    """Make a flavour, or find that it is there; None and the answer if it cannot be made."""
    answer = link.ask("compute", "POST", "/flavors", version=VERSION, json={"flavor": dict(wanted)})
    if answer.well:
        return answer.body["flavor"], answer
    if answer.status == 409 and "already exists" in message_of(answer.body):
        there = link.ask("compute", "GET", f"/flavors/{wanted['id']}", version=VERSION)
        return (there.body["flavor"] if there.well else None), there
    return None, answer
