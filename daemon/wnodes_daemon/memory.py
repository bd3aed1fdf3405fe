"""What the daemon knows: the core's state, and what of requests, dispatches and orders is not over.

Everything that changes it does so inside a command, and says what is to be written; see `service`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from wnodes_engine import core
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.decision_log.recorded import Recorded
from wnodes_engine.site import Plugin
from wnodes_engine.values import Node, Placement

from wnodes_daemon import past_use
from wnodes_daemon.baits.records import Bait
from wnodes_daemon.natives import Native
from wnodes_daemon.records import (
    LIVE,
    Change,
    Dispatch,
    Entry,
    EntryChange,
    ForgetAnswers,
    Order,
    Stored,
    UseChange,
)

Changes = list[Change]

ANSWERS_KEPT: Final = 86400
"""Seconds in which a call may be made again under its key."""


class Copied(NamedTuple):
    """A memory at one moment, for another thread than the one in which it changes.

    `standing` says of what does not simply run how it stands.
    """

    policy: CompiledPolicy
    nodes: list[Node]
    backends: Sequence[str]
    natives: dict[str, dict[str, Native]]
    stored: Stored
    standing: dict[int, str]
    now: int


class Memory:
    """One site's memory; `book` is the state, or what records all that is done to it."""

    def __init__(
        self,
        policy: CompiledPolicy,
        nodes: Iterable[Node],
        backends: Sequence[str],
        clock: Callable[[], float] = time.time,
        shared: Mapping[str, Plugin] = MappingProxyType({}),
        executors: Iterable[str] = (),
    ) -> None:
        self.policy = policy
        self.nodes: dict[str, Node] = {node.name: node for node in nodes}
        self.backends = backends
        self.state = core.State(policy, self.nodes.values())
        self.book: core.State | Recorded = self.state
        self.entries: dict[int, Entry] = {}
        self.dispatches: dict[str, Dispatch] = {}
        self.dispatch_of: dict[int, str] = {}
        self.given_up: dict[str, Dispatch] = {}
        self.executors = frozenset(executors)
        """The names of those that boot machines."""
        self.baits: dict[str, Bait] = {}
        """By key: those that have not ended."""
        self.beginning: set[str] = set()
        """Keys of dispatches that were begun, and that nobody has taken in hand yet."""
        self.natives: dict[str, dict[str, Native]] = {}
        """By backend and id."""
        self.shared = shared
        """The backends to which users also submit past us, by name."""
        self.unplaced: set[str] = set()
        """Keys of dispatches without a node; those that are over, or have one now, may be among them."""
        self.said: dict[str, Mapping[str, str]] = {}
        """By backend and key: why a job of ours does not run yet, in the batch system's own words."""
        self.orders: dict[str, Order] = {}
        """By victim: those who were told to leave, and have not left for good."""
        self.promised: set[int] = set()
        """The requests to which room is promised, by what was written."""
        self.owed: set[int] = set()
        """The requests for which somebody has left, and which have not started since."""
        self.next_id = 1
        self.next_order = 1
        self.spent: set[past_use.Spent] = set()
        """Core hours that have grown since they were written."""
        self.written: dict[tuple[str, str], bytes] = {}
        """Past use as it was written last, of what is compared."""
        self.written_at = -1
        """The minute of that."""
        self._clock = clock
        self._now = 0

    def now(self) -> int:
        """Seconds since the epoch; it never goes back, whatever the clock does."""
        self._now = max(self._now, int(self._clock()))
        return self._now

    def move(self, entry: Entry, changes: Changes, **to: Any) -> Entry:
        """A request has moved on, and is like this now."""
        moved = msgspec.structs.replace(entry, **to)
        changes.append(EntryChange(moved))
        if moved.state in LIVE:
            self.entries[moved.id] = moved
        else:
            del self.entries[moved.id]
        return moved

    def finish(self, id_: str) -> None:
        """An allocation has ended."""
        self._spend(id_)
        self.book.finish(id_, self.now())

    def requeue(self, id_: str) -> None:
        """An allocation has lost its place, and waits again."""
        self._spend(id_)
        self.book.requeue(id_, self.now())

    def _spend(self, id_: str) -> None:
        self.spent.update(self.state.allocations[id_].claim.hours)

    def charge(self, native: Native, now: int | None = None) -> bool:
        """Take up a native job; whether it can be charged to anybody."""
        if any(place.node not in self.nodes for place in native.placement):
            return False
        try:
            self.book.start(
                native.request, native.placement, native.since if now is None else now, native=True
            )
        except ValueError:
            return False
        return True

    def know(self, placement: Iterable[Placement]) -> None:
        """Something of ours is on these nodes: they were there once, even if nobody shows them now."""
        for place in placement:
            if place.node not in self.nodes:
                self.nodes[place.node] = Node(place.node, cores=0, memory=0, up=False)

    def remember_use(self, changes: Changes) -> None:
        """Write down the core hours that have grown, and once a minute whatever else was used."""
        if self.spent:
            changes += map(UseChange, past_use.spent(self.state, self.spent))
            self.spent.clear()
        minute = self._now // 60
        if minute != self.written_at:
            self.written_at = minute
            for use in past_use.standing(self.state):
                if self.written.get((use.kind, use.name)) != use.value:
                    self.written[use.kind, use.name] = use.value
                    changes.append(UseChange(use))
            if minute % 60 == 0:
                changes.append(ForgetAnswers(self._now - ANSWERS_KEPT))
