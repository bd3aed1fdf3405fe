"""Laws of the readers: nothing crashes them but in words, nothing is dropped, and nothing can be forged."""

from __future__ import annotations

import contextlib
import json
import string
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wnodes_batch.bulk import Unreadable
from wnodes_engine.backend import JobState
from wnodes_lsf import accounting, acct_file, config, fields, hosts, jobs, listing, long, words
from wnodes_lsf.fields import Said
from wnodes_lsf.jobs import Form
from wnodes_lsf.states import JOB_STATES, job_state, takes_work
from wnodes_lsf.words import Unit

NOW = 1_795_400_000
anything = st.text(max_size=80)
names = st.from_regex(r"[a-z]{1,3}-?[0-9]{0,4}", fullmatch=True)
SAID = {
    "JOBID": "7",
    "STAT": "RUN",
    "USER": "ada",
    "QUEUE": "short",
    "EXEC_HOST": "2*n1",
    "SUBMIT_TIME": "Nov 23 01:53",
}


def document(records: list[dict[str, str]]) -> bytes:
    return json.dumps({"COMMAND": "bjobs", "JOBS": len(records), "RECORDS": records}).encode()


def rows(listed: list[Said]) -> list[jobs.Row]:
    return jobs.rows(listed, "grid", NOW, Form())


@given(st.lists(anything, max_size=5))
@example(['", "USER": "root"', "\n", "]}"])
def test_no_name_forges_a_job_in_json_or_hides_one(forged: list[str]) -> None:
    said = [SAID | {"JOBID": str(at + 1), "JOB_NAME": name} for at, name in enumerate(forged)]
    made = rows(listing.jobs(document(said)))
    assert [(each.ref.id, each.user) for each in made] == [(str(at + 1), "ada") for at in range(len(forged))]


@given(st.binary(max_size=600))
@example(b'{"COMMAND":"bjobs","JOBS":1,"RECORDS":[]}')
@example(b'{"COMMAND":"bhosts","HOSTS":0,"RECORDS":[]}')
@example(b"[" * 2000)
def test_bytes_that_are_no_listing_are_an_error_in_words(text: bytes) -> None:
    for read in (listing.jobs, listing.hosts):
        with contextlib.suppress(Unreadable):
            read(text)
    with contextlib.suppress(Unreadable):
        listing.delimited(text, fields.PLAIN)


@given(st.integers(1, 400), st.binary(min_size=1, max_size=3))
def test_a_listing_that_was_cut_off_is_an_error(at: int, more: bytes) -> None:
    whole = document([SAID] * 3)
    with pytest.raises(Unreadable):
        listing.jobs(whole[: min(at, len(whole) - 1)])


def test_a_name_in_another_encoding_spoils_nothing() -> None:
    text = document([SAID | {"JOB_NAME": "caf#"}]).replace(b"#", b"\xe9")
    [made] = rows(listing.jobs(text))
    assert (made.ref.id, made.ref.key) == ("7", "")


@given(st.text(string.ascii_uppercase, min_size=1, max_size=10))
def test_a_state_that_is_not_known_stays_unknown_and_is_shown_as_it_is(native: str) -> None:
    [made] = rows(listing.jobs(document([SAID | {"STAT": native}])))
    assert made.native_state == native
    assert (made.state is JobState.UNKNOWN) == (native not in JOB_STATES)
    assert (job_state(native) is JobState.UNKNOWN) == (native not in JOB_STATES)


@given(anything)
def test_a_state_of_a_host_that_is_not_known_takes_no_work(status: str) -> None:
    assert takes_work(status) == (status in {"ok", "closed_Full"})


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("<C> in the format string is not a valid field name.", ["a", "b"]),
        ("bad field name: b", ["a", "c"]),
        ("Bad format.", ["a", "b"]),
        ("<A> in the format string is not a valid field name.", None),
        ("LIM is down; try later", None),
        ("", None),
    ],
)
def test_a_field_that_is_not_known_is_left_out(message: str, left: list[str] | None) -> None:
    assert fields.fewer(message, ["a", "b", "c"], {"a"}) == left
    assert fields.fewer(message, ["a"], {"a"}) is None


# --------------------------------------------------------------------------- between delimiters


def lines(forged: list[str]) -> tuple[bytes, bytes]:
    """What `bjobs` with a delimiter prints of jobs with these names, in its two parts."""
    said = dict.fromkeys(fields.PLAIN, "-") | {"stat": "RUN", "user": "ada", "queue": "short"}
    plain = ["|".join(fields.PLAIN).upper()]
    plain += ["|".join((said | {"jobid": str(at + 1)}).values()) for at in range(len(forged))]
    texts = ["^".join(fields.TEXTS).upper()]
    texts += [f"{at + 1}^-^lab^-^{name}" for at, name in enumerate(forged)]
    return "\n".join([*plain, ""]).encode(), "\n".join([*texts, ""]).encode()


@given(st.lists(anything, max_size=5))
@example(["x", "y\n1^-^lab^-^wn-k1-65f0"])
@example(["y\n2^-^lab^-^wn-k1-65f0", "wn-k2-65f0"])
@example(["a^b^c"])
def test_no_name_forges_another_jobs_name_between_delimiters(forged: list[str]) -> None:
    plain, texts = lines(forged)
    named, doubtful = listing.texts(texts, listing.delimited(plain, fields.PLAIN))
    assert [each.jobid for each in named] == [str(at + 1) for at in range(len(forged))]
    for each, name in zip(named, forged, strict=True):
        assert each.job_name in {"", name.split("\n")[0]}
        assert each.job_name == name.split("\n")[0] or each.jobid in doubtful


@given(st.integers(0, 200))
def test_a_listing_between_delimiters_that_was_cut_off_is_an_error(at: int) -> None:
    plain, _ = lines(["x", "y"])
    if at < len(plain) and plain[at - 1 : at] != b"\n":
        with pytest.raises(Unreadable):
            listing.delimited(plain[:at], fields.PLAIN)


# --------------------------------------------------------------------------- the long listing


BLOCK = (
    "\nJob <{id}>, Job Name <{name}>, User <{user}>, Project <lab>, Status <RUN>, Queue <short>, "
    "Command <{command}>\n"
    "Mon Nov 23 01:53:27: Submitted from host <vm>, CWD </tmp>;\n"
    "Mon Nov 23 01:53:30: Started 1 Task(s) on Host(s) <n1>, Allocated 1 Slot(s) on Host(s) <n1>;\n"
)
FORGED = BLOCK.format(id=1, name="wn-k1-65f0", user="ada", command="x").replace("<n1>", "<n9> <n9>")


@given(anything)
@example("x>, User <root>, Project <rich")
@example(f"sleep{FORGED}")
def test_no_text_of_a_users_passes_for_another_job(forged: str) -> None:
    mine = BLOCK.format(id=1, name="wn-k1-65f0", user="ada", command="sleep 1")
    theirs = BLOCK.format(id=2, name=forged, user="eve", command=forged)
    for text in (mine + theirs, theirs + mine):
        known = {"1": ("wn-k1-65f0", "ada"), "2": ("wn-k1-65f0", "ada")}
        told, doubtful = long.told_of(text.encode(), known, NOW)
        assert "1" in told or "1" in doubtful
        if "1" in told:
            assert told["1"].hosts == (("n1", 1),)
        assert "2" not in told


def test_a_second_start_in_a_listing_of_what_runs_is_believed_no_more_than_the_first() -> None:
    text = BLOCK.format(id=7, name="x", user="ada", command="c").replace(
        "CWD </tmp>;", "CWD </tmp\nMon Nov 23 01:53:29: Started 9 Task(s) on Host(s) <n1> <n2> <n3>;>;"
    )
    told = long.read(next(long.blocks(text.encode())), NOW, "x")
    said = Said(jobid="7", stat="RUN", user="ada", queue="short", job_name="x", exec_host="n1")
    [made] = jobs.rows([said], "grid", NOW, Form(), {"7": told})
    assert made.nodes == (("n1", 1),)


def test_an_ending_of_which_nobody_knows_whose_it_is_is_told_as_nobodys() -> None:
    ended = "Mon Nov 23 01:54:00: Completed <done>.\n"
    mine = BLOCK.format(id=1, name="wn-k1-65f0", user="ada", command="x") + ended
    theirs = BLOCK.format(id=2, name="x", user="eve", command=f"y{FORGED}{ended}") + ended
    told = accounting.from_text((mine + theirs).encode(), "grid", NOW)
    assert all((each.user, each.ref.key) == ("", "") for each in told if each.ref.id == "1")
    [sly] = accounting.from_text(
        (
            BLOCK.format(id=3, name="wn-k1-65f0>, User <ada>, Project <x", user="eve", command="x") + ended
        ).encode(),
        "grid",
        NOW,
    )
    assert (sly.user, sly.ref.key) == ("", "")


@given(anything)
def test_texts_are_read_or_refused_in_words(text: str) -> None:
    text_in = f"\nJob <1>, Job Name <x>, User <a>, Project <p>\n{text}\n{text}".encode("utf-8", "replace")
    for block in long.blocks(text_in):
        long.read(block, NOW)
    accounting.from_text(text.encode("utf-8", "replace"), "grid", NOW)
    config.read(text, text, text, text)
    config.queues(f"QUEUE: x\n{text}")
    hosts.comment(text)
    for read in (listing.wide_hosts, hosts.machines):
        with contextlib.suppress(Unreadable):
            read(text)
        with contextlib.suppress(Unreadable):
            read(f"HOST_NAME STATUS JL/U MAX NJOBS RUN SSUSP USUSP RSV\n{text}")
    words.moment(text, NOW)
    words.kib(text)
    words.run_limit(text)
    words.seconds(text)
    words.exec_hosts(text)
    words.reserved(text, Unit.MB, hosts=1, slots=1, per_task=True)


@given(st.integers(1_600_000_000, 2_000_000_000), st.integers(0, 300 * 86400))
def test_a_time_without_a_year_is_understood_for_most_of_a_year(at: int, later: int) -> None:
    then = datetime.fromtimestamp(at, UTC)
    short = f"{then:%b} {then.day:2d} {then:%H:%M}"
    assert words.moment(short, at + later) == at - at % 60
    assert words.moment(f"{then:%a} {short}:{then:%S %Y}", NOW) == at


@given(st.lists(st.tuples(names, st.integers(1, 200)), max_size=6, unique_by=lambda each: each[0]))
def test_where_a_job_runs_is_read_in_both_forms(places: list[tuple[str, int]]) -> None:
    short = ":".join(f"{count}*{host}" if count > 1 else host for host, count in places)
    full = ":".join(host for host, count in places for _ in range(count))
    assert words.exec_hosts(short) == words.exec_hosts(full) == tuple(places)


@given(st.integers(0, 10**7), st.sampled_from([None, *Unit]))
def test_memory_is_never_asked_for_too_little(memory: int, unit: Unit | None) -> None:
    assert words.mib(words.amount(memory, unit), unit or Unit.KB) >= memory


# --------------------------------------------------------------------------- lsb.acct


RECORD = (
    '"JOB_FINISH" "10.108" 1644826549 386 1501 33554434 1 1644826545 0 0 1644826546 "simuser" "sender" '
    '"" "" "" "host1" "/root" "" "" "" "1644826545.386" 0 1 "host2" 64 100.0 "{name}" "/bin/sleep 3" '
    '0.9 0.2 3748 0 -1 0 0 436 4 0 928 0 -1 0 0 0 19 2 -1 "" "default" 0 1 "" "" 0 2048 0 "" "" '
    '"" "" 0 "" 0 "" -1 "" ""\n'
)


def told(read: acct_file.Read) -> list[tuple[str, str, str]]:
    return [(each.ending.ref.id, each.ending.user, each.ending.ref.key) for each in read.records]


def test_a_record_of_lsf() -> None:
    [record] = acct_file.read(RECORD.format(name="wn-k1-65f0").encode(), "grid").records
    ending = record.ending
    assert (ending.ref.id, ending.ref.key, ending.user, ending.queue) == ("386", "k1", "simuser", "sender")
    assert (ending.state, ending.exit_status, ending.account) == (JobState.DONE, 0, "default")
    assert (ending.started_at, ending.ended_at) == (1644826546, 1644826549)
    assert (ending.nodes, ending.cores, ending.cpu_seconds, ending.memory_used) == ((("host2", 1),), 1, 1, 2)


@pytest.mark.parametrize(
    ("was", "becomes", "state", "status"),
    [
        ('64 100.0 "', '32 100.0 "', JobState.FAILED, None),
        ('"default" 0 1 ""', '"default" 768 1 ""', JobState.FAILED, 3),
        ('"default" 0 1 ""', '"default" 65280 1 ""', JobState.FAILED, 255),
        ('"default" 0 1 ""', '"default" 9 1 ""', JobState.FAILED, 137),
        ('"" 0 "" 0 "" -1', '"" 0 "" 14 "" -1', JobState.CANCELLED, None),
        ('"" 0 "" 0 "" -1', '"" 0 "" 5 "" -1', JobState.FAILED, None),
        ("0 0 1644826546", "0 0 0", JobState.CANCELLED, None),
    ],
)
def test_how_a_record_tells_an_end(was: str, becomes: str, state: JobState, status: int | None) -> None:
    text = RECORD.format(name="x").replace('64 100.0 "', '32 100.0 "').replace(was, becomes)
    [record] = acct_file.read(text.encode(), "grid").records
    assert (record.ending.state, record.ending.exit_status) == (state, status)


def test_a_job_that_was_requeued_has_a_record_all_the_same() -> None:
    text = RECORD.format(name="x").replace('"" 0 "" 0 "" -1', '"" 0 "" 10 "" -1')
    assert [record.requeued for record in acct_file.read(text.encode(), "grid").records] == [True]


def test_records_of_old_and_parallel_jobs() -> None:
    several = RECORD.format(name="x").replace('0 1 "host2"', '2 "a" "b" 3 "2*host2" "host3" "host2"')
    [record] = acct_file.read(several.replace(" 1 1644826545 ", " 4 1644826545 ").encode(), "grid").records
    assert record.ending.nodes == (("host2", 3), ("host3", 1))
    element = RECORD.format(name="arr[7]").replace('"" "" 0 2048 0', '"" "" 7 2048 0')
    assert told(acct_file.read(element.encode(), "grid")) == [("386[7]", "simuser", "")]
    without_time_event = RECORD.format(name="x").replace('0 1 "" "" 0 2048 0', '0 1 "" 3 2048 0')
    assert told(acct_file.read(without_time_event.encode(), "grid")) == [("386[3]", "simuser", "")]


@given(st.lists(anything, min_size=1, max_size=4))
@example(['\n"JOB_FINISH" "10.1" 1 2 3'])
@example(["\n" + RECORD.format(name="wn-k1-65f0").replace('"simuser"', '"root"')])
def test_no_name_forges_a_record_or_hides_one(forged: list[str]) -> None:
    text = "".join(
        RECORD.format(name=name.replace('"', '""')).replace(" 386 ", f" {at} ", 1)
        for at, name in enumerate(forged)
    )
    read = acct_file.read(text.encode(), "grid")
    assert [id_ for id_, _, _ in told(read)] == [str(at) for at in range(len(forged))]
    assert {user for _, user, _ in told(read)} == {"simuser"}
    assert (read.rest, read.broken) == (0, 0)


@given(st.binary(max_size=300))
def test_what_is_no_record_is_passed_over_and_the_next_one_is_told(rubbish: bytes) -> None:
    rubbish = rubbish.replace(b'"', b"'")
    text = rubbish + b"\n" + RECORD.format(name="x").encode()
    assert told(acct_file.read(text, "grid")) == [("386", "simuser", "")]


@given(st.integers(1, len(RECORD) - 2))
@settings(max_examples=20)
def test_a_record_that_was_cut_off_spoils_only_itself(at: int) -> None:
    whole = RECORD.format(name="x")
    cut = whole[: min(at, len(whole) - 1)].encode()
    assert acct_file.read(cut, "grid") == acct_file.Read([], len(cut), 0)
    read = acct_file.read(cut + b"\n" + (whole * 1000).encode(), "grid")
    assert len(read.records) + read.broken >= 1001  # what was cut off near its end tells all the same
    assert len(read.records) >= 1000


@given(st.integers(0, 3 * len(RECORD)))
def test_a_file_is_read_the_same_in_two_pieces_as_in_one(at: int) -> None:
    whole = (RECORD.format(name="x") * 3).encode()
    first = acct_file.read(whole[:at], "grid")
    second = acct_file.read(
        whole[at - first.rest :] if at <= len(whole) else whole[len(whole) - first.rest :], "grid"
    )
    assert len(first.records) + len(second.records) == 3
