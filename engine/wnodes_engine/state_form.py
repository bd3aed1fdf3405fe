"""The form of farms and states: what `schemas/farm.json` and `schemas/state.json` say, as types."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wnodes_engine.wire import ImageForm, RequestForm

MOST_NODES: Final = 200_000
"""How many nodes a farm may have, ranges expanded."""

_MOMENT: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})(?![\s\S])"
)
_RANGE: Final = r"\[[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*\]"

Id = Annotated[str, Meta(min_length=1, max_length=255)]
Moment = Annotated[str, Meta(pattern=_MOMENT)]
Size = (
    Annotated[int, Meta(ge=0, le=10**15)]
    | Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,12})(MiB|GiB|TiB)(?![\s\S])")]
)
Times = Annotated[int, Meta(ge=1, le=100_000)]
"""How many alike there are; with more than one, their ids are `ID.1`, `ID.2` and so on."""
Amount = Annotated[int, Meta(ge=0, le=10**12)]


class NodeForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node, or several alike whose names are a range; sizes in MiB, the benchmark score of one core."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=255,
            pattern=rf"^[A-Za-z0-9](?:[A-Za-z0-9_.-]|{_RANGE})*(?![\s\S])",
        ),
    ]
    cores: Annotated[int, Meta(ge=1, le=100_000)]
    memory: Size
    gpus: Annotated[int, Meta(ge=0, le=1000)] = 0
    disk: Size = 0
    hs23: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    properties: Annotated[tuple[Id, ...], Meta(max_length=100)] = ()
    up: bool = True

    def __post_init__(self) -> None:
        if len(set(self.properties)) < len(self.properties):
            raise ValueError("a property stands here twice")


Nodes = Annotated[tuple[NodeForm, ...], Meta(min_length=1, max_length=MOST_NODES)]


class FarmForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A farm file."""

    nodes: Nodes


class WaitingForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request that waits."""

    id: Id
    request: RequestForm
    submitted: Moment
    times: Times = 1


class AllocationForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request that holds resources: all its parts on one node, or so many on each of several."""

    id: Id
    request: RequestForm
    started: Moment
    times: Times = 1
    submitted: Moment | UnsetType = UNSET
    node: Id | UnsetType = UNSET
    nodes: Annotated[dict[str, Annotated[int, Meta(ge=1, le=1_000_000)]], Meta(min_length=1)] | UnsetType = (
        UNSET
    )

    def __post_init__(self) -> None:
        if (self.node is UNSET) == (self.nodes is UNSET):
            raise ValueError("this needs either a node or nodes")


class AmountsForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Averages by resource."""

    cores: Amount | UnsetType = UNSET
    gpus: Amount | UnsetType = UNSET
    hs23: Amount | UnsetType = UNSET
    memory: Size | UnsetType = UNSET
    disk: Size | UnsetType = UNSET


class UseForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one share held on average, and what its users, groups, … held in it."""

    share: AmountsForm = AmountsForm()
    user: dict[str, AmountsForm] = {}
    group: dict[str, AmountsForm] = {}
    project: dict[str, AmountsForm] = {}
    account: dict[str, AmountsForm] = {}


class StateForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A state file; `use` by share."""

    now: Moment
    nodes: Nodes
    allocations: Annotated[tuple[AllocationForm, ...], Meta(max_length=1_000_000)] = ()
    queue: Annotated[tuple[WaitingForm, ...], Meta(max_length=1_000_000)] = ()
    use: dict[str, UseForm] = {}
    images: Annotated[tuple[ImageForm, ...], Meta(max_length=10_000)] = ()
