"""Laws of the readers: nothing crashes them but in words, nothing is dropped, and nothing can be forged."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wnodes_batch.bulk import Unreadable
from wnodes_batch.hostlist import compress, expand
from wnodes_batch.tags import ref_of, tag
from wnodes_engine.backend import JobState
from wnodes_slurm import accounting, config, jobs, nodes
from wnodes_slurm.states import JOB_STATES, job_state, takes_work
from wnodes_slurm.words import Resources, mib, moment, resources, seconds

FIELDS = {
    "Name": "sim",
    "JobArrayID": "7",
    "State": "RUNNING",
    "UserName": "ada",
    "tres-alloc": "cpu=2,mem=100M,node=1",
    "TimeLimit": "1:00:00",
    "SubmitTime": "1795658774",
    "NodeList": "g1",
    "PriorityLong": "11000",
}
anything = st.text(max_size=60).map(lambda text: text.replace("\0", ""))
names = st.from_regex(r"[a-z]{1,3}-?[0-9]{0,4}", fullmatch=True)


def line(**fields: str) -> bytes:
    """A line as squeue writes it: bytes are cut off and filled up, whatever they are."""
    said = FIELDS | fields
    cells = zip(jobs.COLUMNS.names, jobs.COLUMNS.widths, strict=True)
    return b"".join(said.get(name, "").encode()[:width].ljust(width) + b"|" for name, width in cells) + b"\n"


@given(st.lists(anything, max_size=5))
@example(["x\n" + " " * 46 + "|999|RUNNING|root"])
@example(["\n" * 48, "|" * 48, "é" * 30])
def test_no_name_forges_a_row_or_hides_one(forged: list[str]) -> None:
    listing = b"".join(line(Name=name, JobArrayID=str(at)) for at, name in enumerate(forged))
    rows = jobs.read(listing, "grid")
    assert [(row.ref.id, row.user, row.native_state) for row in rows] == [
        (str(at), "ada", "RUNNING") for at in range(len(forged))
    ]
    assert all(row.ref.key == "" for row in rows)


@given(st.binary(max_size=4000))
def test_bytes_that_are_no_listing_are_an_error_in_words(listing: bytes) -> None:
    for read in (jobs.read, accounting.read):
        with contextlib.suppress(Unreadable):
            assert listing == b"" or read(listing, "grid")


@given(st.integers(1, 3000), st.binary(min_size=1, max_size=3))
def test_a_listing_that_was_cut_off_or_grew_is_an_error(at: int, more: bytes) -> None:
    whole = line() * 4
    cut = whole[: min(at, len(whole) - 1)]
    if len(cut) % jobs.COLUMNS.size:
        with pytest.raises(Unreadable):
            jobs.read(cut, "grid")
    with pytest.raises(Unreadable):
        jobs.read(whole + more, "grid")


@given(anything)
def test_a_listing_of_nodes_is_read_or_refused_in_words(text: str) -> None:
    for listing in (text, f"NodeName=g1 State=IDLE CPUTot=4 RealMemory=10\n{text}"):
        with contextlib.suppress(Unreadable):
            nodes.read(listing)
    config.read(text)
    config.partitions(text)


@given(st.text(string.ascii_uppercase + "_", max_size=16))
def test_a_state_that_is_not_known_stays_unknown_and_is_shown_as_it_is(native: str) -> None:
    [row] = jobs.read(line(State=native), "grid")
    assert row.native_state == native
    assert (row.state is JobState.UNKNOWN) == (native not in JOB_STATES)
    [job] = jobs.jobs([row], {}, {"g1": 2}) if native not in ENDED else [None]
    assert job is None or job.native_state == native


ENDED = {name for name, state in JOB_STATES.items() if state in {"done", "failed", "cancelled"}}


def test_a_state_that_is_not_known_still_holds_its_cores() -> None:
    [row] = jobs.read(line(State="LEVITATING"), "grid")
    [job] = jobs.jobs([row], {}, {"g1": 2})
    assert (job.state, job.nodes) == (JobState.UNKNOWN, (("g1", 2),))


@pytest.mark.parametrize(
    ("native", "reason", "priority", "state"),
    [
        ("PENDING", "Resources", "100", JobState.PENDING),
        ("PENDING", "JobHeldUser", "0", JobState.HELD),
        ("PENDING", "JobHeldAdmin", "0", JobState.HELD),
        ("PENDING", "launch_failed_requeued_held", "0", JobState.HELD),
        ("RUNNING", "JobHeldAdmin", "0", JobState.RUNNING),
        ("COMPLETING", "None", "1", JobState.ENDING),
        ("CONFIGURING", "None", "1", JobState.STARTING),
        ("SPECIAL_EXIT", "None", "0", JobState.HELD),
        ("OUT_OF_MEMORY", "None", "0", JobState.FAILED),
    ],
)
def test_the_state_of_a_job(native: str, reason: str, priority: str, state: JobState) -> None:
    assert job_state(native, reason, priority) is state


@pytest.mark.parametrize(
    ("native", "up"),
    [
        ("IDLE", True),
        ("MIXED", True),
        ("ALLOCATED", True),
        ("ALLOCATED+COMPLETING", True),
        ("IDLE+CLOUD+POWERED_DOWN", True),
        ("IDLE~", True),
        ("MIXED+PLANNED", True),
        ("MIXED+DRAIN", False),
        ("IDLE*", False),
        ("IDLE+NOT_RESPONDING", False),
        ("DOWN", False),
        ("DOWN*+DRAIN", False),
        ("IDLE+RESERVED", False),
        ("IDLE+MAINTENANCE+RESERVED", False),
        ("IDLE$", False),
        ("IDLE+INVALID_REG", False),
        ("IDLE+POWERING_DOWN", False),
        ("FUTURE", False),
        ("UNKNOWN", False),
        ("IDLE+LEVITATING", False),
        ("", False),
    ],
)
def test_which_nodes_take_work(native: str, up: bool) -> None:
    assert takes_work(native, reserved_for_us=False) is up


def test_a_reserved_node_takes_work_if_the_reservation_is_ours() -> None:
    assert takes_work("IDLE+RESERVED", reserved_for_us=True)
    assert not takes_work("IDLE+MAINTENANCE+RESERVED", reserved_for_us=True)


@given(st.sets(names, max_size=30))
def test_a_list_of_hosts_is_the_same_after_it_was_compressed(hosts: set[str]) -> None:
    assert set(expand(compress(hosts))) == hosts


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", ()),
        ("g1", ("g1",)),
        ("g[1-3,7],x", ("g1", "g2", "g3", "g7", "x")),
        ("n[08-11]", ("n08", "n09", "n10", "n11")),
        ("r[1-2]n[1-2]", ("r1n1", "r1n2", "r2n1", "r2n2")),
        ("a[1,3]-ib", ("a1-ib", "a3-ib")),
    ],
)
def test_lists_of_hosts_are_expanded(text: str, hosts: tuple[str, ...]) -> None:
    assert expand(text) == hosts


@pytest.mark.parametrize("text", ["g[1-", "g]1[", "g[a-b]", "g[]", "a,,b", "g[1-99999999999]", "g[[1]]"])
def test_what_is_no_list_of_hosts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        expand(text)


@given(anything)
def test_any_text_is_a_list_of_hosts_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        expand(text)


@given(st.from_regex(r"[a-z0-9]{1,32}", fullmatch=True), st.integers(0, 1 << 33))
def test_a_job_is_known_by_its_tag(key: str, at: int) -> None:
    name = tag(key, at)
    assert len(name) < 48
    ref = ref_of(name, "grid", "7", 5)
    assert (ref.key, ref.submitted_at) == (key, at)
    for other in (name + "x" * 48, " " + name, name.upper() + "Z", name[3:]):
        assert ref_of(other[:48], "grid", "7", 5).key != key


@given(anything)
def test_whatever_stands_in_a_field_is_read(text: str) -> None:
    assert mib(text) >= 0
    assert (seconds(text) or 0) >= 0
    assert (moment(text) or 0) >= 0
    resources(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("100M", 100), ("62.50G", 64000), ("2004K", 2), ("1T", 1 << 20), ("100", 100), ("100Mn", 100), ("?", 0)],
)
def test_amounts_of_memory(text: str, value: int) -> None:
    assert mib(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5:00", 300),
        ("1:00:00", 3600),
        ("7-00:00:00", 604800),
        ("1-02:03:04", 93784),
        ("00:00.002", 0),
        ("01:10.500", 70),
        ("UNLIMITED", None),
        ("Partition_Limit", None),
        ("", None),
    ],
)
def test_durations(text: str, value: int | None) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("tres", "value"),
    [
        ("cpu=4,mem=62.50G,node=1,billing=4,gres/gpu=2", Resources(4, 64000, 2)),
        ("billing=1,cpu=1,mem=100M,node=1", Resources(1, 100, 0)),
        ("cpu=1,gres/gpu:a100=1,gres/gpu:t4=2", Resources(1, 0, 3)),
        ("cpu=1,gres/gpu=2,gres/gpu:a100=2", Resources(1, 0, 2)),
        ("", Resources()),
    ],
)
def test_what_a_job_holds(tres: str, value: Resources) -> None:
    assert resources(tres) == value


def test_the_nodes_of_a_job_whose_list_was_cut_off_are_asked_for() -> None:
    wide = ",".join(f"node{at}" for at in range(40))
    [row] = jobs.read(line(NodeList=wide, **{"tres-alloc": "cpu=80"}), "grid")
    assert row.cut
    [job] = jobs.jobs([row], jobs.read_nodes(f"7|{wide}\n".encode()), {})
    assert len(job.nodes) == 40
    assert sum(cores for _, cores in job.nodes) == 80


def test_two_jobs_on_the_same_nodes_are_spread_evenly_and_hold_what_they_hold() -> None:
    rows = jobs.read(
        line(NodeList="g[1-3]", JobArrayID="1", **{"tres-alloc": "cpu=7"})
        + line(NodeList="g[1-2]", JobArrayID="2", **{"tres-alloc": "cpu=4"}),
        "grid",
    )
    first, second = jobs.jobs(rows, {}, {"g1": 5, "g2": 4, "g3": 2})
    assert first.nodes == (("g1", 3), ("g2", 2), ("g3", 2))
    assert second.nodes == (("g1", 2), ("g2", 2))
