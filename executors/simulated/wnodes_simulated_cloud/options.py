"""What `site.yaml` may say of a simulated cloud."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from wnodes_engine.drivers import options_as
from wnodes_engine.language.literals import LiteralError
from wnodes_engine.state_file import expanded

Chance = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
_MOST_HOSTS: Final = 10_000
Whole = Annotated[int, Meta(ge=0, le=1 << 40)]


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong, how often. Chances are per call; times are seconds, means where they say so.

    `passing`: a call is turned away for the moment. `lost`: it is carried out, but the answer does not
    arrive. `slow`: an answer takes `slow_by` seconds. `unavailable`: a query is not answered.
    `generation`: somebody else has just written to the provider. `overcommit`: a server is let in although
    there is no room for it. `failed_boot`: a boot comes to nothing on its host. `intruders`: the mean time
    between two boots by others, each of which takes any hole that it finds, and lives for `intruder_lives`
    (mean). `owner_acts`: the mean time between two acts of an owner: delete, shelve, resize, take the key
    off. `compute_failure`: the mean time between two failures of one host's compute service (0 is never),
    which is back after `repair`. `host_lost`: the chance that the host goes down with it, and all that
    runs there.
    """

    passing: Chance = 0.0
    lost: Chance = 0.0
    slow: Chance = 0.0
    slow_by: Seconds = 1.0
    unavailable: Chance = 0.0
    generation: Chance = 0.0
    overcommit: Chance = 0.0
    failed_boot: Chance = 0.0
    intruders: Seconds = 0.0
    intruder_lives: Annotated[float, Meta(gt=0, le=1e9)] = 30.0
    owner_acts: Seconds = 0.0
    compute_failure: Seconds = 0.0
    repair: Annotated[float, Meta(gt=0, le=1e9)] = 60.0
    host_lost: Chance = 0.0


class HostOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A host: its name in the cloud and in the batch system, cores, memory in MiB, `ratio` of cores.

    A `name` with ranges, as `wn[01-30]`, stands for so many hosts alike.
    """

    name: str
    vcpus: Annotated[int, Meta(ge=1, le=1 << 20)]
    memory: Annotated[int, Meta(ge=1, le=1 << 40)]
    node: str = ""
    reserved: Whole = 0
    ratio: Annotated[float, Meta(gt=0, le=100)] = 1.0


class FlavourOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A flavour: cores, memory in MiB, disk in GiB."""

    vcpus: Annotated[int, Meta(ge=1, le=1 << 20)]
    memory: Whole
    disk: Whole = 0


class ImageOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image; `min_memory` in MiB, `min_disk` in GiB."""

    status: str = "active"
    approved: bool = True
    min_memory: Whole = 0
    min_disk: Whole = 0


FLAVOURS = {
    f"c{cores}": FlavourOptions(cores, cores * 2048, cores * 5 - 4 if cores > 1 else 1)
    for cores in (1, 2, 4, 8, 16)
}


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A simulated cloud.

    A server is active `boots` seconds after its creation; one that is deleted or shelved holds what it had
    for another `leaves` seconds. A compute service that does not report is shown as down after `silence`
    seconds. `quota` is how many cores each project may have (0: any number).
    """

    hosts: Annotated[tuple[HostOptions, ...], Meta(min_length=1, max_length=_MOST_HOSTS)]
    projects: tuple[str, ...] = ()
    networks: tuple[str, ...] = ("private",)
    flavours: dict[str, FlavourOptions] = msgspec.field(default_factory=lambda: dict(FLAVOURS))
    images: dict[str, ImageOptions] = msgspec.field(default_factory=lambda: {"tiny": ImageOptions()})
    seed: int = 0
    boots: Seconds = 1.5
    leaves: Seconds = 0.8
    silence: Seconds = 20.0
    quota: Whole = 0
    faults: Faults = Faults()


def read_options(name: str, options: Mapping[str, Any]) -> Options:
    """The options of the executor `name`. Raises ValueError with the path of what is wrong."""
    read = options_as(Options, name, options, "executors")
    try:
        hosts = tuple(
            msgspec.structs.replace(host, name=one)
            for host in read.hosts
            for one in expanded(host.name, _MOST_HOSTS, {})
        )
    except LiteralError as error:
        raise ValueError(f"executors.{name}.options.hosts: {error}") from None
    read = msgspec.structs.replace(read, hosts=hosts)
    names = [host.name for host in read.hosts]
    for twice in {name for name in names if names.count(name) > 1}:
        raise ValueError(f"executors.{name}.options.hosts: {twice!r} is there twice")
    return read
