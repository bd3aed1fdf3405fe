"""The form of a file of policy tests: what `schemas/policy-test.json` says, as types."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wnodes_engine.validation import schema_of

MOST_TESTS: Final = 100_000
"""How many tests, and cases of a test, one file may have."""

Line = Annotated[str, Meta(min_length=1, max_length=1000)]
Waited = (
    Annotated[int, Meta(ge=0, le=10**9)] | Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,9}[smhdw](?![\s\S])")]
)
"""How long the request waits already: whole seconds, or `30m`."""


class ReasonForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reason: its code, and a part of what it says, of its rule's text or of the resource it is about."""

    code: Line
    says: Line | UnsetType = UNSET
    resource: Line | UnsetType = UNSET


class ExpectForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is expected of a decision; what is left out may be anything.

    `route` is the backend or executor, `reasons` are all reasons, in any order: a code, or with what it says.
    """

    outcome: Literal["start", "wait", "deny", "preempt"]
    share: Line | UnsetType = UNSET
    route: Line | UnsetType = UNSET
    queue: Line | UnsetType = UNSET
    node: Line | UnsetType = UNSET
    victims: Annotated[tuple[Line, ...], Meta(max_length=10_000)] | UnsetType = UNSET
    reasons: Annotated[tuple[Line | ReasonForm, ...], Meta(max_length=1000)] | UnsetType = UNSET


class CaseForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One case of a table: what its request has beside the test's, or instead, and what is expected."""

    expect: ExpectForm
    request: dict[str, Any] = {}
    name: Line | UnsetType = UNSET
    waited: Waited | UnsetType = UNSET


class TestForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One test: a request in a state, and what is expected; or a table of cases of it."""

    name: Line
    state: Line
    request: dict[str, Any] = {}
    expect: ExpectForm | UnsetType = UNSET
    waited: Waited = 0
    cases: Annotated[tuple[CaseForm, ...], Meta(max_length=MOST_TESTS)] = ()

    def __post_init__(self) -> None:
        if (self.expect is UNSET) == (not self.cases):
            raise ValueError("a test needs either what to expect or cases")


class TestsForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of tests; the names of files are relative to it. `states` are state files by name."""

    policy: Line
    states: Annotated[dict[str, Line], Meta(min_length=1, max_length=1000)]
    tests: Annotated[tuple[TestForm, ...], Meta(min_length=1, max_length=MOST_TESTS)]
    site: Line | UnsetType = UNSET


def schema() -> dict[str, Any]:
    """The JSON Schema of a file of tests, as `schemas/policy-test.json` holds it."""
    return schema_of(
        TestsForm, "policy-test", "Policy tests: requests against states, and what is expected of them"
    )
