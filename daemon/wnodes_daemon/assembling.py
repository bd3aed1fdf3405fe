"""What a daemon is made of, and all that can be wrong with it before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wnodes_engine.backend import BatchBackend, Capability
from wnodes_engine.commands.inputs import read_policy
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.drivers import load_backends, load_executors
from wnodes_engine.executor import Executor
from wnodes_engine.site import Site

from wnodes_daemon import listen
from wnodes_daemon.decision_log import DecisionLog, DecisionLogError
from wnodes_daemon.listen import Endpoint
from wnodes_daemon.slots import unserved
from wnodes_daemon.store import Store, StoreError


class StartError(Exception):
    """The daemon cannot run like this; the message says why, and how to mend it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a daemon is made of before it runs."""

    site: Site
    policy: CompiledPolicy
    backends: Mapping[str, BatchBackend]
    executors: Mapping[str, Executor]
    store: Store
    endpoints: tuple[Endpoint, ...]
    decisions: DecisionLog | None

    @property
    def address(self) -> str:
        """Where others reach it: from other machines, if they may."""
        return self.endpoints[-1].address


def assemble(site: Site) -> Parts:
    """Everything that can be wrong before anything runs.

    Raises DocumentError, StartError, DriverError, StoreError, DecisionLogError and ListenError.
    """
    policy = load_policy(site)
    backends, executors = load_backends(site), load_executors(site)
    check_routes(policy, backends)
    check_actions(policy, backends)
    endpoints = listen.bind(site.daemon)
    try:
        store = Store(site.daemon.store)
    except StoreError:
        listen.unbind(endpoints)
        raise
    try:
        decisions = DecisionLog(site.daemon.decisions) if site.daemon.decisions is not None else None
    except DecisionLogError:
        store.close()
        listen.unbind(endpoints)
        raise
    return Parts(site, policy, backends, executors, store, endpoints, decisions)


def load_policy(site: Site) -> CompiledPolicy:
    """The site's policy, checked. Raises StartError and DocumentError."""
    if site.policy is None:
        raise StartError(f"{site.path}: no policy is named: add `policy: site.policy`")
    return read_policy(str(site.policy), site)


def check_routes(policy: CompiledPolicy, backends: Mapping[str, object]) -> None:
    """Raises StartError for a route that nothing here can carry out."""
    for route in unserved(policy.checked.routes, backends):
        raise StartError(
            f"{route.span.path}:{route.span.line}: the route leads to {route.through or route.target!r}, and "
            f"the site has no backend of that name: backends are {', '.join(backends)}"
        )
    if not policy.checked.routes and len(backends) > 1:
        raise StartError("the policy has no routes, and the site several backends: add `route job to …`")


def check_actions(policy: CompiledPolicy, backends: Mapping[str, BatchBackend]) -> None:
    """Raises StartError for a rule by which a batch system would have to do what it cannot."""
    needs = {"suspend": Capability.SUSPEND}
    of_natives = {"requeue": Capability.REQUEUE, "checkpoint": Capability.REQUEUE}
    for rule in policy.checked.preempts:
        for action in dict.fromkeys(rule.taking.actions.values()):
            needed = needs.get(action) or (of_natives.get(action) if rule.taking.native else None)
            lacking = [name for name, b in backends.items() if needed and needed not in b.capabilities]
            if lacking:
                raise StartError(
                    f"{rule.span.path}:{rule.span.line}: the rule makes room by {action!r}, and the backend "
                    f"{lacking[0]!r} cannot {needed} jobs: let the driver do so, or name another action"
                )


def machine_targets(policy: CompiledPolicy) -> list[str]:
    """The executors that routes lead to; the daemon wins the cores for what they boot."""
    return list(dict.fromkeys(route.target for route in policy.checked.routes if route.through is not None))
