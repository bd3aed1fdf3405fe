"""The syntax tree of a policy: what was written, where, and nothing about what it means.

Names are not resolved here: `grid` is a `Name` whether it will turn out to be an origin, a share or a
set. Literals are already values in the house's units: cores and counts as int, memory and disk in MiB,
time in seconds, percentages in hundredths of a percent (50% is 5000).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from wnodes_engine.language.source import Span


class Unit(StrEnum):
    """What a number literal carries behind it."""

    NONE = "none"
    SECONDS = "seconds"
    MIB = "MiB"
    PERCENT = "percent"


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Number:
    """`64`, `7d`, `160GiB`, `12.5%`, `10.5`; `milli` is the value in thousandths of the unit.

    Thousandths, so that 12.5 is exact; a literal that is not a whole number of MiB, seconds or
    hundredths of a percent is a finding of the checker's.
    """

    milli: int
    unit: Unit
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted string; `value` is without the quotes and with its escapes replaced."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Name:
    """A bare or dotted name: `grid`, `cloud.services`, `image.approved`, `user.running`."""

    parts: tuple[str, ...]
    span: Span

    @property
    def dotted(self) -> str:
        """The name as it was written."""
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Truth:
    """`true` or `false`."""

    value: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Unlimited:
    """`unlimited`: above every duration."""

    span: Span


@dataclass(frozen=True, slots=True)
class SetLiteral:
    """`{"alice", "atlas"}` or `{vm, pool}`."""

    items: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Not:
    """`not X`."""

    operand: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class And:
    """`X and Y and Z`, flat: two operands or more."""

    operands: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Or:
    """`X or Y or Z`, flat: two operands or more."""

    operands: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Compare:
    """`L op R`, with `op` one of `== != < <= > >=`."""

    op: str
    left: Expr
    right: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Member:
    """`L in R` or `L not in R`; R is a set literal, or a name of a set (attribute or `let`)."""

    left: Expr
    right: Expr
    negated: bool
    span: Span


@dataclass(frozen=True, slots=True)
class InShare:
    """`in cloud.services` or `not in cloud`: the request's share lies in that subtree."""

    share: Name
    negated: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Has:
    """`has image`: the attribute, or the group of attributes, is present."""

    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Match:
    """`L startswith R` or `L like R`; R is a literal string, `like` takes the globs `*` and `?`."""

    op: str
    left: Expr
    right: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`L op R`, with `op` one of `+ - * /`."""

    op: str
    left: Expr
    right: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Negative:
    """`-X`."""

    operand: Expr
    span: Span


Expr = (
    Number | Text | Name | Truth | Unlimited | SetLiteral | Not | And | Or | Compare | Member | InShare
    | Has | Match | Arithmetic | Negative
)  # fmt: skip


# ------------------------------------------------------- pieces of statements


@dataclass(frozen=True, slots=True)
class Guard:
    """`when X`, `unless Y`, both or neither."""

    when: Expr | None
    unless: Expr | None


@dataclass(frozen=True, slots=True)
class Amount:
    """A part of a share's capacity: `50%`, `4000 cores`, `20TiB memory`, `weight 3`, `10% gpus`.

    `resource` is None where none was written: then a percentage or weight speaks of the cores and,
    through the cores' fraction, of every resource that is not named.
    """

    value: Number
    is_weight: bool
    resource: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class Limit:
    """What follows `borrow` or `lend`: `none`, `any`, or amounts by resource."""

    word: str | None
    amounts: tuple[Amount, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Scope:
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


@dataclass(frozen=True, slots=True)
class Ceiling:
    """One limit of a quota: `cores <= 4000`, `core_hours <= 100000 per 30d`."""

    resource: str
    bound: Expr
    per: Number | None
    span: Span


@dataclass(frozen=True, slots=True)
class Nodes:
    """Which nodes: by name patterns, by groups, by properties (`with "ssd"`), or `all`.

    A node is meant when one of the patterns matches its name or it is in one of the groups (names of
    `NodeGroup`), and it has every property; neither patterns nor groups means every name.
    """

    patterns: tuple[Text, ...]
    groups: tuple[Name, ...]
    properties: tuple[Text, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One key of an order: `fairshare of group half-life 7d`, `priority`, `age`, `size`."""

    key: str
    of: str | None
    half_life: Number | None
    span: Span


@dataclass(frozen=True, slots=True)
class Act:
    """`requeue for job`, `shelve for vm, pool`; no kinds means every kind."""

    action: str
    kinds: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class VictimKey:
    """`lowest priority`, `shortest runtime`, `latest start`, `smallest size`: how victims are ordered."""

    extreme: str
    of: str
    span: Span


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget of `at most 2 per victim, 50 per hour`; `of` is `victim`, `hour` or `day`."""

    count: Number
    of: str
    span: Span


@dataclass(frozen=True, slots=True)
class Taking:
    """The clauses that `reclaim` and `preempt` have in common."""

    guard: Guard
    sparing: Expr | None
    order: tuple[VictimKey, ...]
    budgets: tuple[Budget, ...]
    actions: tuple[Act, ...]
    after: Number | None
    native: bool


# ----------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True)
class Include:
    """`include "file.policy"`."""

    path: Text
    span: Span


@dataclass(frozen=True, slots=True)
class Let:
    """`let lhc = {"alice", "atlas"}`."""

    name: str
    name_span: Span
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Share:
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


@dataclass(frozen=True, slots=True)
class Default:
    """`default walltime 12h when origin == grid`."""

    attribute: Name
    value: Expr
    guard: Guard
    span: Span


@dataclass(frozen=True, slots=True)
class Cap:
    """`cap walltime 7d unless in cloud.services`."""

    attribute: Name
    value: Expr
    guard: Guard
    span: Span


@dataclass(frozen=True, slots=True)
class Assign:
    """`assign grid.lhc when …`, `assign local otherwise`."""

    share: Name
    guard: Guard
    otherwise: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Deny:
    """`deny "reason" when …`."""

    reason: Text
    guard: Guard
    span: Span


@dataclass(frozen=True, slots=True)
class Quota:
    """`quota for each user in cloud: machines <= 10, cores <= 40 else deny`."""

    scope: Scope
    within: Name | None
    guard: Guard
    ceilings: tuple[Ceiling, ...]
    otherwise: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class Priority:
    """`priority 100` (the base), `priority +1000 when …`, `priority +10 per 1h waited`.

    `sign` is "", "+" or "-"; `per` is the length of one step of waiting, in a `Number` of seconds.
    """

    sign: str
    value: Number
    per: Number | None
    guard: Guard
    span: Span


@dataclass(frozen=True, slots=True)
class Order:
    """`order grid.lhc by fairshare of group half-life 7d, priority, age best effort`.

    `share` is None for `order any by …`: the whole farm.
    """

    share: Name | None
    keys: tuple[OrderKey, ...]
    strict: bool | None
    span: Span


@dataclass(frozen=True, slots=True)
class Reclaim:
    """`reclaim for any when … sparing … by … after 5m`; `share` is None for `any`."""

    share: Name | None
    taking: Taking
    span: Span


@dataclass(frozen=True, slots=True)
class Preempt:
    """`preempt A for B …`; `preempt self in A when …` has `own` set and no beneficiary."""

    victim: Name | None
    beneficiary: Name | None
    own: bool
    below_nominal: bool
    borrowing: bool
    taking: Taking
    span: Span


@dataclass(frozen=True, slots=True)
class Window:
    """`window nights = "Mon-Fri 20:00-08:00", "Sat,Sun"`."""

    name: str
    name_span: Span
    times: tuple[Text, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class During:
    """`during nights { … }` around shares, quotas, rules and preemption."""

    window: Name
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """`group gpunodes = nodes "gpu*"`: a name for some nodes."""

    name: str
    name_span: Span
    nodes: Nodes
    span: Span


@dataclass(frozen=True, slots=True)
class NodeRule:
    """`nodes "gpu*" only when gpus > 0` (`preferred` False) or `nodes … preferred when …`."""

    nodes: Nodes
    preferred: bool
    guard: Guard
    span: Span


@dataclass(frozen=True, slots=True)
class Place:
    """`place pool spread`, `place job pack when cores > 8`."""

    kinds: tuple[Name, ...]
    spread: bool
    guard: Guard
    span: Span


@dataclass(frozen=True, slots=True)
class Downtime:
    """`downtime "2026-12-03 06:00" to "2026-12-04 18:00" on nodes "rack12*"`."""

    begin: Text
    finish: Text
    nodes: Nodes
    span: Span


@dataclass(frozen=True, slots=True)
class Route:
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
    Include | Let | Share | Default | Cap | Assign | Deny | Quota | Priority | Order | Reclaim | Preempt
    | Window | During | NodeGroup | NodeRule | Place | Downtime | Route
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policy:
    """One whole file: `policy tier1 "title"` and its statements in source order.

    An included file has no header: `name` is None.
    """

    name: str | None
    name_span: Span | None
    title: Text | None
    statements: tuple[Statement, ...]
    span: Span
