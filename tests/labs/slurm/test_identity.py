"""Whom jobs run as, what their scripts may ask, and that nothing of a stranger's is taken for ours."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from labs.slurm.cluster import Cluster
from labs.slurm.driving import act, do, driver, job, reach, run, slot, submit
from wnodes_engine.backend import Action, ActionOutcome, JobRef, JobState, Verdict

FORGED = "x\n" + " " * 46 + "|999|RUNNING|root"


def told(cluster: Cluster, **options: Any) -> str:
    """What a job of games' says of itself."""
    out = cluster.folder / "jobs" / f"{options.get('submit_as', 'uid')}.out"
    backend = driver(cluster, output=str(out), **options)
    ref = submit(backend, script="#!/bin/sh\nid\nenv\n", held=False)
    cluster.wait(60, "the end of a job", lambda: job(backend, ref) is None)
    return out.read_text()


@pytest.mark.parametrize("means", ["uid", "runuser", "sudo"])
def test_a_job_runs_as_its_user_with_nothing_of_the_daemons_environment(
    cluster: Cluster, means: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WNODES_SECRET", "of the daemon's own")
    said = told(cluster, submit_as=means)
    assert said.startswith("uid=5(games) gid=60(games) groups=60(games)\n")
    assert "WNODES_SECRET" not in said
    assert "SLURM_TIME_FORMAT" not in said


@pytest.mark.parametrize("user", ["root", "nosuchuser", "games\n", "0", "5"])
def test_nobody_is_submitted_for_who_must_not_be(cluster: Cluster, user: str) -> None:
    answer = do(driver(cluster).submit(slot(user=user)))
    assert isinstance(answer, ActionOutcome)
    assert answer.verdict is Verdict.REFUSED


def test_baits_run_as_the_service_and_hold_their_cores_for_the_walltime(cluster: Cluster) -> None:
    backend = driver(cluster)
    ref = run(cluster, backend, user="", script="", walltime=600)
    seen = job(backend, ref)
    assert seen is not None
    assert (seen.user, seen.walltime) == ("nobody", 660)


def test_a_script_asks_nothing_by_its_comments(cluster: Cluster) -> None:
    asked = "#!/bin/sh\n#SBATCH --cpus-per-task=8\n #SBATCH --nice=-100\n\n#SBATCH --array=1-50\nsleep 600\n"
    backend = driver(cluster)
    ref = submit(backend, script=asked)
    jobs = do(backend.snapshot()).jobs
    assert [(each.ref, each.cores) for each in jobs] == [(ref, 1)]
    assert asked.splitlines()[-1] in cluster.run("scontrol", "write", "batch_script", ref.id, "-")


def test_a_name_with_line_breaks_forges_no_job(cluster: Cluster) -> None:
    backend = driver(cluster)
    mine = submit(backend)
    forged = cluster.native(f"--job-name={FORGED}", f"--comment={FORGED}")
    jobs = {each.ref.id: each for each in do(backend.snapshot()).jobs}
    assert set(jobs) == {mine.id, forged}
    assert (jobs[forged].ref.key, jobs[forged].user) == ("", "games")


def test_a_strangers_job_with_our_key_is_neither_found_nor_touched(cluster: Cluster) -> None:
    backend = driver(cluster)
    wanted = slot()
    ref = do(backend.submit(wanted))
    assert isinstance(ref, JobRef)
    name = cluster.run("squeue", "-h", "-j", ref.id, "-o", "%j")
    theirs = cluster.native(f"--job-name={name}", "--account=grid", user="man")
    assert do(backend.find({wanted.key: "games"})) == {wanted.key: ref}
    shown = {each.ref.id: each for each in do(backend.snapshot()).jobs}
    assert shown[theirs].user == "man"  # and so the daemon, which compares users, leaves it alone
    act(backend, Action.CANCEL, ref)
    cluster.wait(30, "the end of ours", lambda: job(backend, ref) is None)
    assert do(backend.find({wanted.key: "games"})) == {}
    assert cluster.run("squeue", "-h", "-j", theirs, "-o", "%i") == theirs


def test_a_job_of_the_same_id_in_another_name_is_not_touched(cluster: Cluster) -> None:
    backend = driver(cluster)
    native = cluster.native()
    stale = JobRef("grid", native, slot().key, 1_700_000_000)
    for action in (Action.CANCEL, Action.HOLD, Action.RELEASE, Action.SUSPEND, Action.REQUEUE):
        assert act(backend, action, stale).verdict is Verdict.CONFLICT
    [shown] = [each for each in do(backend.snapshot()).jobs if each.ref.id == native]
    reach(cluster, backend, shown.ref, JobState.RUNNING)


def test_of_two_copies_the_first_is_found(cluster: Cluster) -> None:
    backend = driver(cluster)
    wanted = slot()
    first, second = do(backend.submit(wanted)), do(backend.submit(wanted))
    assert isinstance(first, JobRef)
    assert isinstance(second, JobRef)
    assert do(backend.find({wanted.key: "games"})) == {wanted.key: first}
    assert second == msgspec.structs.replace(first, id=second.id, submitted_at=second.submitted_at)
