"""What an executor must be: the interface of `wnodes.executors` and the values that cross it.

An executor boots machines in a cloud and keeps the cloud off what was not granted to it. Every call has a
time limit of the executor's own. A failed query raises `ExecutorUnavailable`; it never returns an empty
cloud. A call that was cancelled has come to `Verdict.UNKNOWN`: what it asked for may still be done. What an
executor promises is written down as laws in `wnodes_engine.conformance.clouds`.

Amounts are by resource class, as Placement has them: `VCPU` and `PCPU` as they are, `MEMORY_MB` in MiB,
`DISK_GB` in GiB; a class of which there is nothing is left out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from wnodes_engine.backend import ActionOutcome, Health, is_word
from wnodes_engine.values import Image

Amounts = Mapping[str, int]

BALLASTED: Final = ("VCPU", "PCPU", "MEMORY_MB")
"""The classes that the batch system and the cloud share; disks belong to the cloud alone."""


class ExecutorUnavailable(Exception):  # noqa: N818 - it names a condition, as the design does
    """The cloud did not answer, or answered nonsense; the message says what was tried."""


class Ability(StrEnum):
    """What an executor can do, in this cloud and as it is configured."""

    BALLAST = "ballast"
    UNSHELVE = "unshelve to a host"
    MIGRATE = "migrate"
    VOLUMES = "volumes"
    NETWORKS = "networks"
    SCRATCH = "scratch"
    GROUPS = "server groups"
    MEASURE = "flavours made to measure"
    CONFIRM = "confirm that a machine is gone"


class ServerState(StrEnum):
    """Where a server is in its life. `UNKNOWN` keeps the raw text in `Server.native_state`.

    `SHELVED` is off its host and holds nothing of it; `STOPPED`, `PAUSED` and the like hold all they had.
    """

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    PAUSED = "paused"
    SHELVING = "shelving"
    SHELVED = "shelved"
    MOVING = "moving"
    DELETING = "deleting"
    ERROR = "error"
    UNKNOWN = "unknown"


class ServerRef(msgspec.Struct, frozen=True, gc=False):
    """Which server. Its `id` is a UUID, which is never used again; `key` is the request's, and random.

    `key` is empty for what did not come through us, and for what its owner has taken the key off.
    """

    id: str
    key: str
    project: str


class Volume(msgspec.Struct, frozen=True, gc=False):
    """A new volume of `size` GiB, of a Cinder `type`; with the machine it goes unless it is `kept`."""

    size: int
    type: str = ""
    kept: bool = False


class MachineSpec(msgspec.Struct, frozen=True):
    """A machine that somebody asks for.

    `key` is 1 to 32 lower case letters and digits. `project` is whose it will be: an id or a name. `image` is
    an id, a name, or `property=value`. Without a `flavour` the smallest with these `cores`, `memory` (MiB),
    `disk` (MiB) and `gpus` is taken. `ssh_keys` go in by user data, and so does `key_pair` of the cloud's
    user `owner`, since the cloud would look for it among the service's own. `user_data` is a script or a
    cloud-config. `boot_volume`: the root disk is a new volume of so many GiB (0: a disk of the host).
    `group`: the server group of a pool, made with this `policy` if it is not there.
    """

    key: str
    name: str
    project: str
    image: str
    flavour: str = ""
    cores: int = 1
    memory: int = 0
    disk: int = 0
    gpus: int = 0
    ssh_keys: tuple[str, ...] = ()
    owner: str = ""
    key_pair: str = ""
    user_data: str = ""
    networks: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    boot_volume: int = 0
    volumes: tuple[Volume, ...] = ()
    group: str = ""
    policy: str = "soft-anti-affinity"
    metadata: Mapping[str, str] = {}


class Machine(msgspec.Struct, frozen=True):
    """A machine that can be booted as soon as there is room: everything named was found, and is allowed.

    `amounts` is what it will hold on its host: the hole in the ballast is exactly this. `details` are the
    executor's own, and mean nothing to others.
    """

    spec: MachineSpec
    project: str
    image: Image
    flavour: str
    amounts: dict[str, int]
    details: dict[str, Any] = {}


class Server(msgspec.Struct, frozen=True):
    """One server as the cloud shows it, ours or not.

    `ours`: it was booted by our own service user for this farm, which nobody else can pretend. `host` is
    empty while it is on none. `amounts` is what it holds there, by its flavour. `created_at` and
    `launched_at` are seconds since the epoch. `fault` is the cloud's own reason for an `ERROR`.
    """

    ref: ServerRef
    state: ServerState
    native_state: str
    ours: bool
    name: str
    user: str
    host: str
    amounts: dict[str, int]
    created_at: int
    launched_at: int | None = None
    fault: str = ""
    addresses: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


class Gone(msgspec.Struct, frozen=True, gc=False):
    """The cloud does not know the server any more.

    `confirmed`: its host has said itself that it ended the machine. Otherwise the host may not have been
    told (it was down), and the machine may still run there.
    """

    confirmed: bool
    message: str = ""


class Event(msgspec.Struct, frozen=True, gc=False):
    """A step of an action; `result` is the cloud's word, empty while it is not finished."""

    name: str
    host: str
    started_at: int
    finished_at: int | None = None
    result: str = ""


class ServerAction(msgspec.Struct, frozen=True):
    """What was done to a server, by whom, and in which steps; those of servers that are gone, too."""

    action: str
    user: str
    started_at: int
    request: str
    message: str = ""
    events: tuple[Event, ...] = ()


class Inventory(msgspec.Struct, frozen=True, gc=False):
    """What a host has of one resource class. Nothing larger than `most` is allocated at once."""

    total: int
    reserved: int = 0
    ratio: float = 1.0
    most: int = 0

    @property
    def capacity(self) -> int:
        """What can be allocated of it."""
        return int((self.total - self.reserved) * self.ratio)


class Host(msgspec.Struct, frozen=True):
    """A host of the cloud, from one reading of it: inventory and allocations belong together.

    `node` is its name in the batch system, `name` Nova's host, `hypervisor` the hypervisor's hostname,
    `provider` the UUID that Placement has for it. `used` counts all allocations, `ballast` those that are
    ours. `up`: its compute service reports; it did last at `reported_at`. `disabled` is why it takes
    nothing new, empty if it does. `mismatch`: why its names do not belong together, empty if they do.
    """

    name: str
    node: str
    hypervisor: str
    provider: str
    inventory: dict[str, Inventory]
    used: dict[str, int]
    ballast: dict[str, int]
    up: bool
    reported_at: int
    disabled: str = ""
    mismatch: str = ""

    @property
    def over(self) -> dict[str, int]:
        """How much more is allocated than there is, by class; empty if nothing is."""
        found = {
            name: used - (self.inventory[name].capacity if name in self.inventory else 0)
            for name, used in self.used.items()
        }
        return {name: more for name, more in found.items() if more > 0}


class CloudView(msgspec.Struct, frozen=True):
    """The whole cloud as it was seen at `taken_at`: hosts, and the servers of all projects."""

    hosts: tuple[Host, ...]
    servers: tuple[Server, ...]
    taken_at: int


class Scratch(msgspec.Struct, frozen=True, gc=False):
    """A container of a request's own, for as long as the request lives; `url` is where, `quota` in bytes."""

    name: str
    url: str
    quota: int


def target_ballast(inventory: Mapping[str, Inventory], granted: Amounts) -> dict[str, int]:
    """All that a host has of what is shared, except what was granted. Raises ValueError if it has less."""
    target = {
        name: inventory[name].capacity - granted.get(name, 0) for name in BALLASTED if name in inventory
    }
    for name in BALLASTED:
        if granted.get(name, 0) > (inventory[name].capacity if name in inventory else 0):
            raise ValueError(f"{granted[name]} {name} are granted, and the host has fewer")
    return {name: amount for name, amount in target.items() if amount}


def unfit_machine(spec: MachineSpec) -> str:
    """Why a machine must not be handed on to any cloud, whatever it says; empty if it may be."""
    if not (
        spec.key.isascii() and spec.key.isalnum() and spec.key == spec.key.lower() and len(spec.key) <= 32
    ):
        return "its key is not of 1 to 32 lower case letters and digits"
    words = (spec.name, spec.project, spec.flavour, spec.owner, spec.key_pair, spec.group, *spec.networks)
    for word in (*words, *spec.security_groups, *(volume.type for volume in spec.volumes)):
        if word and not is_word(word):
            return f"{word!r} begins with '-', holds blanks or control characters, or is too long"
    if not spec.project or not spec.name:
        return "it has no project, or no name"
    if spec.cores < 1 or min(spec.memory, spec.disk, spec.gpus, spec.boot_volume) < 0:
        return "it asks for less than nothing"
    if any(volume.size < 1 for volume in spec.volumes):
        return "it asks for a volume of less than 1 GiB"
    return ""


class Executor(ABC):
    """A cloud. One instance serves one cloud; its methods may be called concurrently."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        """`name` is the executor's name in `site.yaml`, `options` what stands there.

        Raises ValueError, with the option's name, where an option is unknown or unusable.
        """
        self.name = name
        self.options = options

    @property
    @abstractmethod
    def abilities(self) -> frozenset[Ability]:
        """What this cloud can do, as far as it is known; all of it after the first `inventory`."""

    # ----------------------------------------------------------------- looking

    @abstractmethod
    async def inventory(self) -> CloudView:
        """All hosts and servers, by a few bulk calls; raises `ExecutorUnavailable`."""

    @abstractmethod
    async def host(self, name: str) -> Host | None:
        """One host, read anew; None if there is none of that name. Raises `ExecutorUnavailable`."""

    @abstractmethod
    async def find(self, wanted: Mapping[str, str]) -> Mapping[str, tuple[Server, ...]]:
        """What of ours is there, by key, the oldest first; `wanted` says for each key which project.

        Those that are being scheduled or have failed, too. Raises `ExecutorUnavailable`.
        """

    @abstractmethod
    async def look(self, ref: ServerRef) -> Server | Gone:
        """One server by its id, ours or not, or what is known of its end. Raises `ExecutorUnavailable`."""

    @abstractmethod
    async def actions(self, ref: ServerRef) -> tuple[ServerAction, ...]:
        """What was done to a server, the oldest first, after its end too. Raises `ExecutorUnavailable`."""

    @abstractmethod
    async def console(self, ref: ServerRef, lines: int = 100) -> str | ActionOutcome:
        """The end of what the machine has printed, at most 64 KiB; an outcome says why there is none."""

    # ------------------------------------------------------------------- doing

    @abstractmethod
    async def prepare(self, spec: MachineSpec) -> Machine | ActionOutcome:
        """Find and check all that a machine needs, and make none of it.

        What the requester can mend is `REFUSED`, a full quota `NO_ROOM`; the message is for the requester.
        """

    @abstractmethod
    async def create(self, machine: Machine, host: str) -> ServerRef | ActionOutcome:
        """Boot a machine on that host, in the requester's project, under the spec's key.

        A reference says that the cloud has taken it, not that it runs: `look` at it. Its volumes and ports
        are made by the cloud together with it, so that none is left without it. After `UNKNOWN`: `find`.
        """

    @abstractmethod
    async def delete(self, ref: ServerRef) -> ActionOutcome:
        """Have a server of ours deleted, with its volumes that are not kept; `look` tells when it is gone.

        One that is gone already is `DONE`. One that is not ours is a `CONFLICT`, and not touched.
        """

    @abstractmethod
    async def shelve(self, ref: ServerRef) -> ActionOutcome:
        """Take a server of ours off its host; one that is shelved is `DONE`."""

    @abstractmethod
    async def unshelve(self, ref: ServerRef, host: str) -> ActionOutcome:
        """Bring a shelved server of ours back, on that host."""

    @abstractmethod
    async def migrate(self, ref: ServerRef, host: str) -> ActionOutcome:
        """Move a running server of ours to that host without stopping it."""

    @abstractmethod
    async def set_ballast(self, host: str, granted: Amounts) -> ActionOutcome:
        """Make everything that the host has now ours, except what was `granted` on it.

        It is set, from the live inventory, never added to; nothing granted and nothing else there is full
        ballast, everything granted is none. `DONE`: it was accepted, and read afterwards no class is over its
        capacity. `NO_ROOM`: others hold what should be ours; what it was before is put back.
        `CONFLICT`: others keep writing. `REFUSED`: not such a host, or its ratios are not 1.
        One call at a time is carried out for each host.
        """

    # ------------------------------------------------------------------ scratch

    @abstractmethod
    async def make_scratch(self, project: str, key: str, quota: int) -> Scratch | ActionOutcome:
        """A container for the request with this key, of at most `quota` bytes; the same one if it exists."""

    @abstractmethod
    async def drop_scratch(self, project: str, key: str) -> ActionOutcome:
        """Do away with it and all that is in it; one that is gone is `DONE`."""

    # -------------------------------------------------------------------- rest

    @abstractmethod
    async def images(self, project: str) -> Sequence[Image]:
        """The images that the project can boot, approved or not; raises `ExecutorUnavailable`."""

    @abstractmethod
    async def doctor(self) -> tuple[Health, ...]:
        """Whether this cloud is set up so that our promises hold; never raises."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections and threads."""
