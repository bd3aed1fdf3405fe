"""From what somebody asks for to what Nova is asked for: found and checked before anything is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from wnodes_engine.backend import ActionOutcome, Verdict
from wnodes_engine.executor import Machine, MachineSpec, unfit_machine

from wnodes_openstack import flavours, userdata
from wnodes_openstack.connections import Link
from wnodes_openstack.errors import expected, outcome_of
from wnodes_openstack.images import ImageError, Images, read_image, why_not
from wnodes_openstack.options import Options
from wnodes_openstack.servers import FARM, KEY, amounts_of

VERSION: Final = "2.90"
_MOST_METADATA: Final = 100
_NONE: Final = "none"


class SpecError(Exception):
    """Something that is asked for cannot be had; the message is for the requester."""


def prepare(
    link: Link, own: Mapping[str, Any], images: Images, options: Options, spec: MachineSpec
) -> Machine | ActionOutcome:
    """Find and check everything; `own` is the flavour that was made to measure and the key that was read.

    Raises ExecutorUnavailable, Unanswered and NotLetIn.
    """
    try:
        if said := unfit_machine(spec):
            raise SpecError(said)
        flavour = own.get("flavour") or flavours.chosen(flavours.list_flavours(link), spec)
        if flavour is None:
            raise SpecError(
                f"no flavour has {spec.cores} cores, {spec.memory} MiB of memory, {spec.disk} MiB of disk"
            )
        image = images.find(link, spec.image)
        disk = spec.boot_volume or int(flavour["disk"])
        if said := why_not(image, options, flavour, disk):
            raise SpecError(said)
        if not disk and not spec.boot_volume:
            raise SpecError(f"the flavour {flavour['name']!r} has no disk: ask for a boot volume")
        keys = [*spec.ssh_keys, *own.get("keys", ())]
        details = {
            "user_data": userdata.compose(spec.user_data, keys),
            "networks": _networks(link, spec.networks or options.networks),
            "security_groups": _security_groups(link, spec.security_groups),
        }
        _check_metadata(spec.metadata)
        _check_volumes(link, spec)
        if said := _over_quota(link, flavour, spec):
            return ActionOutcome(Verdict.NO_ROOM, said)
    except (SpecError, ImageError, flavours.FlavourError, userdata.UserDataError) as error:
        return ActionOutcome(Verdict.REFUSED, str(error))
    amounts = amounts_of(flavour, on_volume=bool(spec.boot_volume))
    return Machine(spec, link.project, read_image(image, options), str(flavour["id"]), amounts, details)


def body_of(machine: Machine, host: str, farm: str, group: str = "") -> dict[str, Any]:
    """What Nova is asked for: one server, on that host, whose volumes Nova makes and ends with it."""
    spec, details = machine.spec, machine.details
    server: dict[str, Any] = {
        "name": spec.name,
        "flavorRef": machine.flavour,
        "host": host,
        "networks": details["networks"],
        "metadata": {**spec.metadata, KEY: spec.key, FARM: farm},
        "tags": [spec.key],
    }
    if details["user_data"]:
        server["user_data"] = details["user_data"]
    if details["security_groups"]:
        server["security_groups"] = [{"name": each} for each in details["security_groups"]]
    if spec.boot_volume or spec.volumes:
        server["block_device_mapping_v2"] = _disks(machine)
    if not spec.boot_volume:
        server["imageRef"] = machine.image.id
    hints = {"os:scheduler_hints": {"group": group}} if group else {}
    return {"server": server, **hints}


def _disks(machine: Machine) -> list[dict[str, Any]]:
    spec = machine.spec
    root: dict[str, Any] = {"boot_index": 0, "uuid": machine.image.id, "source_type": "image"}
    if spec.boot_volume:
        root |= {"destination_type": "volume", "volume_size": spec.boot_volume}
    else:
        root |= {"destination_type": "local"}
    disks = [{**root, "delete_on_termination": True}]
    for volume in spec.volumes:
        disk: dict[str, Any] = {
            "boot_index": -1,
            "source_type": "blank",
            "destination_type": "volume",
            "volume_size": volume.size,
            "delete_on_termination": not volume.kept,
        }
        disks.append(disk | ({"volume_type": volume.type} if volume.type else {}))
    return disks


def _networks(link: Link, wanted: Sequence[str]) -> str | list[dict[str, str]]:
    """Networks by id or name; without a name the only one there is; `none` where none is wanted."""
    if not link.has("network") or list(wanted) == [_NONE]:
        if wanted and list(wanted) != [_NONE]:
            raise SpecError(f"there is no network {wanted[0]!r}: this cloud has no network service")
        return _NONE
    path = "/networks?fields=id&fields=name&fields=status"
    known = expected(link.ask("network", "GET", path), "the networks")["networks"]
    if not wanted:
        if len(known) == 1:
            return [{"uuid": known[0]["id"]}]
        names = ", ".join(sorted(each["name"] for each in known)) or "none at all"
        raise SpecError(f"name a network: the project can see {names}")
    found: list[dict[str, str]] = []
    for name in wanted:
        matching = [each for each in known if name in {each["id"], each["name"]}]
        if not matching:
            raise SpecError(f"there is no network {name!r} that the project can see")
        if len(matching) > 1:
            raise SpecError(f"{len(matching)} networks are called {name!r}: name one by its id")
        found.append({"uuid": matching[0]["id"]})
    return found


def _security_groups(link: Link, wanted: Sequence[str]) -> list[str]:
    if not wanted:
        return []
    if not link.has("network"):
        raise SpecError(f"there is no security group {wanted[0]!r}: this cloud has no network service")
    path = f"/security-groups?fields=id&fields=name&project_id={link.project}"
    known = expected(link.ask("network", "GET", path), "the security groups")["security_groups"]
    for name in wanted:
        matching = [each for each in known if name in {each["id"], each["name"]}]
        if not matching:
            raise SpecError(f"there is no security group {name!r} in the project")
        if len(matching) > 1:
            raise SpecError(f"{len(matching)} security groups are called {name!r}: name one by its id")
    return list(wanted)


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if len(metadata) > _MOST_METADATA:
        raise SpecError(f"{len(metadata)} metadata are too many: {_MOST_METADATA} may be given")
    for name, value in metadata.items():
        if not 0 < len(name) <= 255 or len(value) > 255:
            raise SpecError(f"the metadata {name[:40]!r} is longer than 255 characters")
        if name in {KEY, FARM}:
            raise SpecError(f"the metadata {name!r} is WNoDeS' own")


def _check_volumes(link: Link, spec: MachineSpec) -> None:
    if not spec.boot_volume and not spec.volumes:
        return
    if not link.has("block_storage"):
        raise SpecError("volumes are asked for, and this cloud has no volume service")
    types = {volume.type for volume in spec.volumes if volume.type}
    if types:
        known = expected(link.ask("block_storage", "GET", "/types"), "the volume types")["volume_types"]
        names = {each["name"] for each in known} | {each["id"] for each in known}
        for name in sorted(types - names):
            raise SpecError(f"there is no volume type {name!r}")


def _over_quota(link: Link, flavour: Mapping[str, Any], spec: MachineSpec) -> str:
    """Which of the project's quotas is too small for one more; Nova's own word stays the last."""
    limits = expected(link.ask("compute", "GET", "/limits", version=VERSION), "the quotas")["limits"][
        "absolute"
    ]
    wanted = (
        ("cores", "Cores", int(flavour["vcpus"])),
        ("MiB of memory", "RAMSize", int(flavour["ram"])),
        ("servers", "Instances", 1),
    )
    for what, name, more in wanted:
        most, used = limits[f"maxTotal{name}"], limits[f"total{name if name != 'RAMSize' else 'RAM'}Used"]
        if most >= 0 and used + more > most:
            return f"the project's quota is {most} {what}, {used} are used, and {more} more are asked for"
    size = spec.boot_volume + sum(volume.size for volume in spec.volumes)
    if size:
        absolute = expected(link.ask("block_storage", "GET", "/limits"), "the quotas")["limits"]["absolute"]
        most, used = absolute["maxTotalVolumeGigabytes"], absolute["totalGigabytesUsed"]
        if most >= 0 and used + size > most:
            return f"the project's quota is {most} GiB of volumes, {used} are used, {size} more are asked for"
    return ""


def read_key(link: Link, spec: MachineSpec) -> str:
    """The public key that the requester calls by this name. Raises SpecError."""
    if not spec.owner:
        raise SpecError(f"the key pair {spec.key_pair!r} is nobody's: say whose it is, or hand over the key")
    path = f"/os-keypairs/{quote(spec.key_pair, safe='')}?user_id={quote(spec.owner)}"
    answer = link.ask("compute", "GET", path, version=VERSION)
    if answer.status == 404:
        raise SpecError(f"there is no key pair {spec.key_pair!r} of that user")
    return str(expected(answer, f"the key pair {spec.key_pair}")["keypair"]["public_key"]).strip()


def make_group(link: Link, spec: MachineSpec) -> str | ActionOutcome:
    """The id of a pool's server group, which is made where it is not there yet."""
    known = expected(link.ask("compute", "GET", "/os-server-groups", version=VERSION), "the server groups")
    for each in known["server_groups"]:
        if each["name"] == spec.group:
            return str(each["id"])
    body = {"server_group": {"name": spec.group, "policy": spec.policy}}
    answer = link.ask("compute", "POST", "/os-server-groups", version=VERSION, json=body)
    if not answer.well:
        return outcome_of(answer, f"the server group {spec.group}")
    return str(answer.body["server_group"]["id"])
