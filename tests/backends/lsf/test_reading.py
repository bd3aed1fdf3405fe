"""Readers of what the commands of a real system printed, and of what IBM documents."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from backends.lsf.recordings import recorded
from wnodes_engine.backend import JobState
from wnodes_lsf import accounting, config, hosts, jobs, listing, long, words
from wnodes_lsf.fields import HostSaid, Said
from wnodes_lsf.jobs import Form, Row
from wnodes_lsf.words import Unit

NOW = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp())


def at(text: str) -> int:
    """Seconds of `23 01:53:30` in the November of the recordings."""
    return int(datetime.strptime(f"2026-11-{text}+0000", "%Y-%m-%d %H:%M:%S%z").timestamp())


def row(said: Said, form: Form | None = None, told: long.Told | None = None) -> Row:
    form = form or Form(has_index=False)
    more = {jobs.id_of(said, form.has_index): told} if told is not None else {}
    [made] = jobs.rows([said], "grid", NOW, form, more)
    return made


def test_jobs_in_json() -> None:
    rows = jobs.rows(listing.jobs(recorded("bjobs_o_json").out.encode()), "grid", NOW, Form(has_index=False))
    assert [(each.ref.id, each.native_state, each.state, each.nodes) for each in rows] == [
        ("8", "PEND", JobState.PENDING, ()),
        ("11", "PSUSP", JobState.HELD, ()),
        ("13", "EXIT", JobState.FAILED, (("vm", 1),)),
        ("2", "DONE", JobState.DONE, (("vm", 1),)),
        ("3", "EXIT", JobState.FAILED, (("vm", 1),)),
    ]
    assert {each.ref.submitted_at for each in rows} == {at("23 01:53:00")}
    assert [job.ref.id for job in jobs.jobs(rows)] == ["8", "11"]


def test_no_jobs_and_unknown_ones_in_json() -> None:
    assert listing.jobs(recorded("bjobs_o_json_none").out.encode()) == []
    [said] = listing.jobs(recorded("bjobs_o_json_unknown").out.encode())
    assert (said.jobid, said.error) == ("99999", "Job <99999> is not found")


SAID = Said(
    jobid="2", stat="RUN", user="labuser", queue="short", job_name="my.job_1", submit_time="Nov 23 01:53"
)


@pytest.mark.parametrize(
    "text", [recorded("bjobs_UF_run").out, recorded("bjobs_l_run").out], ids=["-UF", "-l"]
)
def test_what_the_long_listing_adds(text: str) -> None:
    [block] = long.blocks(text.encode())
    assert long.belongs(block, "my.job_1", "labuser")
    told = long.read(block, NOW, "my.job_1")
    made = row(msgspec.structs.replace(SAID, exec_host="vm"), told=told)
    assert made.nodes == (("vm", 2),)
    assert (made.cores, made.memory, made.walltime) == (2, 100, 300)
    assert (made.account, made.started_at) == ("projA", at("23 01:53:30"))


def test_a_job_on_several_hosts() -> None:
    text = recorded("m_bjobs").part("\nJob <20>")
    first, second = long.blocks(text.encode())  # of -l and of -UF
    wanted = (("vn2", 4), ("vn1", 4), ("vm", 2))
    assert long.read(first, NOW).hosts == long.read(second, NOW).hosts == wanted
    assert long.read(second, NOW).slots == 10


@pytest.mark.parametrize(
    ("name", "status", "ended"),
    [
        ("bjobs_UF_exit", 3, "23 01:53:30"),
        ("bkill", 130, "23 01:56:17"),
        ("bkill_pending", None, "23 01:56:21"),
    ],
)
def test_how_a_job_ended(name: str, status: int | None, ended: str) -> None:
    [block] = long.blocks(recorded(name).out.encode())
    told = long.read(block, NOW)
    assert (told.exit_status, told.ended_at, told.status) == (status, at(ended), "EXIT")


def test_a_history_with_a_requeue_tells_the_last_start_and_the_end() -> None:
    [ending] = accounting.from_text(recorded("bhist").out.encode(), "grid", NOW)
    assert (ending.ref.id, ending.user, ending.account, ending.queue) == (
        "15",
        "labuser",
        "default",
        "normal",
    )
    assert (ending.started_at, ending.ended_at) == (at("23 01:56:05"), at("23 01:56:17"))
    assert (ending.state, ending.exit_status, ending.nodes) == (JobState.FAILED, 130, (("vm", 1),))
    assert ending.ref.submitted_at == at("23 01:55:00")


def test_a_requeue_is_no_end() -> None:
    assert accounting.from_text(recorded("brequeue").part("\nJob <15>").encode(), "grid", NOW) == []


BACCT = """
Accounting information about jobs that are:
  - submitted by all users.
------------------------------------------------------------------------------

Job <3329613>, Job Name <wn-k1-65f0>, User <rmurri>, Project <default>, Status <EXIT>,
                      Queue <pub.1h>, Command <sleep 60>, Share group charged </lsf_biol_all/lsf
                     _aeber/rmurri>
Mon Oct  8 17:07:54: Submitted from host <brutus4>, CWD <$HOME>, Output File <l
                     sf.o%J>;
Mon Oct  8 17:08:44: Dispatched 3 Task(s) on Host(s) <2*a3201> <a3202>, Allocated 3 Sl
                     ot(s) on Host(s) <2*a3201> <a3202>, Effective RES_REQ <select[type == any] >;
Mon Oct  8 17:09:51: Completed <exit>; TERM_OWNER: job killed by owner.

Accounting information about this job:
     Share group charged </lsf_biol_all/lsf_aeber/rmurri>
     CPU_T     WAIT     TURNAROUND   STATUS     HOG_FACTOR    MEM    SWAP
      7.08       50            117     exit         0.0007     5M    222M
------------------------------------------------------------------------------

SUMMARY:      ( time unit: second )
"""


def test_what_bacct_tells() -> None:
    [ending] = accounting.from_text(BACCT.encode(), "grid", NOW)
    assert (ending.ref.key, ending.user, ending.queue) == ("k1", "rmurri", "pub.1h")
    assert (ending.state, ending.native_state) == (JobState.CANCELLED, "EXIT TERM_OWNER")
    assert ending.nodes == (("a3201", 2), ("a3202", 1))
    assert (ending.cores, ending.cpu_seconds, ending.memory_used) == (3, 7, 5)
    assert ending.ended_at == int(datetime(2026, 10, 8, 17, 9, 51, tzinfo=UTC).timestamp())


def test_jobs_as_ibm_shows_them() -> None:
    said = Said(
        jobid="123", jobindex="4", stat="RUN", user="ada", queue="grid", job_name="wn-k1-65f0",
        proj_name="lab", submit_time="Nov 23 01:53:28 2026", start_time="Nov 23 01:53:30 2026",
        exec_host="2*hostA:hostB",
        nalloc_slot="3", runtimelimit="00:10:00", user_group="-", gpu_num="1",
        combined_resreq="select[type == any] rusage[mem=512.00:tmp=3.00] span[ptile=2]",
    )  # fmt: skip
    made = row(said, Form(Unit.MB, per_task=False, has_index=True))
    assert (made.ref.id, made.ref.key, made.ref.submitted_at) == ("123[4]", "k1", 0x65F0)
    assert made.nodes == (("hostA", 2), ("hostB", 1))
    assert (made.cores, made.memory, made.gpus, made.walltime) == (3, 1024, 1, 600)
    assert (made.account, made.group, made.started_at) == ("lab", "", at("23 01:53:30"))
    assert row(said, Form(Unit.MB, per_task=True)).memory == 3 * 512
    assert row(said, Form(Unit.GB)).memory == 2 * 512 * 1024


@pytest.mark.parametrize(
    ("fields", "state", "status"),
    [
        ({"stat": "DONE", "exit_code": ""}, JobState.DONE, 0),
        ({"stat": "EXIT", "exit_code": "3"}, JobState.FAILED, 3),
        (
            {"stat": "EXIT", "exit_code": "130", "exit_reason": "TERM_OWNER: job killed by owner."},
            JobState.CANCELLED,
            130,
        ),
        (
            {"stat": "EXIT", "exit_code": "140", "exit_reason": "TERM_RUNLIMIT: job killed"},
            JobState.FAILED,
            140,
        ),
        ({"stat": "EXIT", "exit_reason": "Exited by signal 9"}, JobState.FAILED, 137),
        ({"stat": "EXIT", "exec_host": "-", "start_time": "-"}, JobState.CANCELLED, None),
        ({"stat": "ZOMBI"}, JobState.ENDING, None),
        ({"stat": "UNKWN"}, JobState.UNKNOWN, None),
        ({"stat": "LEVITATING"}, JobState.UNKNOWN, None),
        ({"stat": "WAIT"}, JobState.STARTING, None),
        ({"stat": "SSUSP"}, JobState.SUSPENDED, None),
    ],
)
def test_the_states_of_jobs(fields: dict[str, str], state: JobState, status: int | None) -> None:
    made = row(msgspec.structs.replace(SAID, **{"exec_host": "vm", **fields}))
    assert (made.state, made.exit_status) == (state, status)
    assert made.native_state.split()[0] == fields["stat"]


def test_a_job_of_unknown_state_still_holds_its_slots() -> None:
    [job] = jobs.jobs([row(msgspec.structs.replace(SAID, stat="UNKWN", exec_host="2*vm"))])
    assert (job.nodes, job.cores) == ((("vm", 2),), 2)


# --------------------------------------------------------------------------- hosts


def test_hosts_and_their_states() -> None:
    said = listing.wide_hosts(recorded("m_host_down").part("HOST_NAME", "JOBID"))
    assert [(each.host_name, each.status, each.max) for each in said] == [
        ("vm", "ok", "8"),
        ("vn1", "unreach", "8"),
        ("vn2", "ok", "8"),
        ("vn3", "ok", "4"),
    ]
    seen = hosts.machines(
        recorded("m_hosts").part("HOST_NAME                       type", "HOST_NAME       status")
    )
    before = hosts.nodes(said, seen, {})
    assert [(node.name, node.cores, node.memory, node.up) for node in before] == [
        ("vm", 8, 24105, True),
        ("vn1", 8, 24105, False),
        ("vn2", 8, 24105, True),
        ("vn3", 4, 24105, True),
    ]
    assert before[3].properties == {"fs", "cs", "type:linux", "model:IntelI5"}


def test_a_host_that_is_away_keeps_what_it_had() -> None:
    away = hosts.machines(recorded("m_host_down2").part("HOST_NAME      type"))
    assert (away["vn1"].cores, away["vn1"].memory) == (0, 0)
    seen = hosts.machines(recorded("lshosts_w").out)
    said = [HostSaid("vm", "ok", "-")]
    [before] = hosts.nodes(said, seen, {})
    [after] = hosts.nodes([HostSaid("vm", "unavail", "-")], {"vm": away["vn1"]}, {"vm": before})
    assert (before.cores, after.cores, after.memory, after.up) == (2, 2, 24105, False)


@pytest.mark.parametrize(
    ("status", "up"),
    [("ok", True), ("closed_Full", True)]
    + [
        (f"closed_{why}", False)
        for why in ("Adm", "Busy", "Excl", "Lock", "LIM", "Wind", "EGO", "cu_excl", "RC")
    ]
    + [
        (status, False) for status in ("closed", "unavail", "unreach", "unlicensed", "busy", "levitating", "")
    ],
)
def test_which_hosts_take_work(status: str, up: bool) -> None:
    [node] = hosts.nodes([HostSaid("vm", status, "8")], {}, {})
    assert node.up is up


def test_why_a_host_was_closed() -> None:
    assert hosts.comment(recorded("hclose_root").part("HOST  vm")) == "disk swap, ticket 42"
    assert hosts.comment(recorded("m_host_down").part("HOST  vn3")) == ""


def test_hosts_in_json_as_ibm_shows_them() -> None:
    said = listing.hosts(
        b'{"COMMAND":"bhosts","HOSTS":1,"RECORDS":[{"HOST_NAME":"n1","STATUS":"closed_Full","MAX":"4","NJOBS":"4"}]}'
    )
    assert [(each.host_name, each.status, each.max) for each in said] == [("n1", "closed_Full", "4")]


# --------------------------------------------------------------------------- settings


def test_the_settings_of_the_recorded_system() -> None:
    read = config.read(recorded("version").part("volclava"), recorded("bparams").out, "", "")
    assert not read.is_lsf
    assert (read.cluster, read.remembers, read.per_task, read.extends) == ("labcl", 3600, False, False)
    assert read.absolute_limits is None
    [queue] = config.queues(recorded("bqueues_l").out)
    assert (queue.name, queue.reruns, queue.has_post_exec) == ("short", True, False)


@pytest.mark.parametrize(
    ("product", "version"),
    [
        ("IBM Spectrum LSF Standard 10.1.0.13, Apr 14 2022", (10, 1, 0, 13)),
        ("IBM Platform LSF Standard 9.1.3.0, July 4 2014", (9, 1, 3, 0)),
        ("Platform LSF 8.0.1.0", (8, 0, 1, 0)),
        ("volclava project 2.2, Nov 23 2026", ()),
        ("openlava project 4.0", ()),
    ],
)
def test_which_lsf_it_is(product: str, version: tuple[int, ...]) -> None:
    assert config.read(f"{product}\n\nMy cluster name is x\n", "", "", "").version == version


@pytest.mark.parametrize(
    ("line", "unit"),
    [
        ("", Unit.MB),
        ("LSF_UNIT_FOR_LIMITS=GB", Unit.GB),
        ("LSF_UNIT_FOR_LIMITS=K   # in small", Unit.KB),
        ("  LSF_UNIT_FOR_LIMITS='mb'", Unit.MB),
        ("#LSF_UNIT_FOR_LIMITS=GB", Unit.MB),
        ("LSF_UNIT_FOR_LIMITS=furlong", Unit.MB),
    ],
)
def test_the_unit_of_memory_in_resource_requirements(line: str, unit: Unit) -> None:
    lsf = config.read("IBM Spectrum LSF Standard 10.1.0.13\n", "", "", f"LSF_X=1\n{line}\n")
    assert lsf.unit(None) is unit
    assert lsf.unit(Unit.TB) is Unit.TB
    assert config.read("volclava project 2.2", "", "", line).unit(None) is Unit.MB


def test_who_administers_the_cluster() -> None:
    read = config.read("", "", "CLUSTER_NAME: x\nLSF administrators: lsfadmin wnodes\n", "")
    assert read.administrators == {"lsfadmin", "wnodes"}


# --------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Nov 23 01:53", "23 01:53:00"),
        ("Mon Nov 23 01:53:28", "23 01:53:28"),
        ("Mon Nov 23 01:53:28 2026", "23 01:53:28"),
        ("Nov 23 01:53:28 2026 L", "23 01:53:28"),
        ("Nov 23 01:53 E", "23 01:53:00"),
        ("Nov  3 01:53", "03 01:53:00"),
        ("11/23-01:53:30", "23 01:53:30"),
    ],
)
def test_times_with_and_without_a_year(text: str, wanted: str) -> None:
    assert words.moment(text, NOW) == at(wanted)


@pytest.mark.parametrize(
    "text", ["", "-", "Nov 23", "Foo 23 01:53", "Nov 31 01:53", "13/40-01:02:03", "23 nov. 01:53"]
)
def test_what_is_no_time(text: str) -> None:
    assert words.moment(text, NOW) is None


def test_a_time_without_a_year_is_the_last_one() -> None:
    new_year = int(datetime(2027, 1, 1, 12, tzinfo=UTC).timestamp())
    assert words.moment("Dec 31 23:59", new_year) == int(
        datetime(2026, 12, 31, 23, 59, tzinfo=UTC).timestamp()
    )
    assert words.moment("Jan 1 23:59", new_year) == int(datetime(2027, 1, 1, 23, 59, tzinfo=UTC).timestamp())
    assert words.moment("Jan 4 00:00", new_year) == int(datetime(2026, 1, 4, tzinfo=UTC).timestamp())
    assert words.moment("Feb 29 10:00", new_year) == int(datetime(2024, 2, 29, 10, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("6 Mbytes", 6),
        ("5.2 Gbytes", 5325),
        ("24105M", 24105),
        ("900 Kbytes", 1),
        ("1.5T", 1572864),
        ("100", 1),
        ("-", 0),
        ("", 0),
        ("lots", 0),
        ("1G", 1024),
        ("2048 KB", 2),
    ],
)
def test_amounts_of_memory(text: str, mib: int) -> None:
    assert words.mib(text) == mib


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2*hostA:hostB", (("hostA", 2), ("hostB", 1))),
        ("vn2:vn2:vn1", (("vn2", 2), ("vn1", 1))),
        ("16*host1201-ib:16*host1202-ib", (("host1201-ib", 16), ("host1202-ib", 16))),
        ("   -   ", ()),
        ("", ()),
        ("-", ()),
        ("node1@other", (("node1@other", 1),)),
    ],
)
def test_where_a_job_runs(text: str, wanted: words.Cores) -> None:
    assert words.exec_hosts(text) == wanted


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:10:00", 600),
        ("10.0", 600),
        ("5.0 min", 300),
        ("1440.0/hostA", 86400),
        ("7.5 min of vm", 450),
        ("-", None),
        ("100:00:01", 360001),
        ("", None),
    ],
)
def test_run_limits(text: str, seconds: int | None) -> None:
    assert words.run_limit(text) == seconds


@pytest.mark.parametrize(
    ("asked", "mib"),
    [
        ("rusage[mem=100.00]", 200),
        ("select[mem>9999] rusage[tmp=3:mem=1G]", 2048),
        ("rusage[mem=100/task]", 400),
        ("rusage[mem=100/job]", 100),
        ("rusage[mem=100/host,swp=5]", 200),
        ("rusage[swp=100] || rusage[x=1]", 0),
        ("rusage[mem=10||mem=20]", 20),
        ("", 0),
    ],
)
def test_memory_that_is_reserved(asked: str, mib: int) -> None:
    assert words.reserved(asked, Unit.MB, hosts=2, slots=4, per_task=False) == mib


def test_a_job_has_its_project_and_the_group_of_its_users_account_where_it_names_none() -> None:
    named = msgspec.structs.replace(SAID, proj_name="atlas", user_group="cms", exec_host="vm")
    plain = msgspec.structs.replace(SAID, proj_name="default", user_group="-", exec_host="vm")
    made = jobs.jobs([row(named), row(plain)], {"labuser": "staff"}.__getitem__)
    assert [(job.project, job.group) for job in made] == [("atlas", "cms"), ("", "staff")]
