"""The digest of a state: 128 bits over all that a later decision depends on.

It is a sum modulo 2^128 of one number for each thing that the state is made of: a node, an allocation, a
request that waits, a promise, an average, the use in one bucket of a quota's window. So it does not depend on
the order in which things came, and a change adds and takes away what it concerns, however large the state is:
that is what `tally` does. Numbers are hashes of the thing (BLAKE2b); amounts that grow and shrink are
multiplied by the hash of what they are an amount of. What can be worked out from these things (what is free,
what quotas count, what shares hold) is not summed.

It finds differences. It is no seal: whoever can write a log can write its digests.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from wnodes_engine.core.claim import Claim
from wnodes_engine.core.ledger import Allocation
from wnodes_engine.core.meters import Hours
from wnodes_engine.core.promises import Pledge
from wnodes_engine.core.state import State
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.snapshot import averages, encode, given_hs23, looked_now, told, use_over_time
from wnodes_engine.values import Node, Request

_ALL: Final = (1 << 128) - 1


def _hash(kind: bytes, thing: bytes) -> int:
    return int.from_bytes(blake2b(kind + thing, digest_size=16).digest(), "little")


_SERIAL: Final = _hash(b"serial", b"")
_PROMISED: Final = _hash(b"promised", b"")
_TICK: Final = _hash(b"tick", b"")
_RESOURCES: Final = tuple(_hash(b"resource", name.encode()) for name in RESOURCES)


def digest_of(state: State) -> str:
    """The digest of a state, worked out anew, in hexadecimal."""
    return shown(sum_of(state) + counters(state))


def sum_of(state: State) -> int:
    """The sum over all of a state but its counters."""
    total = _hash(b"policy", encode((state.policy.digest, state.preempts)))
    total += sum(node_number(node) for node in state.farm.nodes)
    for waiter in state.waiters.values():
        total += waiting_number(request_bytes(waiter.request, waiter.claim, waiter.serial))
    for allocation in state.allocations.values():
        total += allocation_number(allocation_bytes(allocation), allocation)
    for pledge in state.pledges.values():
        total += pledge_number(state, pledge)
    for id_ in state.history.everybody():
        total += left_number(state, id_) + sum(push_number(id_, by) for by in state.history.pushed_by(id_))
        total += room_number(state, id_)
    total += sum(told_number(*order) for order in told(state))
    total += sum(account_factor(*name) * use_number(tick, average) for name, tick, average in averages(state))
    for meter, hours, key in use_over_time(state):
        total += hours_factor(meter, key) * buckets_number(hours, key, hours.buckets(key))
    return total


def counters(state: State) -> int:
    """What a state counts, and what passes leave behind: worked out anew each time."""
    total = _SERIAL * state.serial + _PROMISED * state.promised
    if state.looked:
        total += sum(_looked(leaf) for leaf in looked_now(state))
    if state.let_off:
        total += _hash(b"let off", encode(state.let_off))
    return total


def shown(total: int) -> str:
    """A sum as a digest: 32 hexadecimal digits."""
    return f"{total & _ALL:032x}"


def node_number(node: Node) -> int:
    """What a node is in the sum."""
    return _hash(b"node", encode(node))


def request_bytes(request: Request, claim: Claim, serial: int) -> bytes:
    """What a request is inside a waiting one, an allocation or a promise."""
    return encoded_bytes(encode(request), claim, serial)


def encoded_bytes(encoded: bytes, claim: Claim, serial: int) -> bytes:
    """The same, of a request that `encode` has written."""
    return blake2b(encoded + encode((claim, serial)), digest_size=16).digest()


def allocation_bytes(allocation: Allocation) -> bytes:
    """The same, of the request that an allocation is of."""
    return request_bytes(allocation.request, allocation.claim, allocation.serial)


def waiting_number(request: bytes) -> int:
    """What a request in line is in the sum."""
    return _hash(b"waits", request)


def allocation_number(request: bytes, allocation: Allocation) -> int:
    """What an allocation is in the sum: its nodes count by their names, not by their numbers."""
    placed = [(place.node, place.parts) for place in allocation.placement]
    stopped = None if allocation.rest is None else allocation.stopped
    how = (allocation.started, placed, allocation.priority, allocation.native, stopped)
    return _hash(b"holds", request + encode(how))


def pledge_number(state: State, pledge: Pledge) -> int:
    """What a promise is in the sum."""
    waiter = pledge.waiter
    placed = [(place.node, place.parts) for place in state.placement(pledge.where)]
    victims = [(id_, given_hs23(victim)) for id_, victim in pledge.victims.items()]
    what = (pledge.number, pledge.rule, pledge.leave_by, placed, victims)
    return _hash(b"pledge", request_bytes(waiter.request, waiter.claim, waiter.serial) + encode(what))


def left_number(state: State, id_: str) -> int:
    """How often a request had to leave, in the sum."""
    left = state.history.left(id_)
    return _hash(b"left", id_.encode()) * left if left else 0


def push_number(victim: str, beneficiary: str) -> int:
    """That one pushed out the other, in the sum."""
    return _hash(b"pushed", encode((victim, beneficiary)))


def room_number(state: State, id_: str) -> int:
    """Those that have left for a request since it last ran, in the sum."""
    return sum(_hash(b"made room", encode((id_, victim))) for victim in state.history.made_room(id_))


def told_number(rule: int, time: int, victim: str) -> int:
    """That a rule told a victim to leave, in the sum."""
    return _hash(b"told", encode((rule, time, victim)))


def account_factor(share: int, fairshare: int, name: str) -> int:
    """What the averages of an account are multiplied by in the sum."""
    return _hash(b"account", encode((share, fairshare, name)))


def use_number(tick: int, averages: Iterable[int]) -> int:
    """The averages of a share or an account as of that tick, before they are multiplied."""
    total = _TICK * tick
    for factor, average in zip(_RESOURCES, averages, strict=True):
        if average:
            total += factor * average
    return total & _ALL


def hours_factor(meter: int, key: str | int) -> int:
    """What the use of somebody over time is multiplied by in the sum."""
    return _hash(b"hours", encode((meter, key)))


def buckets_number(hours: Hours, key: str | int, buckets: Iterable[int]) -> int:
    """The use in these buckets, before it is multiplied."""
    amounts = hours.buckets(key)
    return sum(_bucket(bucket) * amounts.get(bucket, 0) for bucket in buckets)


@lru_cache(maxsize=1 << 14)
def _bucket(bucket: int) -> int:
    return _hash(b"bucket", b"%d" % bucket)


@lru_cache(maxsize=1 << 12)
def _looked(leaf: int) -> int:
    return _hash(b"looked", b"%d" % leaf)
