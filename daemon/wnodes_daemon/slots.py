"""From a request that was given its nodes to what is asked of the batch system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wnodes_engine import core
from wnodes_engine.backend import SlotRequest
from wnodes_engine.check import checked
from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.core.claim import Claim
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.values import Request, Route

from wnodes_daemon.records import Dispatch


def backend_of(route: Route | checked.Route | None, backends: Sequence[str]) -> str | None:
    """The batch system that wins the cores: the route's own, or the only one where the policy names none."""
    if route is None:
        return backends[0] if len(backends) == 1 else None
    name = route.through or route.target
    return name if name in backends else None


def backend_of_claim(policy: CompiledPolicy, claim: Claim, backends: Sequence[str]) -> str | None:
    """The same of a request that waits: a route's names of systems are those of the policy itself."""
    route = policy.checked.routes[claim.route] if claim.route >= 0 else None
    return backend_of(route, backends)


def unserved(routes: Iterable[checked.Route], backends: Mapping[str, object]) -> list[checked.Route]:
    """The policy's routes whose cores no backend here can win."""
    return [route for route in routes if (route.through or route.target) not in backends]


def user_of(request: Request) -> str:
    """Whom the batch job of a request runs as; machines get a bait, which runs as the service itself: ""."""
    return request.user if request.kind == "job" else ""


BAIT_GRACE: Final = 900
"""Seconds for which a bait outlives its machine's walltime: until then the machine has to be gone."""


def slot_of(dispatch: Dispatch, allocation: core.Allocation, route: Route | None) -> SlotRequest:
    """What to ask of the batch system."""
    claim = allocation.claim
    grace = BAIT_GRACE if route is not None and route.through is not None else 0
    return SlotRequest(
        key=dispatch.key,
        name=f"wnodes-{dispatch.request}",
        user=dispatch.user,
        cores=claim.part.cores,
        memory=claim.part.memory,
        count=claim.parts,
        gpus=claim.part.gpus,
        disk=claim.part.disk,
        walltime=None if claim.walltime >= UNLIMITED else claim.walltime + grace,
        queue=route.queue if route is not None else None,
        account=route.account if route is not None else None,
        nodes=tuple((place.node, place.parts) for place in dispatch.placement),
    )
