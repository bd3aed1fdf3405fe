"""Laws of the readers: nothing crashes them, nothing is dropped in silence, what is unknown stays visible."""

from __future__ import annotations

import json
import string
from contextlib import suppress
from datetime import UTC
from typing import Any

from backends.torque.test_forms import PBS_LINE, TORQUE_LINE
from hypothesis import given
from hypothesis import strategies as st
from wnodes_batch.bulk import Unreadable
from wnodes_engine.backend import JobState
from wnodes_torque import accounting, jobs, openpbs, torque

TAGS = ("Data", "Job", "Job_Id", "exec_host", "Node", "name", "jobs", "Resource_List", "nodes")
PIECES = [f"<{slash}{tag}>".encode() for tag in TAGS for slash in ("", "/")]
PIECES += [b"1.vm", b"n/0", b"&amp;", b"<", b">", b"\x00", b"\xff"]
ANYTHING = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["Jobs", "nodes", "Server", "pbs_server", "pbs_version", "timestamp", "1.p"])
                | st.sampled_from(
                    ["exec_host", "exec_vnode", "Resource_List", "job_state", "ctime", "state"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)


@given(ANYTHING)
def test_no_reader_does_anything_but_read_or_refuse(listing: bytes) -> None:
    for read in (
        lambda: torque.jobs(listing, "grid"),
        lambda: torque.nodes(listing),
        lambda: torque.settings(listing),
        lambda: openpbs.jobs(listing, "grid"),
        lambda: openpbs.nodes(listing),
        lambda: openpbs.settings(listing),
    ):
        with suppress(Unreadable):
            read()


@given(st.lists(st.text(max_size=80) | st.sampled_from([TORQUE_LINE, PBS_LINE]), max_size=8))
def test_each_line_of_a_log_is_told_counted_or_none_of_an_end(lines: list[str]) -> None:
    told = accounting.read(lines, "grid", UTC)
    whole = sum(line in {TORQUE_LINE, PBS_LINE} for line in lines)
    assert len(told.endings) >= whole
    assert len(told.endings) + len(told.deletions) + told.unread <= len(lines)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(
    st.lists(st.tuples(TEXT, st.text(string.ascii_uppercase + "?", min_size=1, max_size=2), TEXT), max_size=6)
)
def test_every_job_of_a_listing_of_torque_is_there_once_whatever_its_words(
    rows: list[tuple[str, str, str]],
) -> None:
    """An unknown state stays to be seen."""
    listing = "<Data>"
    for at, (name, state, comment) in enumerate(rows):
        listing += (
            f"<Job><Job_Id>{at}.vm</Job_Id><Job_Name>{escaped(name)}</Job_Name><job_state>{state}</job_state>"
            f"<euser>ada</euser><comment>{escaped(comment)}</comment></Job>"
        )
    read = torque.jobs(f"{listing}</Data>".encode(), "grid")
    assert [row.ref.id for row in read] == [f"{at}.vm" for at in range(len(rows))]
    for row, (_, state, comment) in zip(read, rows, strict=True):
        assert (row.native_state, row.user, row.reason) == (state, "ada", comment)
        known = state in set("QWTBHRSUECFX")
        assert (row.state is JobState.UNKNOWN) is not known
    live = jobs.jobs(read)
    assert len(live) + sum(row.native_state in set("CFX") for row in read) == len(rows)


@given(
    st.dictionaries(st.integers(0, 99), st.tuples(TEXT, TEXT, st.integers() | st.floats() | TEXT), max_size=6)
)
def test_every_job_of_a_listing_of_pbs_is_there_once_whatever_its_words(
    rows: dict[int, tuple[Any, Any, Any]],
) -> None:
    listing = {
        "timestamp": 1,
        "pbs_version": "23",
        "pbs_server": "p",
        "Jobs": {
            f"{id_}.p": {
                "Job_Name": name,
                "job_state": state,
                "Resource_List": {"mem": said},
                "comment": said,
            }
            for id_, (name, state, said) in rows.items()
        },
    }
    read = openpbs.jobs(json.dumps(listing).encode(), "grid")
    assert [row.ref.id for row in read] == [f"{id_}.p" for id_ in rows]
    assert [row.native_state for row in read] == [state for _, state, _ in rows.values()]


def escaped(text: str) -> str:
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&apos;")):
        text = text.replace(char, entity)
    return text
