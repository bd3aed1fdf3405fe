"""What is traced is what decided: the rules that a trace says apply are those of the compiled policy."""

from __future__ import annotations

from hypothesis import given
from msgspec.structs import replace
from strategies import farms, streams
from strategies.checking import checked
from strategies.policies import Asking, policies
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.core.policy import Refused
from wnodes_engine.explain.explanation import explain
from wnodes_engine.explain.tracing import Trace, Tracer
from wnodes_engine.values import Node, Request

EVERYTHING = Asking(hs23=True, state=True, time=True, groups=True, room=True)


def holding(trace: Trace, phase: str) -> list[int]:
    return [tried.index for tried in trace.tried if tried.phase == phase and tried.holds]


@given(policies(EVERYTHING), farms.nodes(), farms.requests(streams.BEGIN))
def test_the_rules_that_apply_are_those_that_the_compiled_policy_applies(
    text: str, nodes: list[Node], request: Request
) -> None:
    policy = compile_policy(checked(text))
    state = State(policy, nodes)
    state.advance(streams.BEGIN)
    claim, refusals = policy.admit(request, state)
    trace = Tracer(policy).trace(state, request)
    env, rules = trace.values, policy.checked
    assert claim is not None
    assert trace.leaf == claim.leaf
    refused = {(kind, index) for kind, index, _ in refusals or ()}
    assert {index for kind, index in refused if kind == Refused.RULE} == set(holding(trace, "deny"))
    over = {i for i in holding(trace, "cap") if env[rules.caps[i].attribute] > rules.caps[i].value}
    assert {index for kind, index in refused if kind == Refused.CAP} == over
    gains = [rules.priorities[i] for i in holding(trace, "priority")]
    assert claim.base == sum(gain.amount for gain in gains if not gain.per)
    assert sorted(claim.rates) == sorted((gain.amount, gain.per) for gain in gains if gain.per)
    assert claim.rules == sum(1 << i for i in holding(trace, "nodes"))
    assert ([claim.route] if claim.route >= 0 else []) == holding(trace, "route")
    asked = (
        claim.part.cores,
        claim.part.memory,
        claim.part.gpus,
        claim.part.disk,
        claim.most,
        claim.walltime,
    )
    assert asked == tuple(env[name] for name in ("cores", "memory", "gpus", "disk", "count", "walltime"))
    counted = {
        entry[0] for notes in (claim.meters, claim.waits, claim.hours, claim.placed) for entry in notes
    }
    quotas = {rules.quotas.index(quota) for i in counted if (quota := policy.meters[i].quota) is not None}
    assert quotas <= {i for i in range(len(rules.quotas)) if rules.quotas[i] in _of(trace, rules.quotas)}


def _of(trace: Trace, quotas: tuple[object, ...]) -> list[object]:
    return [quotas[i] for i in holding(trace, "quota")]


@given(policies(EVERYTHING), farms.nodes(), farms.requests(streams.BEGIN))
def test_explaining_changes_nothing_and_its_helps_are_true(
    text: str, nodes: list[Node], request: Request
) -> None:
    state = State(compile_policy(checked(text)), nodes)
    before = decide(state, request, streams.BEGIN)
    explanation = explain(state, request, streams.BEGIN)
    assert explanation.decision == before == decide(state, request, streams.BEGIN)
    for found in explanation.helps:
        less = {found.what: found.value}
        if found.what == "count" and request.at_least is not None:
            less["at_least"] = min(request.at_least, found.value)
        assert decide(state, replace(request, **less), streams.BEGIN).outcome.value == found.outcome
