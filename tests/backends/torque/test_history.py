"""How jobs have ended: told once, none left out, whatever becomes of the log and whoever writes there."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest
from backends.torque.test_driver import Clock, Lab
from wnodes_engine.backend import Action, BackendUnavailable, Ending, Fate, JobRef, JobState
from wnodes_torque.options import Dialect


@pytest.fixture(params=list(Dialect))
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    return Lab(tmp_path, request.param, Clock(), speed=1000)


def told(lab: Lab, cursor: str = "") -> tuple[list[JobRef], str]:
    refs: list[JobRef] = []
    while True:
        page = lab.finished(cursor)
        refs += [ending.ref for ending in page.records]
        cursor = page.cursor
        if not page.more:
            return refs, cursor


def run(lab: Lab, *keys: str) -> list[JobRef]:
    refs = [lab.taken(key, held=False) for key in keys]
    lab.clock.now += 10
    lab.stub.tick()
    return refs


def only(lab: Lab, cursor: str = "") -> Ending:
    [ending] = lab.finished(cursor).records
    return ending


def test_an_ending_is_told_with_what_was_held_and_used(lab: Lab) -> None:
    [ref] = run(lab, "k")
    ending = only(lab)
    assert (ending.ref, ending.state, ending.exit_status) == (ref, JobState.DONE, 0)
    assert (ending.user, ending.group, ending.queue, ending.cores, ending.memory) == (
        "ada",
        "users",
        "batch",
        1,
        64,
    )
    assert (ending.nodes, ending.cpu_seconds, ending.memory_used) == ((("n1", 1),), 1, 7)


def test_what_is_told_is_not_told_again_and_from_an_older_cursor_it_is(lab: Lab) -> None:
    first = run(lab, "a", "b")
    refs, cursor = told(lab)
    assert refs == first
    second = run(lab, "c")
    assert told(lab, cursor)[0] == second
    assert told(lab, cursor)[0] == second
    assert told(lab)[0] == first + second


def test_the_log_goes_on_in_the_next_days_file_by_the_servers_zone(lab: Lab) -> None:
    run(lab, "a")
    _, cursor = told(lab)
    lab.clock.now += 86400
    second = run(lab, "b")
    assert len(list(lab.log.iterdir())) == 2
    assert told(lab, cursor)[0] == second


def test_days_of_history_are_read_at_the_beginning_and_no_more(lab: Lab) -> None:
    run(lab, "old")
    lab.clock.now += 3 * 86400
    new = run(lab, "new")
    assert told(lab)[0] == new
    lab.backend = lab.driver(history=7 * 86400)
    assert len(told(lab)[0]) == 2


def test_a_log_that_is_packed_or_renamed_behind_us_is_read_to_its_end(lab: Lab) -> None:
    run(lab, "a")
    _, cursor = told(lab)
    second = run(lab, "b")
    [today] = lab.log.iterdir()
    text = today.read_bytes()
    today.unlink()
    (lab.log / f"{today.name}.gz").write_bytes(gzip.compress(text))
    lab.clock.now += 86400
    third = run(lab, "c")
    assert told(lab, cursor)[0] == second + third
    (lab.log / f"{today.name}.gz").rename(lab.log / f"{today.name}.1.gz")
    assert told(lab, cursor)[0] == second + third


def test_a_log_that_was_cut_off_in_the_middle_loses_nothing_and_repeats_nothing(lab: Lab) -> None:
    first = run(lab, "a", "b", "c")
    refs, cursor = told(lab)
    assert refs == first
    [today] = lab.log.iterdir()
    lines = today.read_bytes().splitlines(keepends=True)
    today.write_bytes(b"".join(lines[2:])[:-30])  # the head is gone, and the last line is half
    with today.open("ab") as file:
        file.write(b"\n")
    second = run(lab, "d")
    refs, cursor = told(lab, cursor)
    assert refs == second
    assert told(lab, cursor)[0] == []


def test_a_line_that_is_half_written_waits_for_its_end(lab: Lab) -> None:
    run(lab, "first")
    _, cursor = told(lab)
    for cut in (1, 40, 200):
        new = run(lab, f"k{cut}")
        [today] = lab.log.iterdir()
        whole = today.read_bytes()
        today.write_bytes(whole[:-cut])
        refs, cursor = told(lab, cursor)
        assert refs == []
        today.write_bytes(whole)
        refs, cursor = told(lab, cursor)
        assert refs == new


def test_a_long_log_is_read_in_pages_and_again_from_its_beginning(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = run(lab, *(f"k{at}" for at in range(20)))
    monkeypatch.setattr("wnodes_torque.logs.MOST", 1000)
    for _ in range(2):
        assert lab.finished().more
        assert sorted(told(lab)[0], key=str) == sorted(refs, key=str)


def test_a_driver_that_was_made_anew_goes_on_from_the_cursor(lab: Lab) -> None:
    run(lab, "a")
    _, cursor = told(lab)
    second = run(lab, "b")
    lab.backend = lab.driver()
    assert told(lab, cursor)[0] == second
    assert len(told(lab, "nonsense")[0]) == 2


def test_a_job_that_is_deleted_while_it_waits_is_told_with_its_whole_reference(lab: Lab) -> None:
    """The log has no more than its id."""
    ref = lab.taken()
    assert lab.act(Action.CANCEL, ref).verdict == "done"
    ending = only(lab)
    assert (ending.ref, ending.state, ending.started_at, ending.user) == (
        ref,
        JobState.CANCELLED,
        None,
        "ada",
    )
    assert ending.ended_at == int(lab.clock.now)


@pytest.mark.parametrize("seen", [True, False])
def test_so_it_is_when_the_server_has_forgotten_it_at_once(lab: Lab, seen: bool) -> None:
    lab.stub.keep = 0
    ref = lab.taken()
    if seen:  # by a snapshot, and submitted by another driver
        lab.backend = lab.driver()
        asyncio.run(lab.backend.snapshot())
    lab.act(Action.CANCEL, ref)
    assert only(lab).ref == ref


def test_a_job_that_is_deleted_while_it_runs_is_told_once_as_cancelled(lab: Lab) -> None:
    ref = lab.taken(held=False)
    _, cursor = told(lab)
    lab.act(Action.CANCEL, ref)
    ending = only(lab, cursor)
    assert (ending.ref, ending.state, ending.exit_status) == (ref, JobState.CANCELLED, 143)
    assert told(lab, lab.finished(cursor).cursor)[0] == []


def test_a_deletion_that_takes_its_time_is_no_end_yet(lab: Lab) -> None:
    """The line comes when it was asked for; until its node has answered the job goes on."""
    ref = lab.taken(held=False, walltime=100_000)
    lab.stub._line("D", ref.id, "requestor=ada@srv")
    refs, cursor = told(lab)
    assert refs == []
    lab.backend = lab.driver()
    lab.clock.now += 200
    lab.stub.tick()
    ending = only(lab, cursor)
    assert (ending.ref, ending.state) == (ref, JobState.CANCELLED)


def test_a_job_that_is_run_anew_has_not_ended(lab: Lab) -> None:
    ref = lab.taken(held=False, rerun=True)
    lab.act(Action.REQUEUE, ref)
    assert told(lab)[0] == []


def test_nobody_ends_a_job_of_ours_by_writing_its_end_into_the_log(lab: Lab) -> None:
    """TORQUE copies the words of `qsub -A` as they are, line breaks too."""
    ref = lab.taken(held=False)
    job = next(iter(lab.farm._farm.jobs))
    forged = (
        f"user=eve group=users account=x\n11/26/2026 02:00:00;E;{ref.id};user=ada group=users "
        f"jobname={job.slot.name} queue=batch ctime=1 start=2 exec_host=n1/0 end={int(lab.clock.now)} "
        "Exit_status=0"
    )
    lab.stub._line("E", "77.srv", forged)
    assert ref not in told(lab)[0]
    assert lab.backend._history.doubtful == 1
    ill = {health.check: health for health in asyncio.run(lab.backend.doctor()) if not health.well}
    assert "told the end of a job of ours that is alive" in ill["accounting log"].found


@pytest.mark.parametrize(
    ("kinds", "fate"),
    [
        ("Q", Fate.NEVER_STARTED),
        ("", Fate.NEVER_STARTED),
        ("QS", Fate.VANISHED),
        ("QSR", Fate.VANISHED),
        ("QSE", Fate.UNKNOWN),
        ("QD", Fate.UNKNOWN),
    ],
)
def test_what_became_of_a_job_that_the_server_has_lost_its_log_tells(
    lab: Lab, kinds: str, fate: Fate
) -> None:
    there = lab.taken("there")
    lost = JobRef("grid", "77.srv", "lost", int(lab.clock.now))
    for kind in kinds:
        lab.stub._line(kind, lost.id, "")
    fates = asyncio.run(lab.backend.look_again([there, lost]))
    assert fates == {there: Fate.UNKNOWN, lost: fate}


def test_without_a_log_nobody_knows_whether_a_lost_job_has_run(tmp_path: Path) -> None:
    lab = Lab(tmp_path, Dialect.TORQUE, Clock(), has_log=False)
    lost = JobRef("grid", "77.srv", "lost", int(lab.clock.now))
    assert asyncio.run(lab.backend.look_again([lost])) == {lost: Fate.UNKNOWN}


def test_a_log_that_cannot_be_read_is_an_error_and_the_doctor_says_so(lab: Lab) -> None:
    run(lab, "a")
    for path in lab.log.iterdir():
        path.unlink()
    lab.log.rmdir()
    lab.stub.log = None
    with pytest.raises(BackendUnavailable, match=r"accounting log in .* cannot be read"):
        lab.finished()
    ill = {health.check for health in asyncio.run(lab.backend.doctor()) if not health.well}
    assert "accounting" in ill


@pytest.mark.parametrize("dialect", Dialect)
def test_without_a_log_qstat_tells_as_long_as_it_remembers(dialect: Dialect, tmp_path: Path) -> None:
    lab = Lab(tmp_path, dialect, Clock(), has_log=False, speed=1000)
    first = run(lab, "a", "b")
    held = lab.taken("held")
    lab.act(Action.CANCEL, held)
    refs, cursor = told(lab)
    assert set(refs) == {*first, held}
    assert told(lab, cursor)[0] == []
    lab.clock.now += 700
    second = run(lab, "c")
    assert told(lab, cursor)[0] == second
    ill = {health.check for health in asyncio.run(lab.backend.doctor()) if not health.well}
    assert "accounting" in ill


def test_a_server_that_is_down_keeps_only_the_ends_of_our_jobs_from_being_told(lab: Lab) -> None:
    """Whether those are true it has to say."""
    lab.stub._line(
        "E", "77.srv", f"user=eve group=users jobname=x ctime=1 end={int(lab.clock.now)} Exit_status=0"
    )
    lab.stub.down = True
    [ref] = told(lab)[0]
    assert ref.id == "77.srv"
    lab.stub.down = False
    [ours] = run(lab, "k")
    lab.stub.down = True
    with pytest.raises(BackendUnavailable, match="cannot connect"):
        lab.finished()
    lab.stub.down = False
    assert told(lab)[0] == [ref, ours]


def test_a_time_zone_that_is_not_the_servers_is_found_by_the_doctor(lab: Lab) -> None:
    lab.backend = lab.driver(timezone="Asia/Tokyo")
    run(lab, "k")
    told(lab)
    ill = {health.check: health for health in asyncio.run(lab.backend.doctor()) if not health.well}
    assert "-28800 s" in ill["time zone"].found


def test_a_log_of_another_server_tells_nothing_of_a_lost_job(lab: Lab) -> None:
    lab.taken("there")
    lost = JobRef("grid", "77.other", "lost", int(lab.clock.now))
    assert asyncio.run(lab.backend.look_again([lost])) == {lost: Fate.UNKNOWN}
