"""The types that states are read as, and the schema that explains what is wrong, say the same."""

from __future__ import annotations

import copy
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wnodes_engine.documents import DocumentError, read_form
from wnodes_engine.state_file import load_farm, load_state
from wnodes_engine.state_form import StateForm
from wnodes_engine.validation import problems
from wnodes_engine.wire import Known

REQUEST = {"kind": "job", "origin": "grid", "user": "bob", "group": "cms", "cores": 2}
STATE: dict[str, Any] = {
    "now": "2026-03-01T12:00:00.5+01:00",
    "nodes": [
        {"name": "wn[1-3]", "cores": 8, "memory": "32GiB", "hs23": 1.5, "properties": ["ssd", "ib"]},
        {"name": "gpu1", "cores": 8, "memory": 4096, "gpus": 2, "disk": "1TiB", "up": False},
    ],
    "images": [{"name": "debian", "approved": True}],
    "allocations": [
        {"id": "a", "started": "2026-03-01T10:00:00Z", "node": "wn1", "request": REQUEST, "times": 3},
        {"id": "b", "started": "2026-03-01T10:00:00Z", "nodes": {"wn2": 1}, "request": REQUEST,
         "submitted": "2026-03-01T09:00:00Z"},
    ],
    "queue": [{"id": "c", "submitted": "2026-03-01T09:00:00Z", "request": REQUEST}],
    "use": {"grid": {"share": {"cores": 1, "hs23": 2}, "group": {"cms": {"memory": "1GiB", "disk": 5}}}},
}  # fmt: skip

Place = tuple[str | int, ...]


def places(value: Any, at: Place = ()) -> list[Place]:
    """Where everything stands in the value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, part in parts for place in places(part, (*at, key)))]


GONE = object()
MORE = ["node", "nodes", "started", "submitted", "disk", "gpus", "user", "account", "more"]
PLACES = [*places(STATE)[1:], *((*place, name) for place in places(STATE) for name in MORE)]
VALUES = st.sampled_from(
    [
        *(GONE, None, True, 0, 1, -1, 1.0, 1001, 10**5 + 1, 10**6 + 1, 10**12 + 1, 10**15 + 1, 0.25, 1000.25),
        *("", "a", "wn1", "wn[1-", "x" * 256, "32GiB", "032GiB", "1GB", "é\n", [], ["a", "a"], ["a"] * 101),
        *("2026-03-01T10:00:00Z", "2026-03-01 10:00:00z", "2026-03-01T10:00:00", "2026-03-01T10:00:00Z\n"),
        *({}, {"wn1": 1}, {"wn1": 0}, {"cores": 1}, {"cores": "1GiB"}, {"a": {"memory": "1GiB"}}, REQUEST),
    ]
)


def change(document: Any, place: Place, value: Any) -> None:
    """Put the value in its place, or take away what is there; nothing where the place itself is gone."""
    *around, last = place
    with suppress(KeyError, IndexError, TypeError):
        for key in around:
            document = document[key]
        if isinstance(document, dict) == isinstance(last, str):
            document[last] = copy.deepcopy(value)
            if value is GONE:
                del document[last]


@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3))
@example([(("allocations", 0, "nodes"), {"wn1": 1})])
@example([(("allocations", 0, "node"), GONE)])
@example([(("nodes", 0, "properties"), ["a", "a"])])
def test_the_schema_and_the_types_accept_the_same_states(changes: list[tuple[Place, Any]]) -> None:
    document = copy.deepcopy(STATE)
    for place, value in changes:
        change(document, place, value)
    try:
        msgspec.convert(document, StateForm)
        by_types = True
    except msgspec.ValidationError:
        by_types = False
    assert by_types == (not problems(document, "state"))


def test_the_state_that_the_law_begins_with_is_sound() -> None:
    assert problems(STATE, "state") == []


@pytest.mark.parametrize("cores", ["8.0", "x", "true"])
def test_what_is_no_whole_number_is_refused_in_its_place(tmp_path: Path, cores: str) -> None:
    (tmp_path / "farm.yaml").write_text(f"nodes:\n  - {{name: wn1, memory: 1, cores: {cores}}}")
    with pytest.raises(DocumentError, match="a whole number, not") as caught:
        load_farm(tmp_path / "farm.yaml")
    (found,) = caught.value.findings
    assert (found.span.line, found.span.column) == (2, 35)


def test_every_mistake_of_a_state_is_told_in_one_run(tmp_path: Path) -> None:
    (tmp_path / "state.yaml").write_text("now: noon\nnodes:\n- {name: wn1, cores: 0, memory: 1}\nqueue: 3\n")
    with pytest.raises(DocumentError) as caught:
        load_state(tmp_path / "state.yaml", Known())
    assert [found.span.line for found in caught.value.findings] == [1, 3, 4]


class NarrowNode(msgspec.Struct):
    cores: Annotated[int, msgspec.Meta(le=4)]


class NarrowFarm(msgspec.Struct):
    nodes: list[NarrowNode]


def test_what_only_the_types_refuse_has_its_place_too(tmp_path: Path) -> None:
    (tmp_path / "farm.yaml").write_text("nodes:\n  - {name: wn1, memory: 1, cores: 8}")
    with pytest.raises(DocumentError, match="<= 4") as caught:
        read_form(tmp_path / "farm.yaml", "farm", NarrowFarm)
    (found,) = caught.value.findings
    assert (found.span.line, found.span.column) == (2, 35)
