"""What running work will have given back by some moment, if all of it ends with its walltime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wnodes_engine.core.accounts import Asks
from wnodes_engine.core.farm import Free, more
from wnodes_engine.core.tree import ShareTree
from wnodes_engine.language.vocabulary import RESOURCES

if TYPE_CHECKING:
    from wnodes_engine.core.claim import Claim
    from wnodes_engine.core.ledger import Allocation, Ledger
    from wnodes_engine.core.room import Given

_NOTHING: Final[Free] = (0, 0, 0, 0)


class Step:
    """From one moment to the next at which work or a downtime ends, `end`, with the work that ends by it."""

    __slots__ = ("end", "ending")

    def __init__(self, end: int, ending: list[Allocation]) -> None:
        self.end = end
        self.ending = ending


class Outlook:
    """The sums of what ends by a moment, which can be moved from one end to the next, and back.

    What is overdue ends a moment from now. The sums are kept from pass to pass, and follow what starts and
    ends meanwhile: the moment at which a head fits seldom moves far.
    """

    __slots__ = ("_ledger", "_written", "by", "count", "nodes", "shares")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._written = ledger.endings.written()
        self.by = -1
        """The moment: what ends later is not in the sums."""
        self.count = 0
        """How many allocations are."""
        self.shares = self._no_shares()
        """By resource and share: what its subtree will have given back."""
        self.nodes: dict[int, Free] = {}
        """By node: what will be free there beside what is free now."""

    def _no_shares(self) -> list[list[int]]:
        return [[0] * len(self._ledger.tree.shares) for _ in RESOURCES]

    def follow(self) -> None:
        """Take in what has changed since."""
        endings = self._ledger.endings
        changes = endings.since(self._written)
        self._written = endings.written()
        if changes is None:
            self.count, self.shares, self.nodes = 0, self._no_shares(), {}
            for allocation in endings.between(-1, self.by):
                self._add(allocation, allocation.given, 1)
            return
        for end, allocation, given, sign in changes:
            if end <= self.by:
                if given is None:
                    self._add(allocation, None, sign)
                else:
                    self._share(allocation, given, sign)

    def pass_by(self, now: int) -> None:
        """It is `now`: what has not ended yet ends a moment later."""
        if self.by <= now:
            self.move(Step(now + 1, list(self._ledger.endings.between(self.by, now + 1))), 1)

    def reached(self, now: int) -> bool:
        """Whether anything ends by the moment."""
        return self.count > 0 or any(now < end <= self.by for _, end in self._ledger.closings)

    def tree(self) -> ShareTree:
        """The share tree at the moment."""
        tree = self._ledger.tree
        return tree.without(self.shares) if self.count else tree.copy()

    def free(self, node: int) -> Free:
        """What is free on the node at the moment."""
        now, back = self._ledger.farm.free(node), self.nodes.get(node)
        if back is None:
            return now
        return now[0] + back[0], now[1] + back[1], now[2] + back[2], now[3] + back[3]

    def all_free(self) -> dict[int, Free]:
        """What is free at the moment on each node on which anything ends by then."""
        farm = self._ledger.farm
        cores, memory, gpus, disk = farm.cores, farm.memory, farm.gpus, farm.disk
        return {
            n: (cores[n] + back[0], memory[n] + back[1], gpus[n] + back[2], disk[n] + back[3])
            for n, back in self.nodes.items()
        }

    def given_back(self, claim: Claim) -> dict[tuple[int, str | int], int]:
        """What the quotas that depend on a claim's nodes will have back, by meter and key."""
        ledger = self._ledger
        back = {(meter, key): 0 for meter, key, _ in claim.placed}
        for allocation in ledger.endings.between(-1, self.by):
            for meter, key, amount in allocation.charged.placed:
                if (meter, key) in back:
                    back[meter, key] += ledger.placed_amount(meter, amount, allocation.where)
        return back

    def ahead(self) -> Step | None:
        """The step to the next end; None where nothing more ends."""
        ends = [end for _, end in self._ledger.closings if end > self.by]
        if (of_work := self._ledger.endings.after(self.by)) is not None:
            ends.append(of_work)
        if not ends:
            return None
        return Step(min(ends), list(self._ledger.endings.between(self.by, min(ends))))

    def behind(self, now: int) -> Step | None:
        """The step back to the end before; None where nothing ends sooner."""
        ends = [end for _, end in self._ledger.closings if now < end < self.by]
        if self.by > now + 1 and (of_work := self._ledger.endings.before(self.by)) is not None:
            ends.append(max(of_work, now + 1))
        if not ends:
            return None
        return Step(max(ends), list(self._ledger.endings.between(max(ends), self.by)))

    def move(self, step: Step, sign: int) -> None:
        """Take the step ahead, or, -1, back."""
        for allocation in step.ending:
            self._add(allocation, allocation.given, sign)
        self.by = step.end

    def _add(self, allocation: Allocation, given: Given | None, sign: int) -> None:
        self.count += sign
        claim = allocation.claim
        self._charge(claim.leaf, self._ledger.charges(claim, allocation.where), sign)
        if given is not None:  # its share has given that back already
            self._share(allocation, given, -sign)
        part, nodes = claim.part, self.nodes
        for node, parts in allocation.where:
            nodes[node] = back = more(nodes.get(node, _NOTHING), part, parts * sign)
            if back == _NOTHING:
                del nodes[node]

    def _share(self, allocation: Allocation, given: Given, sign: int) -> None:
        self._charge(allocation.claim.leaf, given.charged, sign)

    def _charge(self, leaf: int, asks: Asks, sign: int) -> None:
        path = self._ledger.tree.paths[leaf]
        for resource, ask in asks:
            sums, amount = self.shares[resource], ask * sign
            for share in path:
                sums[share] += amount
