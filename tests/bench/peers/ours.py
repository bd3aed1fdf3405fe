"""The compiled policy's `admit`, and two plainer ways to evaluate the same checked expressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.peers.entrant import Decide, Entrant
from bench.peers.rules import Comparison, Facts, Rule
from bench.scenes import checked
from oracle.expressions import holds
from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.compile import compile_policy
from wnodes_engine.compile.expressions import Writer
from wnodes_engine.core import State
from wnodes_engine.values import Node, Request

_HEAD = """
policy compared
share everybody 100%
default queue "none"
assign everybody otherwise
route job, vmjob, vm, pool to farm
"""
_UNITS = {"memory": "MiB", "walltime": "s"}


def policy(rules: Sequence[Rule]) -> CheckedPolicy:
    """The rules as a policy with one share."""
    denials = (f'deny "{rule.name}" when {" and ".join(map(_written, rule.tests))}\n' for rule in rules)
    return checked(_HEAD + "".join(denials))


def _written(test: Comparison) -> str:
    if test.attribute == "kind":
        return f"kind {test.op} {test.value}"
    if isinstance(test.value, str):
        return f'{test.attribute} {test.op} "{test.value}"'
    return f"{test.attribute} {test.op} {test.value}{_UNITS.get(test.attribute, '')}"


def compiled(rules: Sequence[Rule]) -> Decide:
    """What the engine asks of every request; beside the rules it assigns the share and makes the claim."""
    made = compile_policy(policy(rules))
    state, admit = State(made, [Node("wn1", cores=64, memory=1 << 20)]), made.admit
    names = [denial.reason for denial in made.checked.denies]

    def decide(request: Request) -> set[str]:
        _, refusals = admit(request, state)
        return {names[rule] for _, rule, _ in refusals} if refusals else set()

    return decide


def walked(rules: Sequence[Rule]) -> Decide:
    """An interpreter: the tree of every rule is walked, by the evaluator of the oracle."""
    denials = [(denial.reason, denial.condition) for denial in policy(rules).denies]

    def decide(facts: Facts) -> set[str]:
        def read(name: str, site: bool) -> Any:
            return facts[name]

        return {name for name, condition in denials if holds(condition, read)}

    return decide


def tried_in_turn(rules: Sequence[Rule]) -> Decide:
    """One generated function with every rule as an `if`, and nothing to choose which to try."""
    writer = Writer({})
    names = ("user", "group", "queue", "kind", "cores", "gpus", "memory", "walltime")
    lines = ["def decide(facts):", "    denied = set()"]
    lines += [f"    {name} = facts[{name!r}]" for name in names]
    for denial in policy(rules).denies:
        assert denial.condition.expr is not None
        lines += [f"    if {writer.write(denial.condition.expr)}:", f"        denied.add({denial.reason!r})"]
    module: dict[str, Any] = {}
    exec("\n".join([*lines, "    return denied"]), module)  # noqa: S102 - our own text
    decide: Decide = module["decide"]
    return decide


def _request(facts: Facts) -> Request:
    return Request(id="r", origin="grid", submitted=0, **facts)  # type: ignore[arg-type]


ENTRANTS = (
    Entrant("WNoDeS, compiled", compiled, _request, scales=True),
    Entrant("baseline: generated, tried in turn", tried_in_turn),
    Entrant("baseline: trees walked", walked),
)
