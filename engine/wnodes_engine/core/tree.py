"""The share tree: what each share is worth, what it may borrow and lend, and what is in use.

The formulas and their names are those of the design (S, local, U, free, most): a share counts on its own
nominal amount, on what its children lend it, and on what its parent can spare, up to its borrowing limit.
All amounts are integers; every list is indexed by resource first, then by share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wnodes_engine.check.checked import Bound, Portions, Share
from wnodes_engine.core.accounts import Asks
from wnodes_engine.language.vocabulary import RESOURCES

INFINITE: Final = 1 << 62
"""No limit: larger than any amount, small enough to add to one."""

Amounts = tuple[int, ...]
"""An amount of each resource, in the order of `RESOURCES`."""

_PERCENT: Final = 10_000


def _children_amounts(parent: Sequence[int], children: Sequence[Portions]) -> list[list[int]]:
    """The amounts of all children of one parent, by child and resource."""
    amounts = [[0] * len(RESOURCES) for _ in children]
    for r, resource in enumerate(RESOURCES):
        rest = parent[r]
        weights = 0
        for child, portions in enumerate(children):
            portion = portions.portions.get(resource)
            if portion is None:
                continue
            if portion.absolute is not None:
                amounts[child][r] = portion.absolute
            elif portion.percent is not None:
                amounts[child][r] = parent[r] * portion.percent // _PERCENT
            else:
                weights += portion.weight or 0
            rest -= amounts[child][r]
        if weights:
            rest = max(0, rest)
            for child, portions in enumerate(children):
                portion = portions.portions.get(resource)
                if portion is not None and portion.weight is not None:
                    amounts[child][r] = rest * portion.weight // weights
    for child, portions in enumerate(children):
        main = RESOURCES.index(portions.main)
        for r, resource in enumerate(RESOURCES):
            if resource not in portions.portions and parent[main]:
                amounts[child][r] = parent[r] * amounts[child][main] // parent[main]
    for r in range(len(RESOURCES)):
        promised = sum(amount[r] for amount in amounts)
        if promised > parent[r]:
            for amount in amounts:
                amount[r] = amount[r] * parent[r] // promised
    return amounts


def _limits(amount: Sequence[int], bounds: Mapping[str, Bound]) -> list[int]:
    """A limit on borrowing or lending by resource; `INFINITE` where there is none."""
    limits = []
    for r, resource in enumerate(RESOURCES):
        bound = bounds.get(resource)
        if bound is None:
            limits.append(INFINITE)
        elif bound.absolute is not None:
            limits.append(bound.absolute)
        else:
            limits.append(amount[r] * (bound.percent or 0) // _PERCENT)
    return limits


Changes = Mapping[int, Portions]
"""By share: other portions than the policy's own, while a window is open."""

Levels = tuple[tuple[int, int, int], ...]
"""(share, what it never lends, what it can count on or borrow beyond that), from the top down."""

Keepers = tuple[tuple[int, int, tuple[int, ...]], ...]
"""(share, what it never lends, the shares above it), from the bottom up: those that never lend anything."""


class Worth:
    """What every share is worth at one capacity: amount, S and local, by resource."""

    __slots__ = ("all_keepers", "amount", "keepers", "levels", "local", "most", "s", "weight")

    def __init__(self, shares: Sequence[Share], capacity: Amounts, changes: Changes) -> None:
        """`changes` replaces the portions of some shares: what a time window says of them."""
        count, width = len(shares), range(len(RESOURCES))
        self.amount = [[0] * count for _ in width]
        self.s = [[0] * count for _ in width]
        self.local = [[0] * count for _ in width]
        borrow = [[INFINITE] * count for _ in width]
        self.most = [[0] * count for _ in width]
        self.weight = [1] * count
        """By share: 1 where it has a percentage or an absolute amount."""
        self.levels: list[list[Levels]] = []
        """By resource and share: the shares on the way down that can keep or limit anything."""
        self.keepers: list[list[Keepers]] = []
        """By resource and share: the shares on the way up that keep anything to themselves."""
        self.all_keepers: list[Keepers] = []
        """By resource: all of them, children before parents."""
        lend = [[INFINITE] * count for _ in width]
        for r in width:
            self.amount[r][0] = capacity[r]
        for share in shares:
            if not share.children:
                continue
            portions = [changes.get(child) or _own(shares[child]) for child in share.children]
            parent = [self.amount[r][share.index] for r in width]
            for child, portion, amounts in zip(
                share.children, portions, _children_amounts(parent, portions), strict=True
            ):
                self.weight[child] = portion.portions[portion.main].weight or 1
                borrowing, lending = _limits(amounts, portion.borrow), _limits(amounts, portion.lend)
                for r in width:
                    self.amount[r][child] = amounts[r]
                    borrow[r][child] = borrowing[r]
                    lend[r][child] = lending[r]
        for r in width:
            amount, s, local = self.amount[r], self.s[r], self.local[r]
            for share in reversed(shares):  # pre-order reversed: children before parents
                n = share.index
                own = amount[n] - sum(amount[child] for child in share.children)
                s[n] = own + sum(s[child] - local[child] for child in share.children)
                if lend[r][n] < INFINITE:
                    local[n] = max(0, s[n] - lend[r][n])
            most = self.most[r]
            most[0] = s[0]
            levels: list[Levels] = [()] * count
            keepers: list[Keepers] = [()] * count
            paths: list[tuple[int, ...]] = [(0,)] * count
            for share in shares[1:]:
                n, above = share.index, share.parent or 0
                most[n] = min(s[n] + borrow[r][n], local[n] + most[above])
                levels[n] = levels[above]
                if local[n] or borrow[r][n] < INFINITE:
                    levels[n] = (*levels[above], (n, local[n], s[n] - local[n] + borrow[r][n]))
                paths[n] = (n, *paths[above])
                keepers[n] = ((n, local[n], paths[above]), *keepers[above]) if local[n] else keepers[above]
            self.levels.append(levels)
            self.keepers.append(keepers)
            self.all_keepers.append(
                tuple((n, local[n], paths[n][1:]) for n in range(count - 1, 0, -1) if local[n])
            )


def _own(share: Share) -> Portions:
    if share.portions is None:
        raise ValueError(f"share {share.path} has no portions")
    return share.portions


def _ever(shares: Sequence[Share], configured: Amounts, times: Iterable[Changes]) -> list[list[int]]:
    """The most that each share could have at any of these times, by resource."""
    each = [Worth(shares, configured, changes).most for changes in times]
    return [[max(amounts) for amounts in zip(*by_share, strict=True)] for by_share in zip(*each, strict=True)]


class ShareTree:
    """What is in use in each share, beside what each is worth, and so what each could still take.

    `held` is all that a share's subtree holds. `kept` is the part of it that stands on what some share below
    never lends, so that one level up sees a use (U) of `held - kept`.
    """

    __slots__ = ("held", "kept", "live", "most", "paths", "shares")

    def __init__(
        self,
        shares: tuple[Share, ...],
        paths: tuple[tuple[int, ...], ...],
        live: Worth,
        most: list[list[int]],
        held: list[list[int]],
        kept: list[list[int]],
    ) -> None:
        """`paths` are each share with its ancestors, the farm last; `most` is what it could ever have."""
        self.shares = shares
        self.paths = paths
        self.live = live
        self.most = most
        self.held = held
        self.kept = kept

    def resize(
        self, configured: Amounts, live: Amounts, changes: Changes, windows: Sequence[Changes]
    ) -> None:
        """Take a new capacity, or the portions of the windows that are open; what is in use stays.

        `changes` are those of the windows open now, `windows` those of each window. What a share could ever
        have is the most of any time: a request that has to wait for the day is not denied by night.
        """
        self.live = Worth(self.shares, live, changes)
        self.most = _ever(self.shares, configured, ({}, changes, *windows))
        self._count_kept()

    def _count_kept(self) -> None:
        """Work out anew what is kept."""
        for r, keepers in enumerate(self.live.all_keepers):
            held, kept = self.held[r], [0] * len(self.shares)
            for n, local, above in keepers:
                stays = min(held[n] - kept[n], local)
                for m in above:
                    kept[m] += stays
            self.kept[r] = kept

    def copy(self) -> ShareTree:
        """A tree with the same use, to try things on; what the shares are worth is not copied."""
        return self._with([held.copy() for held in self.held], [kept.copy() for kept in self.kept])

    def without(self, given_back: Sequence[Sequence[int]]) -> ShareTree:
        """A tree in which each subtree holds so much less, by resource and share."""
        held = [
            [amount - less for amount, less in zip(of_resource, back, strict=True)]
            for of_resource, back in zip(self.held, given_back, strict=True)
        ]
        tree = self._with(held, self.kept.copy())
        tree._count_kept()  # noqa: SLF001 - its own kind
        return tree

    def _with(self, held: list[list[int]], kept: list[list[int]]) -> ShareTree:
        return ShareTree(self.shares, self.paths, self.live, self.most, held, kept)

    def charge(self, leaf: int, asks: Asks, sign: int) -> None:
        """Let the leaf hold so much more, or less where the sign is negative."""
        path, keepers = self.paths[leaf], self.live.keepers
        for resource, ask in asks:
            amount, held = ask * sign, self.held[resource]
            for n in path:
                held[n] += amount
            if keepers[resource][leaf]:
                self._keep(keepers[resource][leaf], resource, amount)

    def _keep(self, keepers: Keepers, resource: int, seen: int) -> None:
        """A leaf's use has changed by `seen`: what the shares above it keep, those above them do not see."""
        held, kept = self.held[resource], self.kept[resource]
        for n, local, above in keepers:
            after = held[n] - kept[n]
            before = after - seen
            change = min(after, local) - min(before, local)
            if change:
                seen -= change
                for m in above:
                    kept[m] += change

    def use(self, share: int, resource: int) -> int:
        """The share's use as one level up sees it (U)."""
        return self.held[resource][share] - self.kept[resource][share]

    def free(self, share: int, resource: int, farm: int | None = None) -> int:
        """How much more of the resource the share can take; below 0 where it is over its limits.

        `farm` is how much the whole farm has left, where that is not what no share holds.
        """
        held, kept, live = self.held[resource], self.kept[resource], self.live
        free = live.s[resource][0] - held[0] + kept[0] if farm is None else farm
        for n, local, lent in live.levels[resource][share]:
            use = held[n] - kept[n]
            if use < local:
                free = local - use + (free if free < lent else lent)
            else:
                lent -= use - local
                if lent < free:
                    free = lent
        return free

    def within_nominal(self, share: int, asks: Asks) -> bool:
        """Whether the share's subtree stays within its nominal amount with this much more."""
        for resource, ask in asks:
            if self.held[resource][share] + ask > self.live.amount[resource][share]:
                return False
        return True


def empty_tree(shares: Sequence[Share], configured: Amounts, live: Amounts) -> ShareTree:
    """The tree with nothing in use and no window open; capacities are by resource."""
    paths: list[tuple[int, ...]] = []
    for share in shares:  # parents come before their children
        paths.append((share.index, *(() if share.parent is None else paths[share.parent])))
    held, kept = ([[0] * len(shares) for _ in RESOURCES] for _ in range(2))
    live_worth, most = Worth(shares, live, {}), _ever(shares, configured, ({},))
    return ShareTree(tuple(shares), tuple(paths), live_worth, most, held, kept)
