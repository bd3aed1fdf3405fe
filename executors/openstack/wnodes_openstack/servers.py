"""Servers as Nova shows them: pure readers of its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from wnodes_engine.executor import Event, Gone, Server, ServerAction, ServerRef, ServerState

KEY: Final = "wnodes_key"
FARM: Final = "wnodes_farm"
"""Metadata of a server of ours: the request's key, and which WNoDeS has booted it."""

_STATES: Final = {
    "BUILD": ServerState.BUILDING,
    "ACTIVE": ServerState.ACTIVE,
    "REBOOT": ServerState.ACTIVE,
    "HARD_REBOOT": ServerState.ACTIVE,
    "PASSWORD": ServerState.ACTIVE,
    "REBUILD": ServerState.ACTIVE,
    "SHUTOFF": ServerState.STOPPED,
    "PAUSED": ServerState.PAUSED,
    "SUSPENDED": ServerState.PAUSED,
    "RESCUE": ServerState.PAUSED,
    "SHELVED": ServerState.SHELVING,
    "SHELVED_OFFLOADED": ServerState.SHELVED,
    "RESIZE": ServerState.MOVING,
    "VERIFY_RESIZE": ServerState.MOVING,
    "REVERT_RESIZE": ServerState.MOVING,
    "MIGRATING": ServerState.MOVING,
    "DELETED": ServerState.DELETING,
    "SOFT_DELETED": ServerState.DELETING,
    "ERROR": ServerState.ERROR,
}


def read_server(shown: Mapping[str, Any], user: str, farm: str) -> Server:
    """A server from its details at 2.53 or later; `user` is our own, `farm` our own farm."""
    metadata = shown.get("metadata") or {}
    ours = shown["user_id"] == user and metadata.get(FARM) == farm
    state, native = _state(shown)
    launched = shown.get("OS-SRV-USG:launched_at")
    return Server(
        ServerRef(shown["id"], metadata.get(KEY, "") if ours else "", shown["tenant_id"]),
        state,
        native,
        ours,
        shown.get("name") or "",
        shown["user_id"],
        shown.get("OS-EXT-SRV-ATTR:host") or "",
        amounts_of(shown["flavor"], on_volume=not shown.get("image")),
        seconds(shown["created"]),
        seconds(launched) if launched else None,
        str((shown.get("fault") or {}).get("message", "")).strip(),
        tuple(each["addr"] for network in (shown.get("addresses") or {}).values() for each in network),
        tuple(each["id"] for each in shown.get("os-extended-volumes:volumes_attached") or ()),
    )


def _state(shown: Mapping[str, Any]) -> tuple[ServerState, str]:
    """What it does, by its task first: a server keeps its status while something is done to it."""
    status, task = str(shown.get("status", "")), str(shown.get("OS-EXT-STS:task_state") or "")
    native = f"{status} ({task})" if task else status
    if task in {"deleting", "soft-deleting"}:
        return ServerState.DELETING, native
    if task.startswith("shelving"):
        return ServerState.SHELVING, native
    if status == "SHELVED_OFFLOADED" and task:
        return ServerState.BUILDING, native
    if task == "migrating" or task.startswith("resize_"):
        return ServerState.MOVING, native
    return _STATES.get(status, ServerState.UNKNOWN), native


def amounts_of(flavour: Mapping[str, Any], *, on_volume: bool = False) -> dict[str, int]:
    """What a flavour holds on a host, by class, as Nova computes it for Placement."""
    specs = flavour.get("extra_specs") or {}
    cores = "PCPU" if specs.get("hw:cpu_policy") == "dedicated" else "VCPU"
    swap = int(flavour.get("swap") or 0)
    disk = (0 if on_volume else flavour["disk"]) + _ephemeral(flavour) + -(-swap // 1024)
    amounts = {cores: int(flavour["vcpus"]), "MEMORY_MB": int(flavour["ram"]), "DISK_GB": int(disk)}
    for name, value in specs.items():
        if name.startswith("resources:") and str(value).isdigit():
            amounts[name.removeprefix("resources:")] = int(value)
    return {name: amount for name, amount in amounts.items() if amount}


def _ephemeral(flavour: Mapping[str, Any]) -> int:
    return int(flavour.get("ephemeral", flavour.get("OS-FLV-EXT-DATA:ephemeral", 0)) or 0)


def read_actions(
    listed: Sequence[Mapping[str, Any]], details: Mapping[str, Mapping[str, Any]]
) -> tuple[ServerAction, ...]:
    """The actions of a server, the oldest first; `details` are those whose steps were read, by request."""
    actions = [
        ServerAction(
            each["action"],
            each.get("user_id") or "",
            seconds(each["start_time"]),
            each["request_id"],
            each.get("message") or "",
            tuple(_event(event) for event in details.get(each["request_id"], {}).get("events") or ()),
        )
        for each in listed
    ]
    return tuple(sorted(actions, key=lambda action: action.started_at))


def _event(shown: Mapping[str, Any]) -> Event:
    finished = shown.get("finish_time")
    return Event(
        shown["event"],
        shown.get("host") or "",
        seconds(shown["start_time"]),
        seconds(finished) if finished else None,
        shown.get("result") or "",
    )


def how_it_went(actions: Sequence[ServerAction]) -> Gone:
    """What the actions of a server that is not there any more say of its end.

    A host that has ended a server has said so in a step of its own; where there is none, it was not told.
    """
    on_hosts = [event for action in actions for event in action.events if event.name.startswith("compute_")]
    ends = [event for event in on_hosts if event.name == "compute_terminate_instance"]
    done = [event for event in ends if event.result == "Success"]
    if done:
        return Gone(True, f"{done[-1].host or 'its host'} has ended it")
    shelved = [event for event in on_hosts if event.name == "compute_shelve_offload_instance"]
    if shelved and shelved[-1] is on_hosts[-1] and shelved[-1].result == "Success":
        return Gone(True, f"it was shelved off {shelved[-1].host or 'its host'} before")
    if not actions:
        return Gone(False, "the cloud tells nothing of it")
    begun = [event for event in (*on_hosts,) if not event.name.startswith("compute_terminate")]
    if not begun:
        return Gone(True, "it was never on a host")
    return Gone(False, f"{begun[-1].host or 'its host'} has not said that it ended it")


def seconds(written: str) -> int:
    """Seconds since the epoch of one of Nova's times, all of which are UTC."""
    return int(datetime.fromisoformat(written.replace("Z", "")).replace(tzinfo=UTC).timestamp())
