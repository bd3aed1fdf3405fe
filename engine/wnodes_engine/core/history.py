"""What happened to those that had to leave: how often, because of whom, and how many each rule told to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Set
from typing import Final

HOUR: Final = 3600


class History:
    """Counts and relations of requests that wait or run; whoever is over is forgotten."""

    __slots__ = ("_left", "_made_room", "_pushed", "_pushed_by", "_told")

    def __init__(self, limited: Iterable[int]) -> None:
        """`limited` are the rules that may tell no more than so many to leave in an hour."""
        self._left: dict[str, int] = {}
        self._made_room: dict[str, set[str]] = {}
        self._pushed_by: dict[str, set[str]] = {}
        self._pushed: dict[str, set[str]] = {}
        self._told: dict[int, deque[tuple[int, str]]] = {rule: deque() for rule in limited}
        """By rule that is limited, those of the last hour; of others nobody asks for that."""

    def tell(self, rule: int, victim: str, now: int) -> None:
        """The rule has told the victim to leave."""
        if rule in self._told:
            self._told[rule].append((now, victim))

    def told(self, rule: int, now: int) -> int:
        """How many a limited rule has told to leave in the hour before; who was let off does not count."""
        times = self._told[rule]
        while times and times[0][0] <= now - HOUR:
            times.popleft()
        return len(times)

    def let_off(self, rule: int, victim: str) -> None:
        """The victim may stay after all."""
        times = self._told.get(rule, deque())
        for at in range(len(times) - 1, -1, -1):
            if times[at][1] == victim:
                del times[at]
                return

    def leave(self, victim: str, beneficiary: str) -> None:
        """The victim has left, for the beneficiary's sake."""
        self._made_room.setdefault(beneficiary, set()).add(victim)
        self._left[victim] = self._left.get(victim, 0) + 1
        self._pushed_by.setdefault(victim, set()).add(beneficiary)
        self._pushed.setdefault(beneficiary, set()).add(victim)

    def told_since(self, rule: int, since: int) -> Iterator[tuple[int, str]]:
        """When a limited rule has told whom to leave, after `since`."""
        return iter([entry for entry in self._told[rule] if entry[0] > since])

    def everybody(self) -> Set[str]:
        """The requests of which something is known."""
        return self._left.keys() | self._made_room.keys() | self._pushed_by.keys()

    def pushed_by(self, id_: str) -> Set[str]:
        """Those that pushed the request out."""
        return self._pushed_by.get(id_, frozenset())

    def pushed(self, id_: str) -> Set[str]:
        """Those that the request pushed out."""
        return self._pushed.get(id_, frozenset())

    def restore(self, id_: str, left: int, made_room: Iterable[str], pushed_by: Iterable[str]) -> None:
        """Take up what was known of a request."""
        if left:
            self._left[id_] = left
        if victims := set(made_room):
            self._made_room[id_] = victims
        if by := set(pushed_by):
            self._pushed_by[id_] = by
            for beneficiary in by:
                self._pushed.setdefault(beneficiary, set()).add(id_)

    def left(self, id_: str) -> int:
        """How often the request had to leave."""
        return self._left.get(id_, 0)

    def made_room(self, beneficiary: str) -> Set[str]:
        """Those that have left for the request since it last ran."""
        return self._made_room.get(beneficiary, frozenset())

    def ran(self, id_: str) -> None:
        """The request has started."""
        self._made_room.pop(id_, None)

    def above(self, id_: str) -> set[str]:
        """Those that pushed the request out, those that pushed these out, and so on."""
        found: set[str] = set()
        ahead = [id_]
        while ahead:
            by = self._pushed_by.get(ahead.pop())
            if by:
                ahead += by - found
                found |= by
        return found

    def forget(self, id_: str) -> None:
        """The request is over."""
        if self._made_room:
            self._made_room.pop(id_, None)
        if not self._left and not self._pushed_by:
            return
        self._left.pop(id_, None)
        for by in self._pushed_by.pop(id_, ()):
            self._drop(self._pushed, by, id_)
        for victim in self._pushed.pop(id_, ()):
            self._drop(self._pushed_by, victim, id_)

    @staticmethod
    def _drop(relation: dict[str, set[str]], one: str, other: str) -> None:
        those = relation[one]
        those.discard(other)
        if not those:
            del relation[one]
