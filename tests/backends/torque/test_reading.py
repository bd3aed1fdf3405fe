"""What is read from the real commands' own output, recorded from a TORQUE and an OpenPBS with four nodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from wnodes_batch.bulk import Unreadable
from wnodes_engine.backend import ENDED, Job, JobRef, JobState
from wnodes_torque import jobs, openpbs, torque
from wnodes_torque.jobs import Row

RECORDED = Path(__file__).with_name("recorded")


def recorded(name: str) -> bytes:
    return (RECORDED / name).read_bytes()


def by_id(rows: list[Row]) -> dict[str, Row]:
    return {row.ref.id.partition(".")[0]: row for row in rows}


@pytest.fixture(scope="module")
def of_torque() -> dict[str, Row]:
    return by_id(torque.jobs(recorded("torque/qstat"), "grid"))


@pytest.fixture(scope="module")
def of_pbs() -> dict[str, Row]:
    return by_id(jobs.without_arrays(openpbs.jobs(recorded("openpbs/qstat"), "grid")))


def test_every_job_of_torque_is_there_once(of_torque: dict[str, Row]) -> None:
    assert len(of_torque) == recorded("torque/qstat").count(b"<Job_Id>") == 25
    live = {id_ for id_, row in of_torque.items() if row.state not in ENDED}
    assert live == {"23", "24", "25", "26", "34", "36", "37", "38", "40", "41[]"}


def test_a_running_job_of_torque_is_where_it_is_with_what_it_holds(of_torque: dict[str, Row]) -> None:
    [job] = jobs.jobs([of_torque["25"]])
    assert job == Job(
        ref=JobRef("grid", "25.vm", "", 1795400639),
        state=JobState.RUNNING,
        native_state="R",
        user="labuser",
        cores=4,
        memory=0,
        group="labuser",
        queue="batch",
        walltime=3600,
        started_at=1795400639,
        nodes=(("tq1", 2), ("tq2", 2)),
    )


def test_a_native_job_of_torque_has_its_account_and_its_memory(of_torque: dict[str, Row]) -> None:
    job = of_torque["23"]
    assert (job.account, job.queue, job.asked.memory, job.asked.cores) == ("acctA", "short", 100, 2)
    assert of_torque["34"].asked.memory == 9999 * 1024


def test_a_job_of_torque_that_asks_for_nothing_holds_one_core(of_torque: dict[str, Row]) -> None:
    assert (of_torque["40"].asked.cores, of_torque["40"].walltime) == (1, None)


def test_held_and_waiting_jobs_of_torque_are_on_no_node(of_torque: dict[str, Row]) -> None:
    assert [(of_torque[id_].state, of_torque[id_].nodes, of_torque[id_].holds) for id_ in ("37", "38")] == [
        (JobState.HELD, (), "u"),
        (JobState.PENDING, (), "n"),
    ]


def test_how_jobs_of_torque_have_ended_is_told_while_they_are_shown(of_torque: dict[str, Row]) -> None:
    found = {id_: jobs.ending(row) for id_, row in of_torque.items()}
    told = {id_: (each.state, each.exit_status) for id_, each in found.items() if each is not None}
    assert told["0"] == (JobState.DONE, 0)
    assert told["18"] == (JobState.FAILED, 3)
    assert told["2"] == (JobState.FAILED, 128 + 15)  # 271
    assert told["16"] == (JobState.CANCELLED, None)
    assert found["16"] is not None
    assert (found["16"].started_at, found["16"].nodes, found["16"].ended_at) == (None, (), 1795400638)
    assert found["0"] is not None
    assert (found["0"].memory_used, found["0"].cpu_seconds) == (7, 0)


def test_an_empty_farm_has_no_jobs_and_an_answer_that_is_cut_off_is_no_empty_farm() -> None:
    assert torque.jobs(recorded("torque/qstat_empty"), "grid") == []
    whole = recorded("torque/qstat")
    for broken in (whole[:-20], whole[:5000], b"<Data>", whole.replace(b"</Job><Job>", b"</Job>x<Job>", 1)):
        with pytest.raises(Unreadable):
            torque.jobs(broken, "grid")


def test_several_documents_are_one_listing() -> None:
    """For each job that is asked for qstat writes a document of its own."""
    whole = recorded("torque/qstat")
    assert len(torque.jobs(whole + whole, "grid")) == 50


def test_what_users_write_stays_a_value() -> None:
    listing = recorded("torque/qstat").replace(b"smoke", b"a&lt;/Job_Name&gt;&lt;euser&gt;root\x01\n&amp;", 1)
    [job] = [row for row in torque.jobs(listing, "grid") if row.ref.id == "0.vm"]
    assert job.user == "labuser"


def test_nodes_of_torque_are_read_with_what_they_have() -> None:
    seen = torque.nodes(recorded("torque/pbsnodes"))
    assert [(node.name, node.cores, node.memory, node.up) for node in seen.nodes] == [
        ("tq1", 8, 24106, True),
        ("tq2", 8, 24106, True),
        ("tq3", 8, 24106, True),
        ("tq4", 4, 24106, True),
    ]
    assert seen.nodes[0].properties == {"bigmem"}
    assert seen.taken == {"tq1": 7, "tq2": 5, "tq3": 4, "tq4": 0}


@pytest.mark.parametrize(
    ("name", "node", "is_up", "is_offline", "note"),
    [
        ("torque/pbsnodes_offline", "tq2", False, True, "disk swap, ticket 42"),
        ("torque/pbsnodes_down", "tq4", False, False, ""),
        ("torque/pbsnodes_noted", "tq3", True, False, "just a note"),
        ("openpbs/pbsnodes_offline", "pbsn2", False, True, "disk swap, ticket 42"),
        ("openpbs/pbsnodes_down", "pbsn3", False, False, "node down: communication closed"),
    ],
)
def test_a_node_that_is_closed_or_down_takes_nothing(
    name: str, node: str, is_up: bool, is_offline: bool, note: str
) -> None:
    read = torque.nodes if name.startswith("torque") else openpbs.nodes
    seen = read(recorded(name))
    [shown] = seen.nodes
    assert (shown.name, shown.up, node in seen.offline, seen.notes.get(node, "")) == (
        node,
        is_up,
        is_offline,
        note,
    )


def test_jobs_of_arrays_stand_for_themselves_and_not_for_their_array(of_pbs: dict[str, Row]) -> None:
    listed = openpbs.jobs(recorded("openpbs/qstat"), "grid")
    assert len(listed) == len(of_pbs) + 1
    assert "22[]" not in of_pbs
    assert {id_: of_pbs[id_].state for id_ in ("22[1]", "22[2]", "22[3]")} == {
        "22[1]": JobState.RUNNING,
        "22[2]": JobState.RUNNING,
        "22[3]": JobState.PENDING,
    }


def test_a_running_job_of_pbs_is_where_it_is_with_what_it_holds(of_pbs: dict[str, Row]) -> None:
    [job] = jobs.jobs([of_pbs["1"]])
    assert job == Job(
        ref=JobRef("grid", "1.pbsvm", "", 1795401312),
        state=JobState.RUNNING,
        native_state="R",
        user="labuser",
        cores=2,
        memory=100,
        group="labuser",
        account="acctA",
        queue="short",
        walltime=300,
        started_at=1795401312,
        nodes=(("pbsn1", 2),),
        project="projA",
    )
    assert of_pbs["6"].nodes == (("pbsn1", 2), ("pbsn2", 2))


def test_a_waiting_job_of_pbs_says_why(of_pbs: dict[str, Row]) -> None:
    assert (of_pbs["13"].state, of_pbs["13"].asked.cores) == (JobState.PENDING, 500)
    assert "Can Never Run" in of_pbs["13"].reason
    assert (of_pbs["17"].state, of_pbs["17"].holds) == (JobState.HELD, "u")


def test_a_finished_job_of_pbs_tells_how_it_ended() -> None:
    [row] = openpbs.jobs(recorded("openpbs/qstat_done"), "grid")
    ended = jobs.ending(row)
    assert ended is not None
    assert (ended.state, ended.exit_status, ended.started_at, ended.ended_at, ended.nodes) == (
        JobState.FAILED,
        3,
        1795401313,
        1795401314,
        (("pbsn2", 1),),
    )


def test_nodes_of_pbs_are_read_though_zeros_are_left_out() -> None:
    seen = openpbs.nodes(recorded("openpbs/pbsnodes"))
    assert [(node.name, node.cores, node.memory, node.up) for node in seen.nodes] == [
        ("pbsn1", 8, 24106, True),
        ("pbsn2", 8, 24106, True),
        ("pbsn3", 4, 24106, True),
    ]
    assert seen.nodes[2].properties == {"nodetype:gpu"}
    assert seen.taken == {"pbsn1": 8, "pbsn2": 8, "pbsn3": 4}
    assert openpbs.nodes(recorded("openpbs/pbsnodes_offline")).taken == {"pbsn2": 0}


def test_a_node_of_pbs_that_is_not_there_is_none_though_it_is_listed() -> None:
    assert openpbs.nodes(recorded("openpbs/pbsnodes_unknown")).nodes == ()


def test_valid_json_without_jobs_has_none() -> None:
    """A server that is down writes the same; its exit code says so, not its words."""
    for name in ("openpbs/qstat_none", "openpbs/qstat_down"):
        assert openpbs.jobs(recorded(name), "grid") == []


@pytest.mark.parametrize(
    ("value", "name"), [("007", "007"), ("1e5", "100000"), ('"a\tb"', "a\tb"), ("12", "12")]
)
def test_a_name_that_looks_like_a_number_breaks_nothing(value: str, name: str) -> None:
    listing = recorded("openpbs/qstat_done").decode().replace('"fromstdin"', value, 1)
    form = openpbs._read(listing.encode(), openpbs.JobListing)
    assert openpbs._text(form.jobs["19.pbsvm"].name) == name


def test_the_servers_attributes_are_read() -> None:
    of_torque = torque.settings(recorded("torque/server"))
    assert (of_torque["managers"], of_torque["keep_completed"]) == ("root@vm", "600")
    of_pbs = openpbs.settings(recorded("openpbs/server"))
    assert (of_pbs["managers"], of_pbs["job_history_enable"], of_pbs["timestamp"]) == (
        "root@*",
        "True",
        "1795401329",
    )
