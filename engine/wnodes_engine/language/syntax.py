"""The syntax tree of a policy: what was written, where, and nothing about what it means.

Names are not resolved here: `grid` is a `Name` whether it will turn out to be an origin, a share or a
set. Literals are already values in the house's units: cores and counts as int, memory and disk in MiB,
time in seconds, percentages in hundredths of a percent (50% is 5000).
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from wnodes_engine.language.source import Span
from wnodes_engine.values import Action


class Unit(StrEnum):
    """What a number literal carries behind it."""

    NONE = "none"
    SECONDS = "seconds"
    MIB = "MiB"
    PERCENT = "percent"


# ---------------------------------------------------------------- expressions


class Number(Struct, frozen=True, gc=False):
    """`64`, `7d`, `160GiB`, `12.5%`, `10.5`; `milli` is the value in thousandths of the unit.

    Thousandths, so that 12.5 is exact; a literal that is not a whole number of MiB, seconds or
    hundredths of a percent is a finding of the checker's.
    """

    milli: int
    unit: Unit
    text: str
    span: Span


class Text(Struct, frozen=True, gc=False):
    """A quoted string; `value` is without the quotes and with its escapes replaced."""

    value: str
    span: Span


class Name(Struct, frozen=True, gc=False):
    """A bare or dotted name: `grid`, `cloud.services`, `image.approved`, `user.running`."""

    parts: tuple[str, ...]
    span: Span

    @property
    def dotted(self) -> str:
        """The name as it was written."""
        return ".".join(self.parts)


class Truth(Struct, frozen=True, gc=False):
    """`true` or `false`."""

    value: bool
    span: Span


class Unlimited(Struct, frozen=True, gc=False):
    """`unlimited`: above every duration."""

    span: Span


class SetLiteral(Struct, frozen=True, gc=False):
    """`{"alice", "atlas"}` or `{vm, pool}`."""

    items: tuple[Expr, ...]
    span: Span


class Not(Struct, frozen=True, gc=False):
    """`not X`."""

    operand: Expr
    span: Span


class And(Struct, frozen=True, gc=False):
    """`X and Y and Z`, flat: two operands or more."""

    operands: tuple[Expr, ...]
    span: Span


class Or(Struct, frozen=True, gc=False):
    """`X or Y or Z`, flat: two operands or more."""

    operands: tuple[Expr, ...]
    span: Span


class Compare(Struct, frozen=True, gc=False):
    """`L op R`, with `op` one of `== != < <= > >=`."""

    op: str
    left: Expr
    right: Expr
    span: Span


class Member(Struct, frozen=True, gc=False):
    """`L in R` or `L not in R`; R is a set literal, or a name of a set (attribute or `let`)."""

    left: Expr
    right: Expr
    negated: bool
    span: Span


class InShare(Struct, frozen=True, gc=False):
    """`in cloud.services` or `not in cloud`: the request's share lies in that subtree."""

    share: Name
    negated: bool
    span: Span


class Has(Struct, frozen=True, gc=False):
    """`has image`: the attribute, or the group of attributes, is present."""

    name: Name
    span: Span


class Match(Struct, frozen=True, gc=False):
    """`L startswith R` or `L like R`; R is a literal string, `like` takes the globs `*` and `?`."""

    op: str
    left: Expr
    right: Expr
    span: Span


class Arithmetic(Struct, frozen=True, gc=False):
    """`L op R`, with `op` one of `+ - * /`."""

    op: str
    left: Expr
    right: Expr
    span: Span


class Negative(Struct, frozen=True, gc=False):
    """`-X`."""

    operand: Expr
    span: Span


Expr = (
    Number | Text | Name | Truth | Unlimited | SetLiteral | Not | And | Or | Compare | Member | InShare
    | Has | Match | Arithmetic | Negative
)  # fmt: skip


# ------------------------------------------------------- pieces of statements


class Guard(Struct, frozen=True, gc=False):
    """`when X`, `unless Y`, both or neither."""

    when: Expr | None
    unless: Expr | None


class Amount(Struct, frozen=True, gc=False):
    """A part of a share's capacity: `50%`, `4000 cores`, `20TiB memory`, `weight 3`, `10% gpus`.

    `resource` is None where none was written: then a percentage or weight speaks of the cores and,
    through the cores' fraction, of every resource that is not named.
    """

    value: Number
    is_weight: bool
    resource: str | None
    span: Span


class Limit(Struct, frozen=True, gc=False):
    """What follows `borrow` or `lend`: `none`, `any`, or amounts by resource."""

    word: str | None
    amounts: tuple[Amount, ...]
    span: Span


class Scope(Struct, frozen=True, gc=False):
    """Whom a quota counts: `group "cms"`, `each user`, `share grid`, `nodes "gpu*"`.

    `key` is one of user group project role share queue image nodes account origin kind; `each` has no
    value. For `share` the value is a `Name`, for `nodes` see `nodes`, else a `Text` or a `Name` of a
    `let`.
    """

    key: str
    each: bool
    value: Expr | None
    nodes: Nodes | None
    span: Span


class Ceiling(Struct, frozen=True, gc=False):
    """One limit of a quota: `cores <= 4000`, `core_hours <= 100000 per 30d`."""

    resource: str
    bound: Expr
    per: Number | None
    span: Span


class Nodes(Struct, frozen=True, gc=False):
    """Which nodes: by name patterns, by groups, by properties (`with "ssd"`), or `all`.

    A node is meant when one of the patterns matches its name or it is in one of the groups (names of
    `NodeGroup`), and it has every property; neither patterns nor groups means every name.
    """

    patterns: tuple[Text, ...]
    groups: tuple[Name, ...]
    properties: tuple[Text, ...]
    span: Span


class OrderKey(Struct, frozen=True, gc=False):
    """One key of an order: `fairshare of group half-life 7d`, `priority`, `age`, `size`."""

    key: str
    of: str | None
    half_life: Number | None
    span: Span


class Act(Struct, frozen=True, gc=False):
    """`requeue for job`, `shelve for vm, pool`; no kinds means every kind."""

    action: Action
    kinds: tuple[Name, ...]
    span: Span


class VictimKey(Struct, frozen=True, gc=False):
    """`lowest priority`, `shortest runtime`, `latest start`, `smallest size`: how victims are ordered."""

    extreme: str
    of: str
    span: Span


class Budget(Struct, frozen=True, gc=False):
    """One budget of `at most 2 per victim, 50 per hour`; `of` is `victim`, `hour` or `day`."""

    count: Number
    of: str
    span: Span


class Taking(Struct, frozen=True, gc=False):
    """The clauses of `reclaim` and `preempt`."""

    guard: Guard
    sparing: Expr | None
    order: tuple[VictimKey, ...]
    budgets: tuple[Budget, ...]
    actions: tuple[Act, ...]
    after: Number | None
    native: bool


# ----------------------------------------------------------------- statements


class Include(Struct, frozen=True, gc=False):
    """`include "file.policy"`."""

    path: Text
    span: Span


class Let(Struct, frozen=True, gc=False):
    """`let lhc = {"alice", "atlas"}`."""

    name: str
    name_span: Span
    value: Expr
    span: Span


class Share(Struct, frozen=True, gc=False):
    """`share lhc 80% borrow any lend none { … }`, at the top or inside another share.

    At the top level of the policy `path` has one part; inside `during` it is the whole path of a share
    that exists, and there are no children.
    """

    name: str
    name_span: Span
    path: Name
    amounts: tuple[Amount, ...]
    borrow: Limit | None
    lend: Limit | None
    children: tuple[Share, ...]
    span: Span


class Default(Struct, frozen=True, gc=False):
    """`default walltime 12h when origin == grid`."""

    attribute: Name
    value: Expr
    guard: Guard
    span: Span


class Cap(Struct, frozen=True, gc=False):
    """`cap walltime 7d unless in cloud.services`."""

    attribute: Name
    value: Expr
    guard: Guard
    span: Span


class Assign(Struct, frozen=True, gc=False):
    """`assign grid.lhc when …`, `assign local otherwise`."""

    share: Name
    guard: Guard
    otherwise: bool
    span: Span


class Deny(Struct, frozen=True, gc=False):
    """`deny "reason" when …`."""

    reason: Text
    guard: Guard
    span: Span


class Quota(Struct, frozen=True, gc=False):
    """`quota for each user in cloud: machines <= 10, cores <= 40 else deny`."""

    scope: Scope
    within: Name | None
    guard: Guard
    ceilings: tuple[Ceiling, ...]
    otherwise: str | None
    span: Span


class Priority(Struct, frozen=True, gc=False):
    """`priority 100` (the base), `priority +1000 when …`, `priority +10 per 1h waited`.

    `sign` is "", "+" or "-"; `per` is the length of one step of waiting, in a `Number` of seconds.
    """

    sign: str
    value: Number
    per: Number | None
    guard: Guard
    span: Span


class Order(Struct, frozen=True, gc=False):
    """`order grid.lhc by fairshare of group half-life 7d, priority, age best effort`.

    `share` is None for `order any by …`: the whole farm.
    """

    share: Name | None
    keys: tuple[OrderKey, ...]
    strict: bool | None
    span: Span


class Preempt(Struct, frozen=True, gc=False):
    """A rule that makes room; `how` is `reclaim`, `for`, `self` or `fairly`.

    `preempt A for B` names both shares, `reclaim for B` the beneficiary (None for `any`), `preempt self in A`
    and `preempt fairly in A` the victim's (None where nothing is named).
    """

    how: str
    victim: Name | None
    beneficiary: Name | None
    below_nominal: bool
    borrowing: bool
    taking: Taking
    span: Span


class Window(Struct, frozen=True, gc=False):
    """`window nights = "Mon-Fri 20:00-08:00", "Sat,Sun"`."""

    name: str
    name_span: Span
    times: tuple[Text, ...]
    span: Span


class During(Struct, frozen=True, gc=False):
    """`during nights { … }` around shares, quotas, rules and preemption."""

    window: Name
    body: tuple[Statement, ...]
    span: Span


class NodeGroup(Struct, frozen=True, gc=False):
    """`group gpunodes = nodes "gpu*"`: a name for some nodes."""

    name: str
    name_span: Span
    nodes: Nodes
    span: Span


class NodeRule(Struct, frozen=True, gc=False):
    """`nodes "gpu*" only when gpus > 0` (`preferred` False) or `nodes … preferred when …`."""

    nodes: Nodes
    preferred: bool
    guard: Guard
    span: Span


class Place(Struct, frozen=True, gc=False):
    """`place pool spread over rackA, rackB`, `place job pack in one of islandA, islandB when count > 1`."""

    kinds: tuple[Name, ...]
    spread: bool
    groups: tuple[Name, ...]
    in_one: bool
    guard: Guard
    span: Span


class Downtime(Struct, frozen=True, gc=False):
    """`downtime "2026-12-03 06:00" to "2026-12-04 18:00" on nodes "rack12*"`."""

    begin: Text
    finish: Text
    nodes: Nodes
    span: Span


class Route(Struct, frozen=True, gc=False):
    """`route vm, pool to openstack through slurm queue "cloud" account "{group}"`."""

    kinds: tuple[Name, ...]
    target: Name
    through: Name | None
    queue: Text | None
    account: Text | None
    image: Text | None
    flavour: Text | None
    guard: Guard
    span: Span


Statement = (
    Include | Let | Share | Default | Cap | Assign | Deny | Quota | Priority | Order | Preempt
    | Window | During | NodeGroup | NodeRule | Place | Downtime | Route
)  # fmt: skip


class Policy(Struct, frozen=True, gc=False):
    """One whole file: `policy tier1 "title"` and its statements in source order.

    An included file has no header: `name` is None.
    """

    name: str | None
    name_span: Span | None
    title: Text | None
    statements: tuple[Statement, ...]
    span: Span
