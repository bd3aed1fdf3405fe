"""A checked policy: every name resolved, every type known, every amount a plain number in the house's units.

This is all that the compiler, the oracle, the explainers and the graph read; none of them looks at the
syntax tree. Statements keep their source spans, since every reason of a decision points back to its rule.
Cores, counts: int. Memory and disk: MiB. Durations: seconds. Percentages: hundredths of a percent.
hs23: thousandths. `UNLIMITED` is the duration above every other.
"""

from __future__ import annotations

from collections.abc import Set
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from wnodes_engine.language.source import Source, Span
from wnodes_engine.language.vocabulary import Trust, Type
from wnodes_engine.values import Action

UNLIMITED: Final = 1 << 62
"""An unlimited walltime, in seconds: above every duration that can be written."""


# ---------------------------------------------------------------- expressions


class Const(Struct, frozen=True, gc=False):
    """A literal, a `let`, an enumeration's word or a share: str, int, bool, or a frozenset of str.

    For `Type.SHARE` the value is the share's index in `CheckedPolicy.shares`.
    """

    value: str | int | bool | frozenset[str]
    type: Type
    span: Span


class Attr(Struct, frozen=True, gc=False):
    """An attribute by its dotted name; `site` when `site.yaml` declares it (read from `attributes`)."""

    name: str
    type: Type
    site: bool
    span: Span


class Has(Struct, frozen=True, gc=False):
    """Whether the attribute or group of attributes (`image`) is present."""

    name: str
    site: bool
    span: Span


class Not(Struct, frozen=True, gc=False):
    """Negation; `not in` and `not X` alike."""

    operand: Expr
    span: Span


class And(Struct, frozen=True, gc=False):
    """All of two or more, left to right, stopping at the first that fails."""

    operands: tuple[Expr, ...]
    span: Span


class Or(Struct, frozen=True, gc=False):
    """Any of two or more, left to right, stopping at the first that holds."""

    operands: tuple[Expr, ...]
    span: Span


class Compare(Struct, frozen=True, gc=False):
    """`op` one of `== != < <= > >=`; both sides of one type; strings and enums know `==` and `!=` only."""

    op: str
    left: Expr
    right: Expr
    span: Span


class Member(Struct, frozen=True, gc=False):
    """The left (a string or enum) is an element of the right (a set)."""

    left: Expr
    right: Expr
    span: Span


class InShare(Struct, frozen=True, gc=False):
    """The request's leaf is one of these leaves (indices): the subtree, spelled out."""

    share: int
    leaves: frozenset[int]
    span: Span


class Match(Struct, frozen=True, gc=False):
    """`op` is `startswith` (pattern is the prefix) or `like` (pattern with `*` and `?`)."""

    op: str
    left: Expr
    pattern: str
    span: Span


class Arithmetic(Struct, frozen=True, gc=False):
    """`op` one of `+ - * /`; whole numbers; `/` rounds down and its right side is a constant above 0.

    A percentage times a quantity is `left * right // 10000` and is written so by the checker.
    """

    op: str
    left: Expr
    right: Expr
    type: Type
    span: Span


Expr = Const | Attr | Has | Not | And | Or | Compare | Member | InShare | Match | Arithmetic


# ----------------------------------------------------------------- statements


class Condition(Struct, frozen=True, gc=False):
    """`when` and `unless` folded to one expression (`when and not unless`); None is always."""

    expr: Expr | None
    window: int | None = None
    """The window (index) of the `during` around the statement."""


class Portion(Struct, frozen=True, gc=False):
    """A share's amount of one resource: exactly one of the three is set.

    `absolute` in the resource's unit, `percent` of the parent's amount in hundredths of a percent,
    `weight` of what the siblings leave.
    """

    absolute: int | None = None
    percent: int | None = None
    weight: int | None = None


class Bound(Struct, frozen=True, gc=False):
    """A limit on borrowing or lending of one resource: absolute, or a percentage of the own amount."""

    absolute: int | None = None
    percent: int | None = None


class Portions(Struct, frozen=True, gc=False):
    """What a share statement grants, by resource; a share's own and those of each `during`.

    `portions` maps a resource to its amount. A resource that is missing gets the fraction of the parent
    that `main` has, the first of cores or, failing that, the first resource named. `borrow` and `lend`
    map a resource to its limit; a resource that is missing there is not limited.
    """

    portions: dict[str, Portion]
    main: str
    borrow: dict[str, Bound]
    lend: dict[str, Bound]


class Share(Struct, frozen=True, gc=False):
    """One node of the share tree. Index 0 is the farm itself, named `farm`, with no portions."""

    index: int
    name: str
    path: str
    parent: int | None
    children: tuple[int, ...]
    portions: Portions | None
    span: Span

    @property
    def is_leaf(self) -> bool:
        """Requests are assigned to leaves only."""
        return not self.children


class Default(Struct, frozen=True, gc=False):
    """The first default of an attribute whose condition holds fills in what the request left out."""

    attribute: str
    value: int | str
    condition: Condition
    span: Span


class Cap(Struct, frozen=True, gc=False):
    """A request that asks more than `value` of the attribute is denied."""

    attribute: str
    value: int
    condition: Condition
    span: Span


class Assign(Struct, frozen=True, gc=False):
    """The first assignment whose condition holds decides the leaf."""

    share: int
    condition: Condition
    span: Span


class Deny(Struct, frozen=True, gc=False):
    """An admission rule; all that match are reported."""

    reason: str
    condition: Condition
    span: Span


class NodeSet(Struct, frozen=True, gc=False):
    """Nodes by name patterns (globs; any of them) and properties (all of them); no patterns: every name."""

    patterns: tuple[str, ...]
    properties: tuple[str, ...]

    def has(self, name: str, properties: Set[str]) -> bool:
        """Whether a node of that name and with these properties is one of them."""
        if self.patterns and not any(fnmatchcase(name, pattern) for pattern in self.patterns):
            return False
        return properties >= set(self.properties)


class Ceiling(Struct, frozen=True, gc=False):
    """One limit. `bound` is an expression over constants and `farm.*`; `window` in seconds for core_hours."""

    resource: str
    bound: Expr
    window: int | None
    span: Span


class Quota(Struct, frozen=True, gc=False):
    """A ceiling on what a scope may hold, queue, or use.

    `key` is one of `SCOPE_KEYS`; `value` names the one counted (for `share` its index, for `nodes` None
    and `nodes` set), and is None for each. `within` is a set of leaves, None for all. Only requests for
    which the condition holds are counted and limited. `denies`: over quota denies, else it waits.
    """

    key: str
    value: str | int | None
    nodes: NodeSet | None
    within: frozenset[int] | None
    condition: Condition
    ceilings: tuple[Ceiling, ...]
    denies: bool
    span: Span


class Priority(Struct, frozen=True, gc=False):
    """What a request's priority gains; `per`: again for every so many seconds waited.

    `is_base`: the first base that matches replaces 0; all the others that match are added.
    """

    amount: int
    is_base: bool
    per: int | None
    condition: Condition
    span: Span


class OrderKey(Struct, frozen=True, gc=False):
    """`key` of `ORDER_KEYS`; for fairshare `of` one of `FAIRSHARE_OF` and `half_life` in seconds."""

    key: str
    of: str | None = None
    half_life: int | None = None


class Order(Struct, frozen=True, gc=False):
    """How one leaf is ordered: already inherited and resolved, one per leaf."""

    keys: tuple[OrderKey, ...]
    strict: bool
    span: Span | None


class VictimKey(Struct, frozen=True, gc=False):
    """Which victims come first: one of lowest highest shortest longest latest earliest smallest largest."""

    extreme: str
    of: str


class Taking(Struct, frozen=True, gc=False):
    """The clauses of `reclaim` and `preempt`.

    `sparing` speaks of the victim, the condition of the beneficiary (and of `victim.*`). `actions` maps
    each kind to its action. `per_victim` and `per_hour` are budgets or None; `after` is the warning time
    in seconds; `native` admits victims that were submitted past us.
    """

    condition: Condition
    sparing: Expr | None
    order: tuple[VictimKey, ...]
    per_victim: int | None
    per_hour: int | None
    actions: dict[str, Action]
    after: int
    native: bool


class Preempt(Struct, frozen=True, gc=False):
    """A rule that makes room; `how` is `reclaim`, `for` (another share), `self` or `fairly`.

    `victims` and `beneficiaries` are leaves. `victim` and `beneficiary` are the shares as named, up to which
    amounts are looked at by `preempt A for B`; None elsewhere. `self`: each leaf takes only from itself;
    `fairly` and `reclaim`: only from others.
    """

    how: str
    victims: frozenset[int]
    beneficiaries: frozenset[int]
    victim: int | None
    beneficiary: int | None
    below_nominal: bool
    borrowing: bool
    taking: Taking
    span: Span


class Period(Struct, frozen=True, gc=False):
    """One stretch of a week: days as a 7-bit mask (Monday is bit 0), seconds of the day.

    `begin` after `end` runs over midnight into the next day; equal means the whole day.
    """

    days: int
    begin: int
    end: int


class Window(Struct, frozen=True, gc=False):
    """A named time window, and the shares that it changes (by share index)."""

    name: str
    periods: tuple[Period, ...]
    shares: dict[int, Portions]
    span: Span


class NodeRule(Struct, frozen=True, gc=False):
    """`only`: the nodes take no other requests; else they are preferred by these requests."""

    nodes: NodeSet
    only: bool
    condition: Condition
    span: Span


class NodeGroup(Struct, frozen=True, gc=False):
    """Some nodes, and the name that the policy gives them."""

    name: str
    nodes: NodeSet


class Place(Struct, frozen=True, gc=False):
    """The first that matches decides whether the parts of a request are spread or packed (the default).

    With `groups`, also how over these: evenly, or packed into few; `in_one`: into one of them, or nowhere. A
    node that is in several of them belongs to the first.
    """

    kinds: frozenset[str]
    spread: bool
    groups: tuple[NodeGroup, ...]
    in_one: bool
    condition: Condition
    span: Span


class Downtime(Struct, frozen=True, gc=False):
    """`begin` and `end` as seconds since the epoch, in the site's time zone."""

    begin: int
    end: int
    nodes: NodeSet
    span: Span


class Route(Struct, frozen=True, gc=False):
    """The first that matches carries the request out. The texts may hold `{field}` of TEMPLATE_FIELDS."""

    kinds: frozenset[str]
    target: str
    through: str | None
    queue: str | None
    account: str | None
    image: str | None
    flavour: str | None
    condition: Condition
    span: Span


class SiteAttribute(Struct, frozen=True, gc=False):
    """An attribute that `site.yaml` declares; `default` None means that it may be absent."""

    name: str
    type: Type
    trust: Trust
    default: str | int | bool | None


class CheckedPolicy(Struct, frozen=True, gc=False):
    """The whole policy, ready to compile. Tuples are in source order; `shares` in pre-order, the farm first.

    `orders` maps each leaf to its order. `halflife` is the half-life, in seconds, of the averages that
    siblings are ordered by, per interior share. `digest` is the SHA-256 of the policy's texts, the
    main file first, and of the site's own attributes and time zone; `sources` are these texts.
    """

    name: str
    title: str
    shares: tuple[Share, ...]
    defaults: tuple[Default, ...]
    assigns: tuple[Assign, ...]
    caps: tuple[Cap, ...]
    denies: tuple[Deny, ...]
    priorities: tuple[Priority, ...]
    quotas: tuple[Quota, ...]
    orders: dict[int, Order]
    halflife: dict[int, int]
    preempts: tuple[Preempt, ...]
    windows: tuple[Window, ...]
    node_rules: tuple[NodeRule, ...]
    places: tuple[Place, ...]
    downtimes: tuple[Downtime, ...]
    routes: tuple[Route, ...]
    attributes: tuple[SiteAttribute, ...]
    time_zone: str
    digest: str
    sources: tuple[Source, ...]

    @property
    def tracks_hs23(self) -> bool:
        """Whether the policy limits hs23 at all: grants it, bounds it otherwise than cores, has a quota.

        `borrow 20%` speaks of every resource; that alone does not make benchmark power a limit of its own.
        """
        granted = [share.portions for share in self.shares if share.portions]
        granted += [portions for window in self.windows for portions in window.shares.values()]
        return (
            any("hs23" in portions.portions for portions in granted)
            or any(p.borrow.get("hs23") != p.borrow.get("cores") for p in granted)
            or any(p.lend.get("hs23") != p.lend.get("cores") for p in granted)
            or any(ceiling.resource == "hs23" for quota in self.quotas for ceiling in quota.ceilings)
        )
