"""What is read from Slurm's own output, recorded from a real cluster by the driver's own commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from wnodes_engine.backend import Health, Job, JobRef, JobState
from wnodes_slurm import accounting, config, doctor, jobs, nodes

RECORDED = Path(__file__).with_name("recorded")
KEY = "0123456789abcdef01234567"


def recorded(name: str) -> bytes:
    return (RECORDED / name).read_bytes()


@pytest.fixture(scope="module")
def shown() -> dict[str, Job]:
    seen = nodes.read(recorded("nodes").decode())
    rows = jobs.read(recorded("squeue"), "grid")
    return {job.ref.id: job for job in jobs.jobs(rows, {}, seen.allocated)}


def test_every_job_that_has_not_ended_is_there_once_and_no_other(shown: dict[str, Job]) -> None:
    assert set(shown) == {"1", "2", "3", "4", "5", "6_0", "6_1", "6_[2-5%2]", "7", "12", "13"}


def test_a_held_job_of_ours_has_its_key_and_our_time_of_submission(shown: dict[str, Job]) -> None:
    job = shown["1"]
    assert job == Job(
        ref=JobRef("grid", "1", KEY, 0x69260001),
        state=JobState.HELD,
        native_state="PENDING",
        user="games",
        cores=2,
        memory=128,
        group="games",
        account="cloud",
        queue="grid",
        qos="normal",
        walltime=900,
        reason="JobHeldUser",
    )


def test_a_running_job_is_on_its_node_with_what_it_holds(shown: dict[str, Job]) -> None:
    job = shown["2"]
    assert (job.state, job.nodes, job.cores, job.memory, job.gpus) == (
        JobState.RUNNING,
        (("g1", 4),),
        4,
        400,
        1,
    )
    assert job.ref.key == KEY
    assert job.started_at is not None


def test_a_native_job_has_its_user_account_partition_and_qos(shown: dict[str, Job]) -> None:
    job = shown["4"]
    assert (job.user, job.group, job.account, job.queue, job.qos) == (
        "games",
        "games",
        "grid",
        "short",
        "high",
    )
    assert (job.ref.key, job.walltime) == ("", 300)


def test_a_job_of_several_nodes_is_spread_as_the_nodes_say(shown: dict[str, Job]) -> None:
    assert shown["3"].nodes == (("g2", 6), ("g3", 2))


def test_a_name_with_line_breaks_is_one_job_and_not_ours(shown: dict[str, Job]) -> None:
    job = shown["5"]
    assert (job.ref.key, job.user, job.state) == ("", "man", JobState.RUNNING)
    assert "99" not in shown


def test_a_preempted_job_pends_under_its_old_reference(shown: dict[str, Job]) -> None:
    job = shown["12"]
    assert job.ref == JobRef("grid", "12", KEY, 0x69260005)
    assert (job.state, job.started_at, job.nodes, job.restarts) == (JobState.PENDING, None, (), 1)


def test_a_suspended_job_is_where_it_was(shown: dict[str, Job]) -> None:
    assert (shown["7"].state, shown["7"].nodes) == (JobState.SUSPENDED, (("g4", 3),))


def test_nodes_are_read_with_what_they_have_and_a_drained_one_takes_nothing() -> None:
    seen = nodes.read(recorded("nodes").decode())
    g1, _, g3, _ = seen.nodes
    assert (g1.name, g1.cores, g1.memory, g1.gpus, g1.up) == ("g1", 16, 64000, 2, True)
    assert g1.properties == {"ssd", "partition:grid", "partition:short"}
    assert not g3.up
    assert seen.reasons == {"g3": "disk is full, State=IDLE"}


def test_endings_are_told_with_state_status_and_what_was_used() -> None:
    records = {record.ending.ref.id: record for record in accounting.read(recorded("sacct"), "grid")}
    assert {id_: (each.ending.state, each.ending.exit_status) for id_, each in records.items()} == {
        "8": (JobState.FAILED, 3),
        "9": (JobState.DONE, 0),
        "12": (JobState.FAILED, None),
        "14": (JobState.CANCELLED, None),
    }
    done = records["9"].ending
    assert (done.ref.key, done.nodes, done.cores, done.memory) == (KEY, done.nodes, 1, 100)
    assert len(done.nodes) == 1
    assert (done.user, done.account, done.queue, done.qos) == ("games", "grid", "grid", "normal")
    assert done.cpu_seconds == 0


def test_a_job_that_was_cancelled_before_it_started_never_started() -> None:
    [ending] = [
        each.ending for each in accounting.read(recorded("sacct"), "grid") if each.ending.ref.id == "14"
    ]
    assert (ending.started_at, ending.nodes, ending.cores) == (None, (), 0)


def test_what_may_have_been_queued_again_is_marked() -> None:
    marked = {each.ending.ref.id for each in accounting.read(recorded("sacct"), "grid") if each.may_return}
    assert marked == {"12"}


def test_without_accounting_the_controllers_listing_tells_endings() -> None:
    rows = jobs.read(recorded("squeue"), "grid")
    found = {each.ref.id: each for row in rows if (each := accounting.from_row(row)) is not None}
    assert {id_: (each.state, each.exit_status) for id_, each in found.items()} == {
        "8": (JobState.FAILED, 3),
        "9": (JobState.DONE, 0),
        "14": (JobState.CANCELLED, None),
    }
    assert found["14"].started_at is None


def test_a_cluster_that_is_set_up_well_has_no_findings() -> None:
    settings = config.read(recorded("config").decode())
    found = doctor.findings(
        settings,
        config.partitions(recorded("partitions").decode()),
        own="wnodes",
        submission=Health("submission", True, ""),
        privileged=True,
        now=(settings.taken_at or 0) + 2,
    )
    assert [health.check for health in found if not health.well] == []


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("SLURM_VERSION = 21.08.8", "version"),
        ("Configuration data as of 1795660000", "clock"),
        ("AccountingStorageType = accounting_storage/none", "accounting"),
        ("SelectTypeParameters = CR_CORE", "memory"),
        ("DefMemPerCPU = UNLIMITED", "memory"),
        ("EnforcePartLimits = NO", "limits"),
        ("Epilog = (null)", "epilog"),
        ("ReturnToService = 2", "returning nodes"),
        ("PrivateData = jobs,nodes", "sight"),
    ],
)
def test_each_setting_that_breaks_a_promise_is_found(change: str, check: str) -> None:
    settings = config.read(change + "\n" + recorded("config").decode())
    found = doctor.findings(
        settings,
        [],
        own="wnodes",
        submission=Health("submission", True, ""),
        privileged=check != "sight",
        now=1795660451,
    )
    ill = {health.check: health for health in found if not health.well}
    assert check in ill
    assert ill[check].mend
    assert set(ill) <= {check, "rights"}
