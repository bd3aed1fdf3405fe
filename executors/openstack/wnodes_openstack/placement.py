"""Ballast: what Placement has to believe of a host, set against its live inventory."""

from __future__ import annotations

from typing import Any, Final

from wnodes_engine.backend import ActionOutcome, Verdict
from wnodes_engine.executor import BALLASTED, Amounts, ExecutorUnavailable, target_ballast

from wnodes_openstack.connections import Link
from wnodes_openstack.errors import Unanswered, code_of, expected, message_of, outcome_of
from wnodes_openstack.hosts import Provider, consumer_of, read_provider

VERSION: Final = "1.38"
TYPE: Final = "WNODES_BATCH"
_TRIES: Final = 8
_DONE: Final = ActionOutcome(Verdict.DONE)


def list_providers(link: Link) -> dict[str, tuple[str, int]]:
    """Name and generation of every provider, by its UUID; raises ExecutorUnavailable."""
    body = expected(link.ask("placement", "GET", "/resource_providers", version=VERSION), "the providers")
    return {each["uuid"]: (each["name"], each["generation"]) for each in body["resource_providers"]}


def provider_named(link: Link, name: str) -> str:
    """The UUID of the provider with this name; empty if there is none."""
    answer = link.ask("placement", "GET", f"/resource_providers?name={name}", version=VERSION)
    found = expected(answer, f"the provider {name}")["resource_providers"]
    return str(found[0]["uuid"]) if found else ""


def look(link: Link, uuid: str, name: str) -> Provider:
    """A provider, all of it of one generation. Raises ExecutorUnavailable."""
    for _ in range(_TRIES):
        answers = [
            expected(
                link.ask("placement", "GET", f"/resource_providers/{uuid}/{what}", version=VERSION),
                f"{what} of {name}",
            )
            for what in ("inventories", "allocations")
        ]
        if (provider := read_provider(uuid, name, *answers)) is not None:
            return provider
    raise ExecutorUnavailable(f"the provider {name} is written to again and again")


def set_ballast(link: Link, uuid: str, name: str, granted: Amounts, farm: str) -> ActionOutcome:
    """Make everything but what was granted ours, see what came of it, and put it back if it is too much.

    Raises Unanswered and ExecutorUnavailable, after which nothing is known but what can be read.
    """
    consumer = consumer_of(farm, uuid)
    for _ in range(_TRIES):
        provider = look(link, uuid, name)
        before = provider.allocations.get(consumer, {})
        for kind in BALLASTED:
            if kind in provider.inventory and provider.inventory[kind].ratio != 1:
                ratio = provider.inventory[kind].ratio
                mend = f"set its allocation ratio to 1 in nova.conf of {name}"
                return ActionOutcome(Verdict.REFUSED, f"{name} promises {ratio:g} times its {kind}: {mend}")
        try:
            target = target_ballast(provider.inventory, granted)
        except ValueError as error:
            return ActionOutcome(Verdict.REFUSED, f"{name}: {error}")
        outcome = _put(link, consumer, provider, target)
        if outcome is None:
            continue  # somebody has written in between: read again
        if outcome.verdict is not Verdict.DONE:
            return outcome
        after = look(link, uuid, name)
        over = _over(after)
        if not over or all(target.get(kind, 0) <= before.get(kind, 0) for kind in over):
            return _DONE
        return _undo(link, consumer, uuid, name, before, over)
    return ActionOutcome(Verdict.CONFLICT, f"{name}: others keep writing to its provider")


def _put(link: Link, consumer: str, provider: Provider, target: Amounts) -> ActionOutcome | None:
    """Write the allocation; None if a generation had passed."""
    if dict(target) == provider.allocations.get(consumer, {}):
        return _DONE
    held = expected(link.ask("placement", "GET", f"/allocations/{consumer}", version=VERSION), "our ballast")
    # An allocation that is known to hold, of the consumer's own generation; None: there is none yet.
    body: dict[str, Any] = {
        "allocations": {provider.uuid: {"resources": dict(target)}} if target else {},
        "project_id": link.project,
        "user_id": link.user,
        "consumer_generation": held.get("consumer_generation") if held.get("allocations") else None,
        "consumer_type": TYPE,
    }
    if target:
        body["allocations"][provider.uuid]["generation"] = provider.generation
    answer = link.ask("placement", "PUT", f"/allocations/{consumer}", version=VERSION, json=body)
    if answer.well:
        return _DONE
    if answer.status == 409:
        if code_of(answer.body) == "placement.concurrent_update":
            return None
        return ActionOutcome(Verdict.NO_ROOM, f"{provider.name}: {message_of(answer.body)}")
    return outcome_of(answer, f"ballast on {provider.name}")


def _undo(link: Link, consumer: str, uuid: str, name: str, before: Amounts, over: Amounts) -> ActionOutcome:
    """Placement lets in too much when many write at once: what grew goes back to what it was."""
    shown = ", ".join(f"{amount} {kind}" for kind, amount in over.items())
    for _ in range(_TRIES):
        outcome = _put(link, consumer, look(link, uuid, name), before)
        if outcome is not None and outcome.verdict is Verdict.DONE:
            return ActionOutcome(
                Verdict.NO_ROOM, f"{name} was over its capacity by {shown}: others were faster"
            )
    raise Unanswered(f"{name} is over its capacity by {shown}, and the ballast cannot be put back", sent=True)


def _over(provider: Provider) -> dict[str, int]:
    used: dict[str, int] = {}
    for amounts in provider.allocations.values():
        for kind, amount in amounts.items():
            used[kind] = used.get(kind, 0) + amount
    return {
        kind: used[kind] - provider.inventory[kind].capacity
        for kind in BALLASTED
        if kind in provider.inventory and used.get(kind, 0) > provider.inventory[kind].capacity
    }
