"""How findings are shown: position, frame, marks, help; nothing that a terminal would obey."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wnodes_engine.findings import Finding, Note, Severity, has_errors, in_order
from wnodes_engine.frames import as_json, as_text, summary
from wnodes_engine.language.source import Source, span_at

TEXT = 'policy a\nshare b 5% borow any\n\tlet c = "é漢字" x\n'


def span(piece, text=TEXT, path="a.policy"):
    start = text.index(piece)
    return span_at(Source(path, text), start, start + len(piece))


def test_a_finding_shows_its_place_the_line_the_marks_and_the_mend():
    finding = Finding("E015", "`borow` is not known here", span("borow"), "did you mean `borrow`?")
    assert as_text([finding], {"a.policy": TEXT}) == (
        "a.policy:2:12: error[E015]: `borow` is not known here\n"
        "  |\n"
        "2 | share b 5% borow any\n"
        "  |            ^^^^^\n"
        "  = help: did you mean `borrow`?\n"
    )


def test_notes_have_frames_of_their_own():
    finding = Finding(
        "W102", "never applies", span("any"), None, (Note("the first is here", span("policy")),)
    )
    assert as_text([finding], {"a.policy": TEXT}) == (
        "a.policy:2:18: warning[W102]: never applies\n"
        "  |\n"
        "2 | share b 5% borow any\n"
        "  |                  ^^^\n"
        "  = note: the first is here: a.policy:1:1\n"
        "  |\n"
        "1 | policy a\n"
        "  | ^^^^^^\n"
    )


def test_marks_stand_under_wide_characters_and_behind_tabs():
    shown = as_text(
        [Finding("E010", "m", span("漢字"), None), Finding("E010", "m", span("x"), None)], {"a.policy": TEXT}
    )
    lines = shown.splitlines()
    assert lines[3] == "  |" + " " * 15 + "^^^^"
    assert lines[8] == "  |" + " " * 21 + "^"


def test_a_span_of_several_lines_is_marked_to_the_end_of_its_first():
    shown = as_text([Finding("E010", "m", span(TEXT[9:]), None)], {"a.policy": TEXT})
    assert shown.splitlines()[2:] == ["2 | share b 5% borow any", "  | " + "^" * 20]


def test_an_empty_span_has_one_mark():
    nothing = span_at(Source("a.policy", ""), 0, 0)
    assert (
        as_text([Finding("E034", "m", nothing, None)], {"a.policy": ""}) == "a.policy:1:1: error[E034]: m\n"
    )
    end = span_at(Source("a.policy", "ab"), 2, 2)
    assert as_text([Finding("E010", "m", end, None)], {"a.policy": "ab"}).splitlines()[-1] == "  |   ^"


def test_of_a_long_line_only_the_part_around_the_span_is_shown():
    text = "x" * 5_000 + "HERE" + "y" * 5_000
    shown = as_text([Finding("E010", "m", span("HERE", text), None)], {"a.policy": text})
    line, marks = shown.splitlines()[2:4]
    assert len(line) < 150
    assert line.index("HERE") == marks.index("^^^^")
    assert line[4], line[-1] == ("…", "…")


def test_a_file_whose_text_is_not_at_hand_has_no_frame():
    assert (
        as_text([Finding("E010", "m", span("any"), "h")], {})
        == "a.policy:2:18: error[E010]: m\n  = help: h\n"
    )


def test_colour_only_paints():
    findings = [Finding("E015", "m", span("borow"), "h", (Note("n", span("any")),))]
    painted = as_text(findings, {"a.policy": TEXT}, colour=True)
    plain = painted
    for tone in ("\x1b[0m", "\x1b[1m", "\x1b[1;31m", "\x1b[1;34m", "\x1b[1;36m"):
        assert tone in painted
        plain = plain.replace(tone, "")
    assert plain == as_text(findings, {"a.policy": TEXT})


@given(st.text(), st.text(min_size=1), st.text())
def test_no_control_character_reaches_the_terminal(before, inside, after):
    text = before + inside + after
    where = span_at(Source(inside, text), len(before), len(before + inside))
    shown = as_text([Finding("E010", inside, where, after, (Note(before, where),))], {inside: text})
    assert "\x1b" not in shown
    assert not any(not c.isprintable() and c != "\n" and ord(c) < 0xA0 for c in shown)
    shown.encode()


def test_json_has_every_finding_with_its_position():
    findings = [
        Finding("E015", "m", span("borow"), "h", (Note("n", span("any")),)),
        Finding("W102", "w", span("any")),
    ]
    document = json.loads(as_json(findings))
    assert (document["errors"], document["warnings"]) == (1, 1)
    assert document["findings"][0] == {
        "code": "E015",
        "severity": "error",
        "message": "m",
        "file": "a.policy",
        "line": 2,
        "column": 12,
        "end_line": 2,
        "end_column": 17,
        "help": "h",
        "witness": None,
        "notes": [
            {"message": "n", "file": "a.policy", "line": 2, "column": 18, "end_line": 2, "end_column": 21},
        ],
    }


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ([], "no findings"),
        (["E010"], "1 error"),
        (["W101", "E010", "E011"], "2 errors, 1 warning"),
        (["W101"], "1 warning"),
    ],
)
def test_the_summary_counts_errors_and_warnings(codes, said):
    assert summary([Finding(code, "m", span("any")) for code in codes]) == said


def test_findings_are_ordered_by_file_and_position_without_repetitions():
    late, early, other = (Finding("E010", "m", span(piece)) for piece in ("any", "policy", "share"))
    elsewhere = Finding("E010", "m", span("policy", path="b.policy"))
    assert in_order([late, elsewhere, early, other, late]) == [early, other, late, elsewhere]


def test_only_e_codes_are_errors():
    assert Finding("W101", "m", span("any")).severity is Severity.WARNING
    assert not has_errors([Finding("W101", "m", span("any"))])
    assert has_errors([Finding("W101", "m", span("any")), Finding("E010", "m", span("any"))])
