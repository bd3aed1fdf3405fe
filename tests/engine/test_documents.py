"""Documents are read within bounds, as plain data, and every mistake has its place."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wnodes_engine.documents import DocumentError, read_document
from wnodes_engine.findings import Finding


def refused(path: Path, content: str | bytes, **bounds: int) -> Finding:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DocumentError) as error:
        read_document(path, "site", **bounds)
    return error.value.findings[0]


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        ("name: &a x\ntimezone: *a\n", (1, 7), "anchors and aliases"),
        ("name: !!python/object:os.system x\n", (1, 7), "the tag"),
        ("name: x\nname: y\n", (2, 1), "written twice"),
        ("name: x\n bad: [\n", (2, 5), "not YAML"),
        ("name: x\n---\nname: y\n", (2, 1), "a second document"),
        ("? [a]\n: b\n", (1, 3), "a key has to be a plain word"),
        ("name: x\x00\n", (1, 8), "control character"),
        (b"name: x\ntimezone: \xff\n", (2, 11), "not UTF-8"),
        ("[" * 1000, (1, 52), "nested more than 50 deep"),
        ("- " * 1000, (1, 103), "nested more than 50 deep"),
        ("name: 1" + "0" * 5000, (1, 7), "too large"),
        ("", (1, 1), "a map, not empty"),
    ],
)
def test_a_yaml_document_that_is_none_is_refused(
    tmp_path: Path, content: str | bytes, place: tuple[int, int], message: str
) -> None:
    finding = refused(tmp_path / "site.yaml", content)
    assert (finding.span.line, finding.span.column) == place
    assert message in finding.message


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        ('{"name": "x",\n "name": "y"}', (2, 2), "written twice"),
        ('{"name": "x",\n "timezone": tr}', (2, 14), "not JSON"),
        ('{"name": "x",\n "timezone": 7}', (2, 14), "has to be a text, not 7"),
        ('{"name": "\\ud800"}', (1, 1), "surrogate"),
        ('{"name": 1e999}', (1, 1), "too large"),
        ('{"name": NaN}', (1, 1), "NaN"),
        ('{"name": ' + "1" * 5000 + "}", (1, 1), "not JSON that can be used"),
        ("[" * 100_000, (1, 1), "nested too deep"),
    ],
)
def test_a_json_document_that_is_none_is_refused(
    tmp_path: Path, content: str, place: tuple[int, int], message: str
) -> None:
    finding = refused(tmp_path / "site.json", content)
    assert (finding.span.line, finding.span.column) == place
    assert message in finding.message


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    finding = refused(tmp_path / "site.yaml", "x" * (2 << 20), largest=1 << 20)
    assert finding.code == "E190"
    assert "larger than 1 MiB" in finding.message


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path, name: str) -> None:
    with pytest.raises(DocumentError, match="cannot read"):
        read_document(tmp_path / name, "site")


def test_plain_words_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(
        "name: x\ntimezone: UTC\nbackends:\n  b:\n    driver: d\n    options:\n"
        "      {a: no, b: 20:00, c: 0x10, d: '7', e: 007, f: 1.5, g: -3,\n"
        "       h: 2026-12-03, i: ~, j: true, k: 1e3}\n"
    )
    value, _ = read_document(path, "site")
    assert value["backends"]["b"]["options"] == {
        "a": "no",
        "b": "20:00",
        "c": "0x10",
        "d": "7",
        "e": "007",
        "f": 1.5,
        "g": -3,
        "h": "2026-12-03",
        "i": None,
        "j": True,
        "k": 1000.0,
    }


def test_positions_are_those_of_values_and_keys(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("name: x\ntimezone: UTC\ngroups:\n  - cms\n  - alice\n")
    _, positions = read_document(path, "site")
    assert (positions.of("groups", 1).line, positions.of("groups", 1).column) == (5, 5)
    assert (positions.of("groups").line, positions.of("groups").column) == (3, 1)
    assert positions.of_key("timezone").column == 1
    assert positions.of("groups", 7) == positions.of("groups")
    assert positions.of("nothing").line == 1


def test_every_mistake_is_told_in_one_run(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("nam: x\ntimezone: 7\ndaemon: {tick: 0, hst: x}\n")
    with pytest.raises(DocumentError) as error:
        read_document(path, "site")
    assert [(finding.span.line, finding.code) for finding in error.value.findings] == [
        (1, "E192"),
        (1, "E192"),
        (2, "E192"),
        (3, "E192"),
        (3, "E192"),
    ]


@given(
    st.one_of(st.text(), st.binary(), st.text(alphabet='{}[]:,-?&*!|>"\n\t ab1#%@')),
    st.sampled_from(["yaml", "json"]),
)
def test_no_content_makes_the_reader_fail(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("documents") / f"site.{suffix}"
    path.write_bytes(content.encode("utf-8", "replace") if isinstance(content, str) else content)
    with pytest.raises(DocumentError) as error:
        read_document(path, "site")
    assert error.value.findings
