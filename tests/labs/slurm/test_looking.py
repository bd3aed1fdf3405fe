"""What a snapshot shows of a real Slurm: native jobs, arrays, many nodes, GPUs; and what the doctor finds."""

from __future__ import annotations

from labs.slurm.cluster import Cluster
from labs.slurm.driving import act, do, driver, job, run
from labs.slurm.settings import NO_ACCOUNTING
from wnodes_engine.backend import Action, Capability, Job, JobState
from wnodes_slurm.backend import SlurmBackend


def shown(cluster: Cluster, id_: str, state: JobState = JobState.RUNNING) -> Job:
    """A native job, once it is in this state."""
    found: list[Job] = []

    def there() -> bool:
        jobs = do(driver(cluster).snapshot()).jobs
        found[:] = [each for each in jobs if each.ref.id == id_ and each.state is state]
        return bool(found)

    cluster.wait(30, f"job {id_} that is {state}", there)
    return found[0]


def test_a_native_job_is_shown_with_all_that_an_assign_rule_may_ask(cluster: Cluster) -> None:
    id_ = cluster.native("--account=local", "--partition=short", "--qos=high", "-c3", "--mem=300", "-t5")
    seen = shown(cluster, id_)
    assert (seen.user, seen.group, seen.account, seen.queue, seen.qos) == (
        "games",
        "games",
        "local",
        "short",
        "high",
    )
    assert (seen.cores, seen.memory, seen.walltime, seen.ref.key) == (3, 300, 300, "")
    assert [cores for _, cores in seen.nodes] == [3]
    assert seen.started_at is not None


def test_a_job_on_several_nodes_is_shown_as_slurm_has_spread_it(cluster: Cluster) -> None:
    id_ = cluster.native("-N2", "-n4", "-c2", "-w", "g2,g3")
    cluster.native("-w", "g3", "-c5")
    truth = {}
    seen = shown(cluster, id_)
    for line in cluster.run("scontrol", "-d", "show", "job", id_).splitlines():
        said = dict(word.partition("=")[::2] for word in line.split())
        if "CPU_IDs" in said:
            low, _, high = said["CPU_IDs"].partition("-")
            truth[said["Nodes"]] = int(high or low) - int(low) + 1
    assert dict(seen.nodes) == truth
    assert sum(truth.values()) == 8


def test_each_running_task_of_an_array_is_a_job(cluster: Cluster) -> None:
    id_ = cluster.native("--array=0-9%2")
    first = shown(cluster, f"{id_}_0")
    jobs = do(driver(cluster).snapshot()).jobs
    assert sorted(each.ref.id for each in jobs if each.state is JobState.RUNNING) == [f"{id_}_0", f"{id_}_1"]
    assert [each.state for each in jobs if "[" in each.ref.id] == [JobState.PENDING]
    assert first.cores == 1


def test_gpus_are_given_and_shown(cluster: Cluster) -> None:
    backend = driver(cluster)
    ref = run(cluster, backend, gpus=2)
    seen = job(backend, ref)
    assert seen is not None
    assert (seen.gpus, seen.nodes) == (2, (("g1", 1),))
    nodes = {node.name: node for node in do(backend.snapshot()).nodes}
    assert (nodes["g1"].gpus, nodes["g2"].gpus) == (2, 0)
    assert {"ssd", "partition:grid", "partition:short"} <= nodes["g1"].properties
    assert (nodes["g2"].cores, nodes["g2"].memory) == (16, 64000)


def test_a_reserved_node_is_for_those_who_have_the_reservation(cluster: Cluster) -> None:
    said = ("ReservationName=ours", "StartTime=now", "Duration=60", "Users=games", "Nodes=g4")
    cluster.run("scontrol", "create", "reservation", *said)
    try:
        inside, outside = driver(cluster, reservation="ours"), driver(cluster)
        cluster.wait(30, "a reserved node", lambda: "g4" not in up(outside))
        assert up(inside) == {"g1", "g2", "g3", "g4"}
        ref = run(cluster, inside, nodes=(("g4", 1),))
        act(inside, Action.CANCEL, ref)
        cluster.wait(30, "the end of a job", lambda: job(inside, ref) is None)
    finally:
        cluster.run("scontrol", "delete", "reservation=ours")


def up(backend: SlurmBackend) -> set[str]:
    """The nodes that take work."""
    return {node.name for node in do(backend.snapshot()).nodes if node.up}


def test_what_the_cluster_can_do_is_learned_from_it(cluster: Cluster) -> None:
    backend = driver(cluster)
    assert Capability.MEMORY not in backend.capabilities
    do(backend.snapshot())
    assert backend.capabilities == frozenset(Capability) - {Capability.RESERVE}


def test_the_doctor_finds_nothing_ill_in_a_cluster_that_is_set_up_well(cluster: Cluster) -> None:
    found = do(driver(cluster).doctor())
    assert [health.check for health in found if not health.well] == []
    [credentials] = [health for health in found if health.check == "credentials"]
    assert "up to 20 s" in credentials.found


def test_the_doctor_finds_what_is_set_up_badly_and_says_how_to_mend_it(cluster: Cluster) -> None:
    bad = {
        "EnforcePartLimits": "NO",
        "ReturnToService": "2",
        "DefMemPerCPU": "",
        "Epilog": "",
        "MinJobAge": "10",
        **NO_ACCOUNTING,
    }
    try:
        cluster.kill("slurmctld")
        cluster.configure(**bad)
        cluster.start_controller()
        ill = {health.check: health for health in do(driver(cluster).doctor()) if not health.well}
    finally:
        cluster.kill("slurmctld")
        cluster.configure()
        cluster.start_controller()
    assert set(ill) == {"accounting", "memory", "limits", "epilog", "returning nodes"}
    assert all(health.mend for health in ill.values())
    assert ill["accounting"].mend == "set up slurmdbd, or MinJobAge=300"


def test_the_doctor_says_so_when_nobody_answers(cluster: Cluster) -> None:
    cluster.kill("slurmctld")
    [found] = do(driver(cluster).doctor())
    assert (found.check, found.well) == ("controller", False)
    assert "slurmctld" in found.mend
