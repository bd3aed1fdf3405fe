"""What `site.yaml` may say of an OpenStack cloud."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from wnodes_engine.drivers import options_as

Word = Annotated[str, Meta(min_length=1, max_length=255)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenStack cloud.

    `cloud` is its name in `clouds.yaml`, found where openstacksdk looks for it or in the file `clouds`: that
    of WNoDeS' own service user, in its own project. `farm` tells the servers and the ballast of one WNoDeS
    from those of another. `nodes` says what a host of Nova's is called in the batch system, where it is not
    called the same. `threads` is how many calls are under way at one time, `timeout` how many seconds one may
    take. `approved` are the images that may be booted, by id or name, `approved_by` properties that make any
    image one of them; without both every image may be. `image_age` is for how many seconds an image is
    believed to be as it was. `networks` are for machines that name none. `measure`: a flavour is made where
    none fits exactly. `scratch_quota` is the most that a scratch container may hold, in bytes.
    """

    cloud: Word
    clouds: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    farm: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] = "wnodes"
    nodes: dict[Word, Word] = {}
    threads: Annotated[int, Meta(ge=1, le=64)] = 8
    timeout: Annotated[float, Meta(ge=1, le=600)] = 30.0
    approved: tuple[Word, ...] = ()
    approved_by: dict[Word, str] = {}
    image_age: Annotated[float, Meta(ge=0, le=86400)] = 60.0
    networks: tuple[Word, ...] = ()
    measure: bool = False
    scratch_quota: Annotated[int, Meta(ge=1)] = 1 << 40


def read_options(name: str, options: Mapping[str, Any]) -> Options:
    """The options of the executor `name`. Raises ValueError with the path of what is wrong."""
    read = options_as(Options, name, options, "executors")
    twice = [node for node in read.nodes.values() if list(read.nodes.values()).count(node) > 1]
    if twice:
        raise ValueError(f"executors.{name}.options.nodes: two hosts are the node {twice[0]!r}")
    return read
