"""How TORQUE and PBS write things down, and what is made of what nobody would write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wnodes_batch.bulk import Unreadable
from wnodes_engine.backend import JobState
from wnodes_torque import accounting, config, states, words
from wnodes_torque.accounting import Deletion
from wnodes_torque.config import Config
from wnodes_torque.options import Dialect
from wnodes_torque.words import Size


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("100mb", 100),
        ("24683656kb", 24106),
        ("1kb", 1),
        ("2gb", 2048),
        ("1tb", 1 << 20),
        ("9999gb", 9999 * 1024),
        ("1048576b", 1),
        ("1048577", 2),
        ("10736449355776b", 10239076),
        ("128kw", 1),
        ("1gw", 8192),
        ("131072w", 1),
        ("100MB", 100),
        ("0kb", 0),
        ("", 0),
        ("lots", 0),
        ("-1kb", 0),
        ("1.5gb", 0),
    ],
)
def test_sizes_of_memory(text: str, mib: int) -> None:
    assert words.mib(text) == mib


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("01:00:00", 3600),
        ("100:00:00", 360000),
        ("2:00:00:00", 172800),
        ("05:30", 330),
        ("12722", 12722),
        ("00:00:20.5", 20),
        ("0", 0),
        ("", None),
        ("1::0", None),
        ("-5", None),
        ("unlimited", None),
    ],
)
def test_durations(text: str, seconds: int | None) -> None:
    assert words.seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1795400510", 1795400510),
        ("Mon Nov 23 02:35:12 2026", 1795401312),
        ("Thu Jan  1 00:00:00 1970", None),
        ("0", None),
        ("", None),
        ("Mon Xyz 23 02:35:12 2026", None),
        ("Mon Nov 99 02:35:12 2026", None),
        ("yesterday", None),
    ],
)
def test_moments(text: str, at: int | None) -> None:
    assert words.moment(text) == at


@given(st.integers(min_value=86400 * 366, max_value=4_000_000_000))
def test_a_moment_of_pbs_is_read_as_it_is_written(at: int) -> None:
    assert words.moment(datetime.fromtimestamp(at, UTC).strftime("%a %b %e %H:%M:%S %Y")) == at


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("tq1/2-3+tq2/0-1", (("tq1", 2), ("tq2", 2))),
        ("tq1/0-1", (("tq1", 2),)),
        ("tq1/6", (("tq1", 1),)),
        ("n/0,2,4-6+m/1", (("n", 5), ("m", 1))),
        ("n/0+n/1+m/3", (("n", 2), ("m", 1))),
        ("pbsn1/3*2+pbsn2/2*2", (("pbsn1", 2), ("pbsn2", 2))),
        ("pbsn1/0", (("pbsn1", 1),)),
        ("n1.site.org/0*16", (("n1.site.org", 16),)),
        ("", ()),
    ],
)
def test_hosts_and_their_slots(text: str, cores: Any) -> None:
    assert words.exec_host(text) == cores


@pytest.mark.parametrize("text", ["n", "/0", "n/", "n/x", "n/3-1", "n/0*x", "n/0-99999999", "+", "n/0+"])
def test_what_are_no_hosts_is_an_error(text: str) -> None:
    with pytest.raises(Unreadable):
        words.exec_host(text)


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("(pbsn1:ncpus=2:mem=102400kb)", (("pbsn1", 2),)),
        ("(pbsn1:ncpus=2)+(pbsn2:ncpus=2)", (("pbsn1", 2), ("pbsn2", 2))),
        ("(a:ncpus=1+b:ncpus=1)+(a:ncpus=3)", (("a", 4), ("b", 1))),
        ("(a:ncpus=1:mem=1gb+b:mem=1gb)", (("a", 1),)),
        ("", ()),
    ],
)
def test_vnodes_and_their_cores(text: str, cores: Any) -> None:
    assert words.exec_vnode(text) == cores


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1:ppn=2", Size(2)),
        ("4", Size(4)),
        ("2:ppn=4:gpus=1:bigmem", Size(8, 0, 2)),
        ("tq1:ppn=2+tq2:ppn=2", Size(4)),
        ("tq3:ppn=3", Size(3)),
        ("gpu", Size(1)),
        ("1:ppn=2#shared", Size(2)),
        ("3:ppn=2+2:ppn=1", Size(8)),
    ],
)
def test_what_a_job_of_torque_asks_for(text: str, size: Size) -> None:
    assert words.node_spec(text) == size


@pytest.mark.parametrize(
    ("native", "substate", "exit_status", "has_started", "state"),
    [
        ("Q", "10", None, False, JobState.PENDING),
        ("H", "20", None, False, JobState.HELD),
        ("W", "30", None, False, JobState.PENDING),
        ("T", "0", None, False, JobState.PENDING),
        ("R", "42", None, True, JobState.RUNNING),
        ("R", "41", None, True, JobState.STARTING),
        ("S", "42", None, True, JobState.SUSPENDED),
        ("S", "43", None, True, JobState.SUSPENDED),
        ("E", "50", None, True, JobState.ENDING),
        ("C", "59", 0, True, JobState.DONE),
        ("C", "59", 271, True, JobState.FAILED),
        ("C", "59", -2, True, JobState.FAILED),
        ("C", "59", None, False, JobState.CANCELLED),
        ("F", "92", 0, True, JobState.DONE),
        ("F", "93", 3, True, JobState.FAILED),
        ("F", "91", 143, True, JobState.CANCELLED),
        ("X", "92", 0, True, JobState.DONE),
        ("M", "94", None, False, JobState.UNKNOWN),
        ("?", "", None, False, JobState.UNKNOWN),
        ("", "", None, False, JobState.UNKNOWN),
    ],
)
def test_states_of_jobs(
    native: str, substate: str, exit_status: int | None, has_started: bool, state: JobState
) -> None:
    assert states.job_state(native, substate, exit_status, has_started) is state


@pytest.mark.parametrize(
    ("native", "status"),
    [(0, 0), (3, 3), (271, 143), (143, 143), (265, 137), (-2, None), (-11, None), (None, None)],
)
def test_exit_statuses_are_told_as_a_shell_would(native: int | None, status: int | None) -> None:
    assert states.shell_status(native) == status


@pytest.mark.parametrize(
    ("native", "takes_work", "is_offline"),
    [
        ("free", True, False),
        ("job-exclusive", True, False),
        ("job-busy", True, False),
        ("offline", False, True),
        ("down,offline", False, True),
        ("offline,job-exclusive", False, True),
        ("down,job-exclusive", False, False),
        ("down, offline", False, True),
        ("busy", False, False),
        ("state-unknown,down", False, False),
        ("resv-exclusive", False, False),
        ("something-new", False, False),
        ("", False, False),
    ],
)
def test_states_of_nodes_in_combination(native: str, takes_work: bool, is_offline: bool) -> None:
    assert (states.takes_work(native), states.is_offline(native)) == (takes_work, is_offline)


def test_a_node_that_sleeps_takes_nothing() -> None:
    assert not states.takes_work("free", "Standby")


@pytest.mark.parametrize(
    ("said", "dialect", "version"),
    [
        ("pbs_version = 23.06.06", Dialect.PBS, "23.06.06"),
        ("Version: master\nCommit: 34ff845", Dialect.TORQUE, "master"),
        ("Version: 6.1.2", Dialect.TORQUE, "6.1.2"),
        ("version: 4.2.10", Dialect.TORQUE, "4.2.10"),
    ],
)
def test_a_version_tells_the_dialect(said: str, dialect: Dialect, version: str) -> None:
    assert config.dialect_of(said) == (dialect, version)
    assert config.dialect_of("slurm 22.05") is None


@pytest.mark.parametrize(
    ("managers", "trusts"),
    [
        ("wnodes@head", True),
        ("root@head,wnodes@head.site.org", True),
        ("wnodes@*", True),
        ("wnodes@*.site.org", True),
        ("wnodes", True),
        ("root@*", False),
        ("wnodes@other", False),
        ("wnodesx@*", False),
        ("", False),
    ],
)
def test_who_is_a_manager(managers: str, trusts: bool) -> None:
    read = Config(Dialect.TORQUE, "6", {"managers": managers})
    assert read.trusts("wnodes", "head.site.org") is trusts


@pytest.mark.parametrize(
    ("dialect", "said", "seconds"),
    [
        (Dialect.TORQUE, {"keep_completed": "600"}, 600),
        (Dialect.TORQUE, {}, 0),
        (Dialect.PBS, {"job_history_enable": "True"}, 14 * 86400),
        (Dialect.PBS, {"job_history_enable": "True", "job_history_duration": "01:00:00"}, 3600),
        (Dialect.PBS, {}, 0),
    ],
)
def test_how_long_a_server_remembers(dialect: Dialect, said: dict[str, str], seconds: int) -> None:
    assert Config(dialect, "", said).remembers == seconds


TORQUE_LINE = (
    "11/30/2015 15:39:52;E;24940336.b0;user=atlaspt5 group=atlaspt jobname=cream_830 queue=atlas "
    "ctime=1448913907 qtime=1448913907 etime=1448913907 start=1448914025 owner=x@head exec_host=b341/2 "
    "Resource_List.file=15gb Resource_List.neednodes=1 Resource_List.nodect=1 Resource_List.nodes=1 "
    "Resource_List.pmem=2000mb Resource_List.walltime=48:00:00 session=22256 total_execution_slots=1 "
    "unique_node_count=1 end=1448926792 Exit_status=271 resources_used.cput=12722 "
    "resources_used.mem=2574308kb resources_used.walltime=03:32:47"
)
PBS_LINE = (
    '11/23/2026 02:35:14;E;19.pbsvm;user=labuser group=labuser account="my lab" project=_pbs_project_default '
    'jobname="a b" queue=workq ctime=1795401313 qtime=1795401313 etime=1795401313 start=1795401313 '
    "exec_host=pbsn1/3*2+pbsn2/2*2 exec_vnode=(pbsn1:ncpus=2)+(pbsn2:ncpus=2) Resource_List.ncpus=4 "
    "Resource_List.mem=100mb session=0 end=1795401314 Exit_status=3 resources_used.cput=00:00:07 run_count=1"
)


def test_a_line_of_torques_log_is_read() -> None:
    told = accounting.read([TORQUE_LINE], "grid", None)
    [ending] = told.endings
    assert (ending.ref.id, ending.ref.key, ending.ref.submitted_at) == ("24940336.b0", "", 1448913907)
    assert (ending.state, ending.exit_status) == (JobState.FAILED, 143)
    assert (ending.started_at, ending.ended_at) == (1448914025, 1448926792)
    assert (ending.nodes, ending.cores, ending.memory) == ((("b341", 1),), 1, 2000)
    assert (ending.cpu_seconds, ending.memory_used) == (12722, 2514)
    assert (ending.user, ending.group, ending.queue) == ("atlaspt5", "atlaspt", "atlas")


def test_a_line_of_pbss_log_is_read() -> None:
    [ending] = accounting.read([PBS_LINE], "grid", None).endings
    assert (ending.user, ending.account, ending.queue, ending.exit_status) == (
        "labuser",
        "my lab",
        "workq",
        3,
    )
    assert (ending.nodes, ending.cores, ending.memory) == ((("pbsn1", 2), ("pbsn2", 2)), 4, 100)
    assert ending.cpu_seconds == 7


@pytest.mark.parametrize(
    ("zone", "at"), [("UTC", 1795401313), ("Europe/Rome", 1795397713), ("America/New_York", 1795419313)]
)
def test_a_deletion_has_the_servers_own_time(zone: str, at: int) -> None:
    line = "11/23/2026 02:35:13;D;16.vm;requestor=root@vm"
    assert accounting.read([line], "grid", ZoneInfo(zone)).deletions == (Deletion("16.vm", at, "D"),)


def test_the_words_of_users_do_not_pass_for_the_servers() -> None:
    """TORQUE writes an account with blanks in it as it is."""
    forged = "account=x jobname=wn-0123-1 exec_host=n1/0-63 start=1 end=2 Exit_status=0 jobname=mine"
    [ending] = accounting.read([TORQUE_LINE.replace("jobname=cream_830", forged)], "grid", None).endings
    assert (ending.ref.key, ending.user, ending.nodes) == ("", "atlaspt5", ())
    assert (ending.ended_at, ending.exit_status) == (1448926792, 143)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "11/23/2026 02:35:13;Q;16.vm;queue=batch",
        "11/23/2026 02:35:13;S;16.vm;user=x",
        "11/23/2026 02:35:13;L;license;floating license",
        "11/23/2026 02:35:13;E;22[].pbsvm;user=x end=1 Exit_status=0",
    ],
)
def test_other_records_tell_no_end(line: str) -> None:
    told = accounting.read([line], "grid", None)
    assert (told.endings, told.deletions, told.unread) == ((), (), 0)


@pytest.mark.parametrize(
    "line",
    [
        "half a line",
        "11/23/2026 02:35:13;E;16.vm;",
        "99/99/2026 02:35:13;D;16.vm;",
        TORQUE_LINE[:300],
        TORQUE_LINE.replace("b341/2", "b341"),
        TORQUE_LINE.replace("Exit_status=271", "Exit_status=many"),
    ],
)
def test_a_line_that_is_none_is_counted(line: str) -> None:
    told = accounting.read([line], "grid", None)
    assert (told.endings, told.unread) == ((), 1)
