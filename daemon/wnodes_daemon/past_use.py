"""What was used in the past, by names that a new policy knows, too: averages, core hours, how work lasts.

Averages are kept as of the minute in which what is held had last changed; from there on they follow from what
is held. Core hours are buckets of what has ended. A share, an account or a quota that a policy does not have
any more is passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from wnodes_engine.core import State
from wnodes_engine.core.accounts import Account
from wnodes_engine.core.meters import Hours
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.language.vocabulary import RESOURCES
from wnodes_engine.snapshot import AccountName, averages, use_over_time

from wnodes_daemon.records import PastUse

AVERAGE: Final = "average"
HOURS: Final = "hours"
LASTING: Final = "lasting"

Spent = tuple[int, str | int]
"""(meter, key): a quota on use over time, and whom it has counted."""


class _Average(msgspec.Struct):
    tick: int
    amounts: dict[str, int]


_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_read_average: Final = msgspec.json.Decoder(_Average).decode
_read_buckets: Final = msgspec.json.Decoder(list[tuple[int, int]]).decode
_read_counts: Final = msgspec.json.Decoder(list[int]).decode


def everything(state: State) -> Iterator[PastUse]:
    """All that is known of the past."""
    yield from standing(state)
    yield from spent(state, ((meter, key) for meter, _, key in use_over_time(state)))


def standing(state: State) -> Iterator[PastUse]:
    """The averages, and how long work lasts: what changes a little with everything."""
    keys = _fairshare_keys(state.policy)
    paths = [share.path for share in state.policy.checked.shares]
    for (share, at, account), tick, amounts in averages(state):
        value = _Average(tick, {r: a for r, a in zip(RESOURCES, amounts, strict=True) if a})
        if value.amounts:
            of = keys[share][at] if at >= 0 else ("share", 0)
            yield PastUse(AVERAGE, _name(paths[share], *of, account), _encode(value))
    for leaf, counts in state.lasting.counts():
        yield PastUse(LASTING, paths[leaf] if leaf >= 0 else "", _encode(counts))


def spent(state: State, which: Iterable[Spent]) -> Iterator[PastUse]:
    """The core hours of these."""
    names = _meter_names(state.policy)
    for meter, key in which:
        hours: Hours = state.meters[meter]
        named = _key_to_name(state.policy, meter, key)
        yield PastUse(HOURS, _name(*names[meter], named), _encode(sorted(hours.buckets(key).items())))


def restore(state: State, known: Iterable[PastUse]) -> None:
    """Take up what is known of the past; the state holds already what runs."""
    policy = state.policy
    leaf_of = {share.path: share.index for share in policy.checked.shares}
    keys = {leaf: {of: at for at, of in enumerate(its)} for leaf, its in _fairshare_keys(policy).items()}
    meters = {name: meter for meter, name in _meter_names(policy).items()}
    for use in known:
        if use.kind == LASTING:
            if (leaf := leaf_of.get(use.name, -1 if not use.name else None)) is not None:
                state.lasting.restore(leaf, _read_counts(use.value))
            continue
        *what, last = msgspec.json.decode(use.name)
        if use.kind == HOURS:
            if (meter := meters.get(tuple(what))) is not None:
                key = _name_to_key(policy, meter, last, leaf_of)
                if key is not None:
                    state.meters[meter].restore(key, dict(_read_buckets(use.value)))
        elif use.kind == AVERAGE and (share := leaf_of.get(what[0])) is not None:
            of = (what[1], what[2])
            at = -1 if of[0] == "share" else keys.get(share, {}).get(of)
            if at is not None:
                _restore_average(state, (share, at, last), _read_average(use.value))
    for queue in state.queues.values():
        queue.stale = True


def _restore_average(state: State, whose: AccountName, value: _Average) -> None:
    share, at, name = whose
    amounts = [value.amounts.get(resource, 0) for resource in RESOURCES]
    if at < 0:
        for resource, amount in enumerate(amounts):
            state.averages.restore(share, resource, amount, value.tick)
        return
    named = state.queues[share].accounts[at]
    account = named.get(name)
    if account is None:
        account = named[name] = Account()
    account.tick, account.average = value.tick, amounts


def _fairshare_keys(policy: CompiledPolicy) -> dict[int, list[tuple[str, int]]]:
    """By leaf, for each of its fairshare keys: of what it is, and the how manieth of those."""
    found: dict[int, list[tuple[str, int]]] = {}
    for leaf, order in policy.checked.orders.items():
        seen: Counter[str] = Counter()
        found[leaf] = []
        for key in order.keys:
            if key.key == "fairshare" and key.of is not None:
                found[leaf].append((key.of, seen[key.of]))
                seen[key.of] += 1
    return found


def _meter_names(policy: CompiledPolicy) -> dict[int, tuple[Any, ...]]:
    """By meter of use over time: what it counts in which window, whatever its limit is."""
    paths = [share.path for share in policy.checked.shares]
    seen: Counter[tuple[Any, ...]] = Counter()
    found = {}
    for spec in policy.meters:
        if spec.window is None:
            continue
        quota = spec.quota
        within = quota.within if quota is not None and quota.within is not None else frozenset[int]()
        key = quota.key if quota is not None else ""
        name = (key, ",".join(sorted(paths[leaf] for leaf in within)), spec.window)
        found[spec.index] = (*name, seen[name])
        seen[name] += 1
    return found


def _key_to_name(policy: CompiledPolicy, meter: int, key: str | int) -> str | int:
    quota = policy.meters[meter].quota
    if isinstance(key, int) and quota is not None and quota.key == "share":
        return policy.checked.shares[key].path
    return key


def _name_to_key(
    policy: CompiledPolicy, meter: int, name: str | int, leaf_of: Mapping[str, int]
) -> str | int | None:
    quota = policy.meters[meter].quota
    if isinstance(name, str) and quota is not None and quota.key == "share":
        return leaf_of.get(name)
    return name


def _name(*parts: str | int) -> str:
    return msgspec.json.encode(parts).decode()
