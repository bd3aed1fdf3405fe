"""Random streams of events, and how one is played to the engine or to the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from hypothesis import strategies as st
from strategies import farms
from strategies.farms import Draw
from wnodes_engine.values import Request

BEGIN = 1_700_000_000
"""When every stream begins, in seconds since the epoch."""


@dataclass(frozen=True)
class Submit:
    """Somebody asks."""

    request: Request


@dataclass(frozen=True)
class Ask:
    """Somebody asks without submitting; the state must not change."""

    request: Request


@dataclass(frozen=True)
class Schedule:
    """A pass."""


@dataclass(frozen=True)
class Finish:
    """The n-th running allocation ends, if any runs."""

    n: int


@dataclass(frozen=True)
class Requeue:
    """The n-th running allocation loses its place, if any runs."""

    n: int


@dataclass(frozen=True)
class Native:
    """A request was started past us: all its parts on the n-th node, whether they fit or not."""

    request: Request
    n: int


@dataclass(frozen=True)
class Cancel:
    """The n-th waiting request is taken back, if any waits."""

    n: int


@dataclass(frozen=True)
class Flip:
    """The n-th node goes down, or comes up again."""

    n: int


@dataclass(frozen=True)
class Resize:
    """The n-th node has so many cores from now on."""

    n: int
    cores: int


@dataclass(frozen=True)
class Pass:
    """Time passes, in seconds."""

    seconds: int


Event = Submit | Ask | Schedule | Finish | Requeue | Native | Cancel | Flip | Resize | Pass


@st.composite
def streams(
    draw: Draw, max_size: int = 30, walltimes: farms.Walltimes = farms.ENDING + farms.ENDLESS
) -> list[Event]:
    """A stream of mostly submissions and passes; the requests have no ids yet."""
    events: list[Event] = draw(st.lists(_events(walltimes), min_size=max_size // 2, max_size=max_size))
    return events


@st.composite
def crowds(draw: Draw, max_size: int = 50, counts: farms.Counts = farms.SOME) -> list[Event]:
    """A stream in which more is asked for than runs, and everything that runs will end."""
    events: list[Event] = draw(st.lists(_crowding_events(counts), min_size=max_size // 2, max_size=max_size))
    return events


@cache
def _events(walltimes: farms.Walltimes) -> st.SearchStrategy[Event]:
    some = st.integers(0, 20)
    request = farms.requests(BEGIN, walltimes)
    return st.one_of(
        *[st.builds(Submit, request)] * 5,
        st.builds(Ask, request),
        *[st.just(Schedule())] * 2,
        st.builds(Finish, some),
        st.builds(Finish, some),
        st.builds(Cancel, some),
        st.builds(Flip, some),
        st.one_of(
            st.builds(Requeue, some),
            st.builds(Native, request, some),
            st.builds(Resize, some, st.sampled_from([2, 4, 8])),
        ),
        st.builds(Pass, st.sampled_from([1, 59, 60, 600, 5000, 86400])),
    )


@cache
def _crowding_events(counts: farms.Counts) -> st.SearchStrategy[Event]:
    request = farms.requests(BEGIN, farms.ENDING, counts)
    return st.one_of(
        *[st.builds(Submit, request)] * 6,
        st.builds(Ask, request),
        *[st.just(Schedule())] * 2,
        st.builds(Finish, st.integers(0, 20)),
        st.builds(Pass, st.sampled_from([1, 60, 600])),
    )
