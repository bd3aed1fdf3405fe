"""Running a log again: what was recorded comes out the same, and what was changed is found where it was."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from decision_log import preempting
from decision_log.logs import logged, replay, sealed, some_log
from hypothesis import given, note
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from strategies import farms, streams
from strategies.played import Step
from strategies.policies import Asking, policies
from wnodes_engine.decision_log.confirm import Difference
from wnodes_engine.decision_log.records import AnyRecord, schema
from wnodes_engine.documents import DocumentError
from wnodes_engine.values import Node

SCHEMA = Path(__file__).parents[2] / "schemas" / "decision-log.json"


@given(policies(Asking(hs23=True, state=True, time=True)), farms.nodes(factors=True), streams.streams(40))
def test_whatever_is_recorded_is_confirmed(text: str, nodes: list[Node], stream: list[streams.Event]) -> None:
    note(text)
    data = logged(text, nodes, stream).data
    told = replay(data)
    assert told.difference is None
    assert (told.lines, told.ended, told.cut) == (data.count(b"\n"), True, False)
    assert told.records == sum(told.by_kind.values())


@given(preempting.policies(), preempting.nodes(), preempting.crowded(60), st.integers(2, 20))
def test_whatever_room_is_made_is_confirmed_from_the_first_file_to_the_last(
    text: str, nodes: list[Node], stream: list[Step], most: int
) -> None:
    note(text)
    told = [replay(data) for data in logged(text, nodes, stream, most).files]
    assert [one.difference for one in told] == [None] * len(told)


@given(policies(Asking(time=True, state=True)), farms.nodes(), streams.streams(), st.integers(1, 9))
def test_each_file_can_be_run_again_by_itself(
    text: str, nodes: list[Node], stream: list[streams.Event], most: int
) -> None:
    note(text)
    whole, files = logged(text, nodes, stream).data, logged(text, nodes, stream, most).files
    told = [replay(data) for data in files]
    assert all(one.difference is None and one.ended for one in told)
    assert sum(one.records for one in told) == replay(whole).records
    assert [one.follows for one in told] == [None, *(one.sum for one in told[:-1])]


@cache
def some_lines() -> list[bytes]:
    return some_log().splitlines()


def kinds() -> list[str]:
    return [json.loads(line)["do"] for line in some_lines()]


def test_the_log_of_these_tests_has_every_kind_of_record() -> None:
    told = replay(some_log())
    assert told.difference is None
    assert told.states == 3
    tags = {record.__struct_config__.tag for record in AnyRecord.__args__}
    assert set(kinds()) == tags
    assert {json.loads(line)["part"]["of"] for line in some_lines() if b'"do":"part"' in line} == {
        *("nodes", "claims", "requests", "running", "paused", "waiting", "held", "promised"),
        *("history", "told", "use", "ended"),
    }


# ------------------------------------------------------------ a log that was changed


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where the plain values of a record stand; of long lists the first and the last entry."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for at in sorted({0, len(value) - 1} & set(range(len(value)))):
            yield from leaves(value[at], (*path, at))
    else:
        yield path


def one_of_each() -> list[tuple[int, tuple[str | int, ...]]]:
    """A line of each kind, and each plain value in it; of parts, one of each sort."""
    found: dict[tuple[str, ...], int] = {}
    for at, line in enumerate(some_lines()):
        record = json.loads(line)
        found.setdefault((record["do"], record.get("part", {}).get("of", "")), at)
    return [(at, path) for at in found.values() for path in leaves(json.loads(some_lines()[at]))]


def changed(value: Any) -> Any:
    """Another value, one character away."""
    match value:
        case bool():
            return not value
        case None:
            return 7
        case int():
            return value ^ 1
        case str():
            return f"{value[:-1]}{'b' if value.endswith('a') else 'a'}"
    raise AssertionError(value)


def with_a_change(at: int, path: tuple[str | int, ...]) -> tuple[list[bytes], Any, Any]:
    """The lines with one value changed; what it was, and what it is."""
    record = json.loads(some_lines()[at])
    *inside, last = path
    place = record
    for key in inside:
        place = place[key]
    right, place[last] = place[last], changed(place[last])
    lines = some_lines().copy()
    lines[at] = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
    return lines, right, place[last]


def found(data: bytes) -> tuple[int, Difference | None]:
    """The line at which something is wrong, 0 for none, and what differs there, where it can be read."""
    try:
        difference = replay(data).difference
    except DocumentError as error:
        return error.findings[0].span.line, None
    return (difference.line if difference is not None else 0), difference


@pytest.mark.parametrize(("at", "path"), one_of_each(), ids=lambda part: str(part).replace("'", ""))
def test_a_field_that_was_changed_is_found_at_its_record(at: int, path: tuple[str | int, ...]) -> None:
    lines, _, _ = with_a_change(at, path)
    assert found(b"\n".join(lines) + b"\n")[0] == at + 1


OUTCOMES = {
    *("answer", "starts", "more", "resumed", "preemptions", "reprieves", "share", "found"),
    *("digest", "state"),
}


@pytest.mark.parametrize(
    ("at", "path"),
    [(at, path) for at, path in one_of_each() if path[0] in OUTCOMES and kinds()[at] != "state"],
    ids=lambda part: str(part).replace("'", ""),
)
def test_an_outcome_that_was_changed_and_sealed_anew_is_told_field_by_field(
    at: int, path: tuple[str | int, ...]
) -> None:
    lines, right, wrong = with_a_change(at, path)
    line, difference = found(sealed(lines))
    assert line == at + 1
    if difference is not None:  # else it is a word that stands for nothing
        name = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)[1:]
        assert (name, wrong, right) in difference.fields


def test_a_state_that_was_changed_and_sealed_anew_is_found_where_it_is_complete() -> None:
    at = kinds().index("state")
    last = next(n for n, line in enumerate(some_lines()) if b'"last":true' in line)
    for path in (("state",), ("clock", "serial")):
        line, difference = found(sealed(with_a_change(at, path)[0]))
        assert line == last + 1
        assert difference is not None
        assert [name for name, _, _ in difference.fields] == ["state"]


@pytest.mark.parametrize("gone", [*range(20), *range(len(kinds()) - 20, len(kinds()) - 1)])
def test_a_line_that_was_taken_out_is_missed(gone: int) -> None:
    lines = some_lines().copy()
    del lines[gone]
    assert found(b"\n".join(lines) + b"\n")[0] in range(1, gone + 2)


def test_something_behind_the_end_is_no_part_of_the_log() -> None:
    lines = [*some_lines(), b'{"do":"finish","policy":1,"state":"%b","now":1,"id":"1"}' % (b"0" * 32)]
    line, difference = found(sealed(lines))
    assert difference is not None
    assert (line, difference.message) == (len(lines), "something follows the end of the log")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kept", [6000, 20_000, 100_000, 300_000])
def test_a_log_that_breaks_off_is_confirmed_up_to_there(kept: int, zipped: bool) -> None:
    data = some_log()[:kept]
    if zipped:
        data = gzip.compress(data, mtime=0)[:-9]  # as what was last handed over to the system
    told = replay(data)
    assert told.difference is None
    assert told.cut
    assert not told.ended
    assert 0 < told.lines <= some_log()[:kept].count(b"\n")


def test_a_log_that_was_cut_off_between_two_lines_has_no_end() -> None:
    told = replay(b"\n".join(some_lines()[:100]) + b"\n")
    assert (told.difference, told.cut, told.ended, told.lines) == (None, False, False, 100)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"{}\n", b"\n", b"\x1f\x8b", b"\x1f\x8bxxxxxxxxxxxxxxxxxxxxx", b"1 0 -1"]
)
def test_what_is_no_log_is_refused_in_its_first_line(data: bytes) -> None:
    with pytest.raises(DocumentError) as refused:
        replay(data)
    assert refused.value.findings[0].span.line == 1


@given(st.data())
def test_no_file_is_too_malformed(data: st.DataObject) -> None:
    """Bytes changed, lines moved, sums right or wrong: there is an answer, and never another exception."""
    lines = [line for line in some_lines() if len(line) < 5000 or b"nodes" in line][:60]
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["bytes", "value", "move", "drop", "twice"])):
            case "bytes":
                where = data.draw(st.integers(0, len(lines[at])))
                some = data.draw(st.binary(max_size=4).filter(lambda some: b"\n" not in some))
                lines[at] = lines[at][:where] + some + lines[at][where + len(some) :]
            case "value":
                lines[at] = data.draw(other_value(lines[at]))
            case "move":
                lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case "drop":
                del lines[at]
            case "twice":
                lines.insert(at, lines[at])
    seal = data.draw(st.booleans())
    found(sealed(lines) if seal else b"\n".join(lines) + b"\n")


ODD = [None, -1, 0, 1, 1 << 40, 1 << 63, 1 << 200, "", "\x00", "x" * 300, [], {}, True, 0.5]


def other_value(line: bytes) -> st.SearchStrategy[bytes]:
    """The line with something else in one of its places."""
    try:
        record = json.loads(line)
    except ValueError:
        return st.just(line)

    def put(path: tuple[str | int, ...], value: Any) -> bytes:
        place = changed = json.loads(line)
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        return json.dumps(changed, separators=(",", ":")).encode()

    places = list(leaves(record)) if isinstance(record, dict) else []
    return st.builds(put, st.sampled_from(places), st.sampled_from(ODD)) if places else st.just(line)


def test_every_line_is_as_the_schema_says() -> None:
    said = json.loads(SCHEMA.read_text())
    assert said == schema()
    validator = Draft202012Validator(said)
    for at in {line: at for at, line in enumerate(kinds())}.values():
        assert list(validator.iter_errors(json.loads(some_lines()[at]))) == []
    assert list(validator.iter_errors({"do": "nothing"}))


WRITE = """
import sys
from decision_log.logs import some_log
sys.stdout.buffer.write(some_log())
"""


def test_the_same_calls_write_the_same_bytes_under_any_hash_seed() -> None:
    tests = Path(__file__).parents[1]
    logs = {
        subprocess.run(
            [sys.executable, "-c", WRITE],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(tests)},
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert logs == {some_log()}
