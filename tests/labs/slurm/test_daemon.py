"""wnodesd on a real Slurm, while controller, daemon and strangers do their worst."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import msgspec
from labs.slurm.carried import history, made
from labs.slurm.cluster import Cluster
from sites.running import Site, form
from wnodes_daemon.client import ApiError, Client, Unreachable
from wnodes_daemon.records import LIVE, State
from wnodes_engine.wire import RequestForm

PATIENCE = 240.0


def job(cores: int = 1) -> RequestForm:
    return form(user="games", group="games", cores=cores, memory=64, walltime=2)


class Load:
    """Somebody who hands requests in, and remembers which were answered for."""

    def __init__(self, site: Site, pause: float) -> None:
        self.answered: list[str] = []
        self._site, self._pause = site, pause
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        client = self._site.client()
        while not self._done.wait(self._pause):
            try:
                items = client.submit_all([job(), job(2)])
            except (Unreachable, ApiError):
                continue
            self.answered += [item.request.id for item in items if item.request is not None]


def over(client: Client) -> bool:
    try:
        return not list(client.requests(state=",".join(LIVE)))
    except (Unreachable, ApiError):
        return False


def finished(client: Client, cluster: Cluster, answered: list[str]) -> Counter[State]:
    """All that was answered for is over; in which states."""
    deadline = time.monotonic() + PATIENCE
    while not over(client):
        assert time.monotonic() < deadline, "not all requests have come to an end"
        cluster.mend_nodes()
        time.sleep(5)
    views = {view.id: view for view in client.requests()}
    assert set(answered) <= set(views)
    return Counter(view.state for view in views.values())


def test_requests_run_on_slurm_and_native_jobs_stay_their_owners(cluster: Cluster, tmp_path: Path) -> None:
    native = cluster.native("-w", "g4", "-c16", user="man")
    site = made(tmp_path, cluster)
    client = site.start()
    try:
        ids = [view.request.id for view in client.submit_all([job(), job(3)]) if view.request]
        assert finished(client, cluster, ids) == {State.DONE: 2}
        assert [view.exit_status for view in client.requests()] == [0, 0]
        assert cluster.run("squeue", "-h", "-j", native, "-o", "%T") == "RUNNING"
        assert {node.name: node.up for node in client.nodes()} == dict.fromkeys(cluster.nodes, True)
    finally:
        site.end()


def test_a_job_runs_its_script_as_its_user_and_its_exit_status_is_told(
    cluster: Cluster, tmp_path: Path
) -> None:
    site = made(tmp_path, cluster)
    client = site.start()
    said = Path("/tmp") / f"wnodes-said-{site.folder.name}"
    script = f"#!/bin/sh\n#SBATCH --array=1-9\nid -un > {said}\nexit 7\n"
    try:
        view = client.submit(msgspec.structs.replace(job(), script=script))
        assert finished(client, cluster, [view.id]) == {State.FAILED: 1}
        assert client.show(view.id).exit_status == 7
        assert said.read_text() == "games\n"
    finally:
        site.end()
        said.unlink(missing_ok=True)


def test_nothing_is_lost_and_nothing_runs_twice_through_kills_and_hangs(
    cluster: Cluster, tmp_path: Path
) -> None:
    site = made(tmp_path, cluster)
    client = site.start()
    strangers: list[str] = []
    try:
        with Load(site, 0.4) as load:
            for worst in ("hang", "kill", "daemon", "hang", "kill", "accounting"):
                time.sleep(4)
                names = cluster.run("squeue", "-h", "-u", "games", "-o", "%j").split()
                strangers += [  # somebody names jobs like ours
                    cluster.native(f"--job-name={name}", "--hold", user="man") for name in names[:2]
                ]
                if worst == "hang":
                    with cluster.hung("slurmctld"):
                        time.sleep(8)
                elif worst == "kill":
                    cluster.kill("slurmctld")
                    time.sleep(2)
                    cluster.start_controller()
                elif worst == "accounting":
                    cluster.kill("slurmdbd", signal.SIGTERM)
                    time.sleep(5)
                    cluster.start_accounting()
                else:
                    site.end(signal.SIGKILL)
                    client = site.start()
        states = finished(client, cluster, load.answered)
        assert len(load.answered) > 60
        # Jobs that the controller lost while they ran, or ended at its return, have not come to a good end.
        assert set(states) <= {State.DONE, State.FAILED, State.CANCELLED}
        assert states[State.DONE] >= 0.8 * sum(states.values()), states
        time.sleep(6)  # accounting lags
        assert not history(cluster, site).twice
        alive = set(cluster.run("squeue", "-h", "-u", "man", "-o", "%i").split())
        ended = set(strangers) - alive
        lost = set(
            cluster.run("sacct", "-n", "-X", "-D", "-P", "-u", "man", "-s", "CA", "-o", "JobID").split()
        )
        assert not ended & lost, "a stranger's job was cancelled"
    finally:
        if site.process is not None:
            site.end()


def test_in_a_shared_slurm_requests_wait_in_its_queue_run_where_it_has_room_and_are_withdrawn(
    cluster: Cluster, tmp_path: Path
) -> None:
    natives = [cluster.native("-w", node, "-c16", user="man") for node in cluster.nodes]
    site = made(tmp_path, cluster, mode="shared", patience=15, max_pending=2)
    client = site.start()

    def states() -> list[str]:
        return [view.state for view in client.requests()]

    try:
        client.submit_all([form(user="games", group="games", cores=2, memory=64, walltime=60)] * 3)
        cluster.wait(30, "two requests in its queue", lambda: states() == ["starting"] * 2 + ["waiting"])
        reason = re.compile(r"job \d+ waits in grid: \w+")
        cluster.wait(30, "Slurm's own reason", lambda: reason.fullmatch(client.show("1").message))
        jobs = {attempt.job for attempt in client.show("1").attempts}
        cluster.wait(60, "another try", lambda: {a.job for a in client.show("1").attempts} - jobs - {None})
        cluster.run("scancel", natives[2])
        cluster.wait(60, "all to run", lambda: states() == ["running"] * 3)
        placed = [view.decision.placement for view in client.requests() if view.decision]
        assert {place.node for where in placed for place in where} == {cluster.nodes[2]}
        used = {node.name: node.used_cores for node in client.nodes()}
        assert used == {"g1": 16, "g2": 16, "g3": 6, "g4": 16}
    finally:
        site.end()
