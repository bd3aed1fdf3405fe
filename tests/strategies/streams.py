"""Random streams of events, and how one is played to the engine or to the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from hypothesis import strategies as st
from strategies import farms, words
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
class AskAgain:
    """The n-th waiting request is asked about, if any waits."""

    n: int


@dataclass(frozen=True)
class Leave:
    """The n-th of those that were told to leave does so, as it was told, if any is there."""

    n: int


@dataclass(frozen=True)
class LeaveAll:
    """All that were told to leave do so."""


@dataclass(frozen=True)
class GiveUp:
    """The n-th of those for whom room is being made is taken back, if it is made for any."""

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


Event = (
    Submit
    | Ask
    | AskAgain
    | Schedule
    | Finish
    | Requeue
    | Native
    | Cancel
    | Leave
    | LeaveAll
    | GiveUp
    | Flip
    | Resize
    | Pass
)


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


@st.composite
def squeezes(draw: Draw, max_size: int = 16, calm: bool = False, kept: bool = False) -> list[Event]:
    """A full farm on which some are told to leave, and mostly do.

    `calm`: nothing odd happens to nodes and allocations; `kept`: nobody who waits is taken back.
    """
    first = draw(st.lists(_newcomers(words.USERS[:1]), min_size=7, max_size=12))
    some = draw(st.lists(_newcomers(words.USERS[1:]), min_size=1, max_size=4))
    beats = draw(st.lists(_beats(calm, kept), min_size=max_size // 2, max_size=max_size))
    return [*first, Schedule(), Pass(3600), *some, Schedule(), *(event for beat in beats for event in beat)]


@cache
def _newcomers(users: tuple[str, ...] = words.USERS) -> st.SearchStrategy[Event]:
    return st.builds(Submit, farms.pressing(BEGIN, users))


@cache
def _beats(calm: bool, kept: bool) -> st.SearchStrategy[list[Event]]:
    """A few events that belong together."""
    some = st.integers(0, 20)
    newcomer, request = _newcomers(), farms.pressing(BEGIN)
    pause = st.builds(Pass, st.sampled_from([1, 59, 60, 60, 300, 600, 3600]))
    schedule: st.SearchStrategy[Event] = st.just(Schedule())
    leave = st.one_of(st.builds(Leave, some), st.just(LeaveAll()))
    gone = st.one_of(st.builds(Cancel, some), st.builds(GiveUp, some))
    asked = st.one_of(st.builds(AskAgain, some), st.builds(Ask, request))
    odd = st.one_of(
        st.builds(Flip, some),
        st.builds(Native, request, some),
        st.builds(Requeue, some),
        st.builds(Finish, some),
        st.builds(Resize, some, st.sampled_from([2, 4, 8])),
    )
    beats: list[tuple[st.SearchStrategy[Event], ...]] = [
        (newcomer, pause, schedule),
        (newcomer, newcomer, schedule),
        (pause, schedule),
        (pause, leave, schedule),
        (leave, schedule),
        (leave, asked),
        (asked,),
        *([] if kept else [(gone, schedule)]),
        (st.builds(Finish, some), schedule),
        (st.builds(Finish, some), st.builds(Finish, some), schedule),
        *([] if calm else [(odd,), (odd, schedule)]),
    ]
    return st.one_of(*(st.tuples(*beat).map(list) for beat in beats))


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
