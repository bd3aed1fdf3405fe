"""Daemons of Slurm are killed and hang at the worst moments: nothing is lost, run twice or run unreleased."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from labs.slurm.cluster import Cluster
from labs.slurm.driving import SHORT, act, do, driver, ending, endings, is_away, job, reach, run, slot, submit
from labs.slurm.settings import NO_ACCOUNTING
from wnodes_engine.backend import Action, ActionOutcome, JobRef, JobState, NodeAction, Verdict


def test_a_controller_that_is_down_is_an_error_and_no_empty_farm(cluster: Cluster) -> None:
    backend = driver(cluster)
    ref = run(cluster, backend)
    time.sleep(6)  # the controller saves what it knows every 5 s
    cluster.kill("slurmctld")
    fresh = driver(cluster)
    for each in (backend, fresh):
        assert is_away(each.snapshot)
    assert is_away(lambda: backend.find({ref.key: "games"}))
    answer = do(backend.submit(slot()))
    assert isinstance(answer, ActionOutcome)
    assert answer.verdict is Verdict.PASSING
    assert act(backend, Action.CANCEL, ref).verdict is Verdict.PASSING
    assert do(backend.set_node("g1", NodeAction.DRAIN, "x")).verdict is Verdict.PASSING
    cluster.start_controller()
    reach(cluster, backend, ref, JobState.RUNNING)
    assert len(do(backend.snapshot()).jobs) == 1


def test_a_submission_to_a_hung_controller_is_unknown_and_appears_held_at_most_once(cluster: Cluster) -> None:
    backend = driver(cluster)
    wanted = slot()
    with cluster.hung("slurmctld"):
        answer = do(backend.submit(wanted))
        assert isinstance(answer, ActionOutcome)
        assert answer.verdict is Verdict.UNKNOWN
        assert is_away(backend.snapshot)
    cluster.wait(30, "a controller that answers", lambda: not is_away(backend.snapshot))
    time.sleep(25)  # as long as the credentials live, and more
    jobs = do(backend.snapshot()).jobs
    assert len(jobs) <= 1
    assert all(each.ref.key == wanted.key and each.state is JobState.HELD for each in jobs)
    assert do(backend.find({wanted.key: "games"})) == {each.ref.key: each.ref for each in jobs}


def test_a_submission_that_waited_longer_than_its_credentials_live_is_not_taken_in(cluster: Cluster) -> None:
    backend = driver(cluster)
    with cluster.hung("slurmctld"):
        answer = do(backend.submit(slot()))
        assert isinstance(answer, ActionOutcome)
        time.sleep(25)
    cluster.wait(30, "a controller that answers", lambda: not is_away(backend.snapshot))
    time.sleep(5)
    assert do(backend.snapshot()).jobs == ()


def test_what_was_done_to_a_job_while_the_controller_hung_is_unknown(cluster: Cluster) -> None:
    backend = driver(cluster)
    ref = submit(backend)
    real = backend._client.rows

    async def hang_after_the_look(ids: object) -> object:
        rows = await real(ids)  # type: ignore[arg-type]
        cluster.processes["slurmctld"].send_signal(signal.SIGSTOP)
        return rows

    backend._client.rows = hang_after_the_look  # type: ignore[method-assign,assignment]
    try:
        outcome = act(backend, Action.RELEASE, ref)
    finally:
        cluster.processes["slurmctld"].send_signal(signal.SIGCONT)
        backend._client.rows = real  # type: ignore[method-assign]
    assert outcome.verdict is Verdict.UNKNOWN
    cluster.wait(30, "a controller that answers", lambda: not is_away(backend.snapshot))
    assert act(backend, Action.RELEASE, ref).verdict is Verdict.DONE
    reach(cluster, backend, ref, JobState.RUNNING)


def test_a_controller_killed_right_after_it_took_a_job_touches_no_other(cluster: Cluster) -> None:
    """The job may be lost, and a stranger's get its id: then ours is a conflict, and theirs is let be."""
    backend, draw = driver(cluster), random.Random(3)
    for _ in range(5):
        ref = submit(backend)
        time.sleep(draw.random() * 0.3)
        cluster.kill("slurmctld")
        cluster.start_controller()
        theirs = cluster.native(user="man")
        shown = job(backend, ref)
        outcome = act(backend, Action.CANCEL, ref)
        if shown is None:
            assert outcome.verdict is Verdict.CONFLICT
        else:
            assert (shown.state, outcome.verdict) == (JobState.HELD, Verdict.DONE)
        assert cluster.run("squeue", "-h", "-j", theirs, "-o", "%u %i") == f"man {theirs}"
        cluster.run("scancel", theirs)


def test_an_id_that_is_used_again_is_not_taken_for_the_old_job(cluster: Cluster) -> None:
    backend = driver(cluster)
    old = submit(backend, script=SHORT)
    act(backend, Action.RELEASE, old)
    assert ending(cluster, backend, old).state is JobState.DONE
    cluster.kill("slurmctld", signal.SIGTERM)
    for file in (cluster.folder / "state").glob("job_state*"):
        file.unlink()
    cluster.start_controller()
    new: JobRef | None = None
    while new is None or int(new.id) < int(old.id):
        new = submit(backend)
    assert new.id == old.id
    for action in (Action.CANCEL, Action.RELEASE, Action.HOLD):
        assert act(backend, action, old).verdict is Verdict.CONFLICT
    reach(cluster, backend, new, JobState.HELD)
    act(backend, Action.CANCEL, new)
    assert ending(cluster, backend, new).state is JobState.CANCELLED
    again = {each.ref: each.state for each in endings(driver(cluster))}
    assert (again[old], again[new]) == (JobState.DONE, JobState.CANCELLED)


def test_the_jobs_of_a_lost_node_wait_again_or_have_failed_and_never_both(cluster: Cluster) -> None:
    backend = driver(cluster)
    node = "g2"
    failing = run(cluster, backend, nodes=((node, 1),))
    coming = run(cluster, backend, nodes=((node, 1),), rerun=True)
    cluster.kill(node)
    for pid in cluster.left():
        os.kill(pid, signal.SIGKILL)

    def is_down() -> bool:
        return not {each.name: each.up for each in do(backend.snapshot()).nodes}[node]

    cluster.wait(90, "a node that is down", is_down)
    waiting = {JobState.PENDING, JobState.HELD}

    def comes_back(ref: JobRef) -> bool:
        shown = job(backend, ref)
        return shown is not None and shown.state in waiting

    def has_failed(ref: JobRef) -> bool:
        return {each.state for each in endings(driver(cluster)) if each.ref == ref} == {JobState.FAILED}

    # What Slurm takes to be lost during its launch comes back, asked for or not.
    cluster.wait(90, "what became of a job", lambda: comes_back(failing) or has_failed(failing))
    cluster.wait(90, "a job that comes back", lambda: comes_back(coming))
    assert comes_back(failing) is not has_failed(failing)
    assert not has_failed(coming)
    cluster.start_node(node)
    time.sleep(3)
    assert is_down()  # with ReturnToService=0 it stays, until somebody has looked


def test_a_preempted_job_that_is_queued_again_has_not_ended(cluster: Cluster) -> None:
    backend = driver(cluster, qos="low")
    ref = run(cluster, backend, cores=16, nodes=(("g3", 1),), rerun=True)
    cluster.native("--qos=high", "-c16", "-w", "g3")
    reach(cluster, backend, ref, JobState.PENDING, JobState.ENDING)
    reach(cluster, backend, ref, JobState.PENDING)
    cluster.wait(
        30, "accounting", lambda: "PREEMPTED" in cluster.run("sacct", "-n", "-D", "-j", ref.id, "-o", "state")
    )
    for _ in range(3):
        assert ref not in {each.ref for each in endings(driver(cluster, qos="low"))}
    act(backend, Action.CANCEL, ref)
    assert ending(cluster, backend, ref).state is JobState.CANCELLED


def test_a_preempted_job_that_may_not_come_back_has_ended(cluster: Cluster) -> None:
    backend = driver(cluster, qos="low")
    ref = run(cluster, backend, cores=16, nodes=(("g3", 1),), rerun=False)
    cluster.native("--qos=high", "-c16", "-w", "g3")
    assert ending(cluster, backend, ref).native_state.startswith("PREEMPTED")


def test_without_slurmdbd_work_goes_on_and_no_ending_is_lost(cluster: Cluster) -> None:
    backend = driver(cluster)
    cursor = do(backend.finished("")).cursor
    cluster.kill("slurmdbd", signal.SIGTERM)
    refs = [submit(backend, script=SHORT, held=False) for _ in range(3)]
    cluster.wait(60, "an empty queue", lambda: not do(backend.snapshot()).jobs)
    assert is_away(lambda: backend.finished(cursor))
    cluster.start_accounting()
    told: list[JobRef] = []

    def all_told() -> bool:
        nonlocal cursor
        page = do(backend.finished(cursor))
        cursor = page.cursor
        told.extend(each.ref for each in page.records)
        return set(refs) <= set(told)

    cluster.wait(90, "endings that came late", all_told)
    assert all(told.count(ref) == 1 for ref in refs)


def test_a_cluster_without_accounting_tells_endings_from_the_controllers_memory(cluster: Cluster) -> None:
    try:
        cluster.kill("slurmctld", signal.SIGTERM)
        cluster.configure(**NO_ACCOUNTING)
        cluster.start_controller()
        backend = driver(cluster)
        refs = [
            submit(backend, script=script, held=False, account=None)
            for script in (SHORT, "#!/bin/sh\nexit 3\n")
        ]
        found = [ending(cluster, backend, ref) for ref in refs]
        assert [(each.state, each.exit_status) for each in found] == [
            (JobState.DONE, 0),
            (JobState.FAILED, 3),
        ]
        assert all(each.nodes and each.started_at for each in found)
    finally:
        cluster.kill("slurmctld", signal.SIGTERM)
        cluster.configure()
        cluster.start_controller()


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSTOP])
def test_without_munge_nothing_is_known_and_nothing_submitted(cluster: Cluster, by: signal.Signals) -> None:
    backend = driver(cluster, limit=8.0)
    munged = cluster.processes["munged"]
    munged.send_signal(by)
    try:
        assert is_away(backend.snapshot)
        answer = do(backend.submit(slot()))
        assert isinstance(answer, ActionOutcome)
        assert answer.verdict in {Verdict.PASSING, Verdict.UNKNOWN}
    finally:
        if by is signal.SIGSTOP:
            munged.send_signal(signal.SIGCONT)
        else:
            munged.wait()
            cluster.start_munge()
    cluster.wait(60, "a controller that answers", lambda: not is_away(backend.snapshot))
    assert all(each.state is JobState.HELD for each in do(backend.snapshot()).jobs)
