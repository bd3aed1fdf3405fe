"""The digest of a state: 128 bits over all that a later decision depends on, kept up change by change.

It is a sum modulo 2^128 of one number for each thing that the state is made of: a node, an allocation, a
request that waits, an average, the use in one bucket of a quota's window. So it does not depend on the order
in which things came, and a change adds and takes away what it concerns, however large the state is. Numbers
are hashes of the thing (BLAKE2b); amounts that grow and shrink are multiplied by the hash of what they are
an amount of. What can be worked out from these things (what is free, what quotas count, what shares hold) is
not summed.

It finds differences. It is no seal: whoever can write a log can write its digests.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from wnodes_engine.core.accounts import Account
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.ledger import Allocation
from wnodes_engine.core.meters import Hours
from wnodes_engine.core.state import State
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.snapshot import accounts, encode, use_over_time
from wnodes_engine.values import Node

_ALL: Final = (1 << 128) - 1


def _hash(kind: bytes, thing: bytes) -> int:
    return int.from_bytes(blake2b(kind + thing, digest_size=16).digest(), "little")


_SERIAL: Final = _hash(b"serial", b"")
_TICK: Final = _hash(b"tick", b"")
_RESOURCES: Final = tuple(_hash(b"resource", name.encode()) for name in RESOURCES)


def digest_of(state: State) -> str:
    """The digest of a state, worked out anew, in hexadecimal."""
    total = _hash(b"policy", state.policy.digest.encode())
    total += sum(node_number(node) for node in state.farm.nodes)
    for waiter in state.waiters.values():
        total += waiting_number(request_bytes(encode(waiter.request), waiter.claim, waiter.serial))
    for allocation in state.allocations.values():
        total += allocation_number(_bytes_of(allocation), allocation)
    total += sum(_account_factor(*name) * _use(account) for name, account in accounts(state))
    for meter, hours, key in use_over_time(state):
        factor = _hours_factor(meter, key)
        total += sum(factor * _bucket(bucket) * amount for bucket, amount in hours.buckets(key).items())
    return shown(total + _SERIAL * state.serial)


def shown(total: int) -> str:
    """A sum as a digest: 32 hexadecimal digits."""
    return f"{total & _ALL:032x}"


def node_number(node: Node) -> int:
    """What a node is in the sum."""
    return _hash(b"node", encode(node))


def request_bytes(encoded: bytes, claim: Claim, serial: int) -> bytes:
    """What a request, as `encode` writes it, is inside a waiting one or an allocation."""
    return blake2b(encoded + encode((claim, serial)), digest_size=16).digest()


def _bytes_of(allocation: Allocation) -> bytes:
    return request_bytes(encode(allocation.request), allocation.claim, allocation.serial)


def waiting_number(request: bytes) -> int:
    """What a waiting request is in the sum."""
    return _hash(b"waits", request)


def allocation_number(request: bytes, allocation: Allocation) -> int:
    """What an allocation is in the sum: its nodes count by their names, not by their numbers."""
    placed = [(place.node, place.parts) for place in allocation.placement]
    return _hash(b"holds", request + encode((allocation.started, placed)))


def _account_factor(share: int, fairshare: int, name: str) -> int:
    return _hash(b"account", encode((share, fairshare, name)))


def _use(account: Account) -> int:
    total = _TICK * account.tick
    for factor, average in zip(_RESOURCES, account.average, strict=True):
        if average:
            total += factor * average
    return total & _ALL


def _hours_factor(meter: int, key: str | int) -> int:
    return _hash(b"hours", encode((meter, key)))


@lru_cache(maxsize=1 << 14)
def _bucket(bucket: int) -> int:
    return _hash(b"bucket", b"%d" % bucket)


class Tally:
    """The digest of one state, kept up by whoever changes the state: call what has changed, then read it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._known: dict[Account, tuple[int, int, int]] = {}
        """By average: its factor, the tick as of which it is in the sum, and what it is there."""
        self._total = 0
        self.anew()

    def anew(self) -> None:
        """Work all of it out anew, after changes that nobody told."""
        state = self._state
        self._known = {}
        for name, account in accounts(state):
            factor = _account_factor(*name)
            self._known[account] = (factor, account.tick, factor * _use(account))
        self._total = int(digest_of(state), 16) - _SERIAL * state.serial

    @property
    def digest(self) -> str:
        """The digest of the state as it is now."""
        return shown(self._total + _SERIAL * self._state.serial)

    def node(self, before: Node | None, after: Node) -> None:
        """A node has changed, or is new."""
        self._total += node_number(after) - (node_number(before) if before is not None else 0)

    def queued(self, request: bytes) -> None:
        """A request waits now; it is given by its `request_bytes`."""
        self._total += waiting_number(request)

    def unqueued(self, request: bytes) -> None:
        """A request waits no longer."""
        self._total -= waiting_number(request)

    def held(self, request: bytes, allocation: Allocation) -> None:
        """There is an allocation of the request."""
        self._total += allocation_number(request, allocation)
        self._averaged(allocation.claim)

    def released(self, request: bytes, allocation: Allocation) -> None:
        """The allocation has ended."""
        self._total -= allocation_number(request, allocation)
        self._averaged(allocation.claim)

    def used(self, change: int) -> None:
        """The sum of `Spent` is another now, by so much."""
        self._total += change

    def _averaged(self, claim: Claim) -> None:
        """The averages of the claim's shares and accounts may have been brought to another tick."""
        state, leaf = self._state, claim.leaf
        for share in state.tree.paths[leaf]:
            account = state.share_use[share]
            factor, tick, number = self._known[account]
            if account.tick != tick:
                self._take(account, factor, number)
        for fairshare, name in enumerate(claim.accounts):
            account = state.queues[leaf].accounts[fairshare][name]
            known = self._known.get(account)
            if known is None:
                self._take(account, _account_factor(leaf, fairshare, name), 0)
            elif account.tick != known[1]:
                self._take(account, known[0], known[2])

    def _take(self, account: Account, factor: int, before: int) -> None:
        number = factor * _use(account) & _ALL
        self._known[account] = (factor, account.tick, number)
        self._total += number - before


class Spent:
    """The buckets that change as an allocation ends: made before that, it tells afterwards by how much."""

    def __init__(self, state: State, allocation: Allocation, now: int) -> None:
        self._parts: list[tuple[Hours, str | int, int, list[int]]] = []
        for meter, key in dict.fromkeys(allocation.claim.hours):
            hours: Hours = state.meters[meter]
            begin = max(allocation.started // hours.length, hours.first(now))
            touched = [*hours.leaving(key, now), *range(begin, now // hours.length + 1)]
            self._parts.append((hours, key, _hours_factor(meter, key), touched))
        self._before = self._sum()

    def change(self) -> int:
        """By how much the state's sum has changed."""
        return self._sum() - self._before

    def _sum(self) -> int:
        total = 0
        for hours, key, factor, touched in self._parts:
            amounts = hours.buckets(key)
            total += factor * sum(_bucket(bucket) * amounts.get(bucket, 0) for bucket in touched)
        return total
