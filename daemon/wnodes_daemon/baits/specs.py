"""From a request that has won its cores to the machine that is booted there."""

from __future__ import annotations

from wnodes_engine.backend import ActionOutcome, Verdict
from wnodes_engine.core.claim import Claim
from wnodes_engine.executor import Machine, MachineSpec, Volume
from wnodes_engine.payload import MachineForm
from wnodes_engine.values import Request, Route

from wnodes_daemon.records import Dispatch


def spec_of(
    dispatch: Dispatch, request: Request, claim: Claim, route: Route, equipped: MachineForm
) -> MachineSpec | ActionOutcome:
    """What to ask of the cloud, or why nothing can be."""
    if request.kind == "vmjob":
        return _refused("jobs inside machines are not run yet: ask for a job, or for a machine")
    image = route.image or (request.image.id if request.image is not None else "")
    if not image:
        return _refused("a machine needs an image: name one with the request")
    if not request.project:
        return _refused("a machine needs a project of the cloud that it belongs to")
    if claim.parts != 1:
        return _refused("machines are booted one by one: ask for each by itself")
    return MachineSpec(
        dispatch.key,
        request.name or f"wnodes-{request.id}",
        request.project,
        image,
        route.flavour or request.flavour or "",
        claim.part.cores,
        claim.part.memory,
        claim.part.disk,
        claim.part.gpus,
        ssh_keys=equipped.ssh_keys,
        owner=request.user,
        key_pair=equipped.key_pair or "",
        user_data=equipped.user_data,
        networks=equipped.networks,
        security_groups=equipped.security_groups,
        boot_volume=equipped.boot_volume,
        volumes=tuple(Volume(each.size, each.type, each.kept) for each in equipped.volumes),
        metadata={"wnodes_request": request.id},
    )


def too_large(machine: Machine, claim: Claim) -> str:
    """Why a machine would not fit into what was won for it; empty if it does."""
    cores = machine.amounts.get("VCPU", 0) + machine.amounts.get("PCPU", 0)
    memory = machine.amounts.get("MEMORY_MB", 0)
    if cores <= claim.part.cores and memory <= claim.part.memory:
        return ""
    return (
        f"the flavour {machine.flavour} holds {cores} cores and {memory} MiB, and {claim.part.cores} cores "
        f"and {claim.part.memory} MiB were asked for: ask for as much as it holds"
    )


def _refused(message: str) -> ActionOutcome:
    return ActionOutcome(Verdict.REFUSED, message)
