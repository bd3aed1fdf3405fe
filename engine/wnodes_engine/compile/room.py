"""Rules that make room as Python source: what is known of a request at the door, and what is asked in a pass.

The condition of such a rule falls into parts (what `and` joins at its top). Parts that read the request alone
are settled once, in `admit`; those that read the wait, the priority or the farm are asked in the pass;
those that read the victim, and `sparing`, are asked of each victim.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wnodes_engine.check.checked import And, Attr, CheckedPolicy, Compare, Const, Expr, Or, Preempt
from wnodes_engine.compile.expressions import PLAIN, Writer, attributes, gauge, local

_OF_CLAIM: Final = {
    "cores": "c.part.cores",
    "memory": "c.part.memory",
    "gpus": "c.part.gpus",
    "disk": "c.part.disk",
    "volumes": "c.volumes",
    "count": "c.most",
    "at_least": "c.least",
    "walltime": "c.walltime",
    "project": "c.project",
    "queue": "c.queue",
    "account": "c.account",
}
"""What a default may have filled in is read from the claim; the rest is the request's own."""

_TOLD: Final = ("waited", "priority", "runtime", "victim.priority", "victim.runtime")


class Parts:
    """The parts of one rule's condition, by when they are asked."""

    __slots__ = ("in_pass", "of_request", "of_victim")

    def __init__(self, rule: Preempt) -> None:
        expr = rule.taking.condition.expr
        parts = expr.operands if isinstance(expr, And) else () if expr is None else (expr,)
        self.of_request: list[Expr] = []
        self.in_pass: list[Expr] = []
        self.of_victim: list[Expr] = []
        for part in parts:
            names = _names(part)
            if any(name.startswith("victim.") for name in names):
                self.of_victim.append(part)
            elif any(_moves(name) for name in names):
                self.in_pass.append(part)
            else:
                self.of_request.append(part)


def asked_at_the_door(policy: CheckedPolicy) -> Iterable[Expr]:
    """The expressions that `admit` evaluates for these rules."""
    return (expr for rule in policy.preempts for expr in Parts(rule).of_request)


def asked_later(policy: CheckedPolicy) -> Iterable[Expr]:
    """The expressions that are evaluated in a pass."""
    for rule in policy.preempts:
        parts = Parts(rule)
        yield from (*parts.in_pass, *parts.of_victim)
        if rule.taking.sparing is not None:
            yield rule.taking.sparing


def at_the_door(policy: CheckedPolicy, writer: Writer) -> list[str]:
    """Statements of `admit`: `takes` has a bit for each rule that may speak for the request.

    `reads` are the attributes of the request that are read later: requests that differ in them are not alike.
    """
    lines = ["takes, reads = 0, ()"] if policy.preempts else []
    for i, rule in enumerate(policy.preempts):
        leaves = writer.constant(f"frozenset({sorted(rule.beneficiaries)!r})")
        tests = [f"leaf in {leaves}", *map(writer.write, Parts(rule).of_request)]
        lines += [f"if {' and '.join(tests)}:", f"    takes |= {1 << i}"]
    later = [expr for rule in policy.preempts for expr in (*Parts(rule).in_pass, *Parts(rule).of_victim)]
    names = sorted(
        {_variable(attr) for expr in later for attr in attributes(expr) if isinstance(attr, Attr)} & _NAMED
    )
    sites = sorted({local(attr.name) for expr in later for attr in attributes(expr) if attr.site})
    if names or sites:
        lines += ["if takes:", f"    reads = ({''.join(f'{name}, ' for name in (*names, *sites))})"]
    return lines


def functions(policy: CheckedPolicy, writer: Writer) -> list[str]:
    """`ROOM`: for each rule what is asked in a pass and of victims, who is spared, and two bounds."""
    lines: list[str] = []
    table: list[str] = []
    for i, rule in enumerate(policy.preempts):
        parts = Parts(rule)
        sparing = [rule.taking.sparing] if rule.taking.sparing is not None else []
        named = []
        for name, exprs, told in (
            ("speaks", parts.in_pass, "waited, priority"),
            ("suits", parts.of_victim, "waited, priority, victim_priority, victim_runtime"),
            ("spares", sparing, "priority, runtime"),
        ):
            named.append(f"_{name}_{i}" if exprs else "None")
            if exprs:
                lines += ["", f"def _{name}_{i}(r, c, s, {told}):", "    leaf = c.leaf"]
                lines += [f"    {line}" for line in _reads(policy, exprs)]
                lines += [f"    return {' and '.join(map(writer.write, exprs))}"]
        table.append(f"    ({', '.join(named)}, {_patience(parts.in_pass)}, {_least_run(sparing)}),")
    return [*lines, "", "ROOM = (", *table, ")"]


def _patience(parts: Iterable[Expr]) -> int:
    """The least wait, in seconds, that the parts let through."""
    least = 0
    for part in parts:
        match part:
            case Compare(">" | ">=", Attr("waited"), Const(int() as seconds)):
                least = max(least, seconds)
            case Compare("<" | "<=", Const(int() as seconds), Attr("waited")):
                least = max(least, seconds)
    return least


def _least_run(sparing: Iterable[Expr]) -> int:
    """The run time, in seconds, below which everybody is spared."""
    least = 0
    for expr in sparing:
        for part in expr.operands if isinstance(expr, Or) else (expr,):
            match part:
                case Compare("<" | "<=", Attr("runtime"), Const(int() as seconds)):
                    least = max(least, seconds)
                case Compare(">" | ">=", Const(int() as seconds), Attr("runtime")):
                    least = max(least, seconds)
    return least


def _reads(policy: CheckedPolicy, exprs: Iterable[Expr]) -> list[str]:
    read = {attr for expr in exprs for attr in attributes(expr)}
    names = sorted({_variable(attr) for attr in read if not attr.site} & _NAMED)
    of_site = {attr.name for attr in read if attr.site}
    return [
        *(f"{name} = {_OF_CLAIM.get(name, f'r.{name}')}" for name in names),
        *(
            f"{local(site.name)} = r.attributes.get({site.name!r}, {site.default!r})"
            for site in policy.attributes
            if site.name in of_site
        ),
    ]


_NAMED: Final = PLAIN | frozenset(_OF_CLAIM)


def _variable(attr: object) -> str:
    """The local variable by which an attribute is read: `user` of `user.running`, `image` of `image.id`."""
    return getattr(attr, "name", "").partition(".")[0]


def _names(expr: Expr) -> list[str]:
    return [attr.name for attr in attributes(expr) if not attr.site]


def _moves(name: str) -> bool:
    """Whether what the name reads changes while a request waits."""
    return (
        name in _TOLD
        or gauge(name) is not None
        or name.partition(".")[0] in ("farm", "time")
        or name.startswith("share.")
    )
