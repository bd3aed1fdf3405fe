"""Runs the tests of one file: each case is one decision, held against what is expected of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from wnodes_engine.commands.inputs import read_policy, read_site
from wnodes_engine.core import State, decide
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.documents import DocumentError, Positions, form_finding, read_form
from wnodes_engine.findings import Finding
from wnodes_engine.state_file import load_state, restore, wire_finding
from wnodes_engine.trial.coverage import Coverage
from wnodes_engine.trial.form import CaseForm, ExpectForm, ReasonForm, TestForm, TestsForm
from wnodes_engine.values import Decision, Reason, Request
from wnodes_engine.wire import Known, RequestForm, WireError, seconds, to_request


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that came out otherwise than expected."""

    what: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case: it passed where there are no differences."""

    file: str
    line: int
    name: str
    decision: Decision
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class _Scene:
    """A state that requests are decided in; deciding leaves it as it was."""

    state: State
    now: int
    known: Known


def run_file(path: Path, coverage: dict[str, Coverage] | None = None) -> list[Result]:
    """The results of all tests in the file; what they cover is noted in `coverage`, by the policy's digest.

    Raises DocumentError.
    """
    form, positions = read_form(path, "policy-test", TestsForm)
    site = read_site(_beside(path, form.site) if form.site is not UNSET else None)
    policy = read_policy(_beside(path, form.policy), site)
    covered = None
    if coverage is not None and (covered := coverage.get(policy.digest)) is None:
        covered = coverage[policy.digest] = Coverage(policy)
    scenes = {
        name: _scene(_beside(path, file), policy, Known.of(site) if site else Known())
        for name, file in form.states.items()
    }
    results = []
    for at, test in enumerate(form.tests):
        scene = scenes.get(test.state)
        if scene is None:
            mend = f"its states are: {', '.join(scenes)}"
            finding = Finding(
                "E194", f"there is no state '{test.state}'", positions.of("tests", at, "state"), mend
            )
            raise DocumentError([finding], {positions.path: positions.text})
        for name, asked, waited, expect, where in _cases(test, at):
            request = _request(asked, waited, scene, positions, where)
            decision = decide(scene.state, request, scene.now)
            if covered is not None:
                covered.note(scene.state, request, decision, scene.now)
            line = positions.of(*where).line
            results.append(Result(str(path), line, name, decision, tuple(_differences(expect, decision))))
    return results


def _beside(path: Path, name: str) -> str:
    """The file of that name, as seen from the file of tests."""
    return os.path.normpath(path.parent / name)


def _scene(path: str, policy: CompiledPolicy, known: Known) -> _Scene:
    file = load_state(path, known)
    state, denied = restore(file, policy)
    if denied:
        message = f"the policy denies {', '.join(denied[:5])} of the queue in this state"
        span = file.positions.of("queue")
        finding = Finding("E194", message, span, help="what waits has been let in: take it out of the queue")
        raise DocumentError([finding], {file.positions.path: file.positions.text})
    return _Scene(state, file.now, file.known)


def _cases(
    test: TestForm, at: int
) -> Iterator[tuple[str, dict[str, Any], int | str, ExpectForm, tuple[str | int, ...]]]:
    """Each case of a test: name, request, how long that waits, what is expected, and where it stands."""
    if test.expect is not UNSET:
        yield test.name, test.request, test.waited, test.expect, ("tests", at)
    for number, case in enumerate(test.cases):
        waited = test.waited if case.waited is UNSET else case.waited
        where = ("tests", at, "cases", number)
        yield f"{test.name}: {_name(case, number)}", test.request | case.request, waited, case.expect, where


def _name(case: CaseForm, number: int) -> str:
    if case.name is not UNSET:
        return case.name
    return ", ".join(f"{key} {value}" for key, value in case.request.items()) or f"case {number + 1}"


def _request(
    asked: dict[str, Any],
    waited: int | str,
    scene: _Scene,
    positions: Positions,
    where: tuple[str | int, ...],
) -> Request:
    try:
        form = msgspec.convert(asked, RequestForm)
        since = scene.now - (waited if isinstance(waited, int) else seconds(waited, "$.waited"))
        return to_request(form, "request", max(0, since), scene.known)
    except msgspec.ValidationError as error:
        finding = form_finding(error, positions, *where, "request")
    except WireError as error:
        finding = wire_finding(error, positions, *where, "request")
    raise DocumentError([finding], {positions.path: positions.text})


def _differences(expect: ExpectForm, decision: Decision) -> Iterator[Difference]:
    got = {
        "outcome": decision.outcome.value,
        "share": decision.share,
        "route": decision.route.target if decision.route else None,
        "queue": decision.route.queue if decision.route else None,
        "node": decision.node,
    }
    for what, value in got.items():
        expected = getattr(expect, what)
        if expected is not UNSET and expected != value:
            yield Difference(what, expected, value or "none")
    if expect.victims is not UNSET and sorted(expect.victims) != sorted(decision.victims):
        yield Difference(
            "victims", ", ".join(expect.victims) or "none", ", ".join(decision.victims) or "none"
        )
    if expect.reasons is not UNSET and not _met(expect.reasons, decision.reasons):
        yield Difference(
            "reasons", ", ".join(map(_told, expect.reasons)) or "none",
            ", ".join(f"{reason.code.value} ({reason.message})" for reason in decision.reasons) or "none",
        )  # fmt: skip


def _met(expected: tuple[str | ReasonForm, ...], reasons: tuple[Reason, ...]) -> bool:
    """Whether each reason is expected and each expected one is there, one for one."""
    left = list(reasons)
    # Those that say more are given theirs first.
    for wanted in sorted(expected, key=lambda each: isinstance(each, str)):
        found = next((reason for reason in left if _is(wanted, reason)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _is(wanted: str | ReasonForm, reason: Reason) -> bool:
    if isinstance(wanted, str):
        return reason.code.value == wanted
    return (
        reason.code.value == wanted.code
        and (wanted.says is UNSET or wanted.says in reason.message or wanted.says in reason.rule)
        and (wanted.resource is UNSET or wanted.resource == reason.resource)
    )


def _told(wanted: str | ReasonForm) -> str:
    if isinstance(wanted, str):
        return wanted
    more = [str(value) for value in (wanted.says, wanted.resource) if value is not UNSET]
    return f"{wanted.code} ({', '.join(more)})" if more else wanted.code
