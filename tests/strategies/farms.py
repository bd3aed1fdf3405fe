"""Random farms and requests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import strategies as st
from strategies import words
from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.values import Image, Node, Request

Draw = Callable[[st.SearchStrategy[Any]], Any]
Walltimes = tuple[int | None, ...]

ENDING = (600, 1800, 7200, 90000)
ENDLESS = (None, UNLIMITED)

Counts = tuple[int | None, ...]
SOME: Counts = (None, None, None, 1, 2, 3, 9)
MANY: Counts = (2, 3, 4, 6, 9)
"""How many parts."""


@st.composite
def nodes(draw: Draw, factors: bool = False, most: int = 6) -> list[Node]:
    """Two to six nodes that differ; `factors`: in their benchmark factor too."""
    names = draw(st.lists(st.sampled_from(words.NODE_NAMES), min_size=2, max_size=most, unique=True))
    return [draw(_node(name, factors)) for name in names]


@st.composite
def tight(draw: Draw, factors: bool = False) -> list[Node]:
    """One to three nodes, short of cores or GPUs and of little else."""
    names = draw(st.lists(st.sampled_from(words.NODE_NAMES), min_size=1, max_size=3, unique=True))
    return [draw(_tight_node(name, factors)) for name in names]


@st.composite
def requests(draw: Draw, now: int, walltimes: Walltimes = ENDING + ENDLESS, counts: Counts = SOME) -> Request:
    """A request without an id of its own, submitted up to two hours before `now`."""
    request: Request = draw(_request(draw(st.sampled_from(words.KINDS)), now, walltimes, counts))
    return request


@cache
def _node(name: str, factors: bool) -> st.SearchStrategy[Node]:
    return st.builds(
        Node,
        name=st.just(name),
        cores=st.sampled_from([8, 4, 2, 16]),
        memory=st.sampled_from([16384, 4096, 32768]),
        gpus=st.sampled_from([0, 0, 2, 4]),
        disk=st.sampled_from([10240, 102400, 0]),
        factor=st.sampled_from([800, 1000, 1250]) if factors else st.just(1000),
        properties=st.frozensets(st.sampled_from(words.PROPERTIES)),
        up=st.sampled_from([True, True, True, True, False]),
    )


@cache
def _tight_node(name: str, factors: bool) -> st.SearchStrategy[Node]:
    return st.builds(
        Node,
        name=st.just(name),
        cores=st.sampled_from([6, 8, 12]),
        memory=st.sampled_from([65536, 65536, 8192]),
        gpus=st.sampled_from([0, 0, 2]),
        disk=st.just(102400),
        factor=st.sampled_from([800, 1000, 1250]) if factors else st.just(1000),
        properties=st.frozensets(st.sampled_from(words.PROPERTIES)),
    )


@cache
def pressing(now: int, users: tuple[str, ...] = words.USERS) -> st.SearchStrategy[Request]:
    """A request of one of these users for much of a tight farm, which it would not leave soon."""
    return st.one_of(
        *[_pressing("job", now, users)] * 3, *(_pressing(k, now, users) for k in words.KINDS[1:])
    )


@cache
def _pressing(kind: str, now: int, users: tuple[str, ...]) -> st.SearchStrategy[Request]:
    image = st.sampled_from(words.IMAGES).flatmap(_image)
    return st.builds(
        Request,
        id=st.just("?"),
        kind=st.just(kind),
        origin=st.sampled_from(words.ORIGINS),
        user=st.sampled_from(users),
        group=st.sampled_from(words.GROUPS),
        submitted=st.sampled_from([now, now - 60, now - 7200]),
        project=st.sampled_from([None, *words.PROJECTS]),
        roles=st.frozensets(st.sampled_from(words.ROLES)),
        cores=st.sampled_from([1, 1, 2, 2, 3, 4]),
        memory=st.sampled_from([None, None, None, 1024, 3000]),
        gpus=st.sampled_from([None, None, None, None, 1]),
        count=st.sampled_from([None, None, 2, 3]),
        at_least=st.sampled_from([None, None, None, 1]),
        walltime=st.sampled_from([1800, 7200, 90000, 90000, None]),
        image=image if kind != "job" else st.none(),
    )


@cache
def _image(name: str) -> st.SearchStrategy[Image]:
    return st.builds(Image, id=st.just(f"id-{name}"), name=st.just(name), approved=st.booleans())


@cache
def _request(kind: str, now: int, walltimes: Walltimes, counts: Counts) -> st.SearchStrategy[Request]:
    image = st.sampled_from(words.IMAGES).flatmap(_image)
    return st.builds(
        Request,
        id=st.just("?"),
        kind=st.just(kind),
        origin=st.sampled_from(words.ORIGINS),
        user=st.sampled_from(words.USERS),
        group=st.sampled_from(words.GROUPS),
        submitted=st.sampled_from([now, now, now - 60, now - 7200]),
        project=st.sampled_from([None, *words.PROJECTS]),
        roles=st.frozensets(st.sampled_from(words.ROLES)),
        cores=st.sampled_from([None, 1, 1, 2, 2, 3, 6]),
        memory=st.sampled_from([None, None, 512, 1024, 2048, 6000]),
        gpus=st.sampled_from([None, None, None, None, None, 0, 1, 2]),
        disk=st.sampled_from([None, None, None, None, 1024]),
        volumes=st.sampled_from([None, None, 1]),
        count=st.sampled_from(counts),
        at_least=st.sampled_from([None, None, 1, 2, 3]),
        walltime=st.sampled_from(walltimes),
        queue=st.sampled_from([None, *words.QUEUES]),
        account=st.sampled_from([None, *words.ACCOUNTS]),
        image=image if kind != "job" else st.none(),
        name=st.sampled_from([None, "thing"]),
        tags=st.frozensets(st.sampled_from(words.TAGS)),
    )
