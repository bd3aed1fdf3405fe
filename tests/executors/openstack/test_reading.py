"""What Nova and Placement show, as a real cloud has shown it, becomes hosts and servers."""

from __future__ import annotations

from typing import Any

import pytest
from executors.openstack.answering import PROVIDER, recorded
from wnodes_engine.executor import Event, Gone, Inventory, ServerAction, ServerState
from wnodes_openstack.hosts import Provider, consumer_of, join_hosts, read_provider
from wnodes_openstack.servers import amounts_of, how_it_went, read_actions, read_server

USER = "ca8e9d54b2084c46a3b4440db08a28bb"


def member(**fields: Any) -> dict[str, Any]:
    shown: dict[str, Any] = recorded("server-member")["server"]
    return shown | fields


def test_a_server_that_a_real_nova_has_shown_is_read_whole() -> None:
    server = read_server(recorded("servers-detail-all")["servers"][0], USER, "farm")
    assert (server.state, server.host, server.amounts) == (
        ServerState.ACTIVE,
        "alpha-1",
        {"VCPU": 2, "MEMORY_MB": 4096, "DISK_GB": 5},
    )
    assert (server.created_at, server.launched_at) == (1795401912, 1795401913)
    assert not server.ours


def test_a_server_is_ours_only_if_our_own_user_has_booted_it_for_this_farm() -> None:
    metadata = {"wnodes_key": "k1", "wnodes_farm": "farm"}
    ours = read_server(member(metadata=metadata), USER, "farm")
    assert (ours.ours, ours.ref.key) == (True, "k1")
    for user, farm in (("somebody", "farm"), (USER, "another")):
        other = read_server(member(metadata=metadata), user, farm)
        assert (other.ours, other.ref.key) == (False, "")


def test_a_server_without_a_valid_host_says_why() -> None:
    server = read_server(recorded("server-no-valid-host")["server"], USER, "farm")
    assert (server.state, server.host, server.fault) == (ServerState.ERROR, "", "No valid host was found.")


@pytest.mark.parametrize(
    ("status", "task", "state"),
    [
        ("BUILD", "scheduling", ServerState.BUILDING),
        ("BUILD", "spawning", ServerState.BUILDING),
        ("ACTIVE", None, ServerState.ACTIVE),
        ("ACTIVE", "deleting", ServerState.DELETING),
        ("ERROR", "deleting", ServerState.DELETING),
        ("ACTIVE", "shelving_image_uploading", ServerState.SHELVING),
        ("SHELVED", None, ServerState.SHELVING),
        ("SHELVED_OFFLOADED", None, ServerState.SHELVED),
        ("SHELVED_OFFLOADED", "spawning", ServerState.BUILDING),
        ("MIGRATING", "migrating", ServerState.MOVING),
        ("ACTIVE", "resize_prep", ServerState.MOVING),
        ("VERIFY_RESIZE", None, ServerState.MOVING),
        ("SHUTOFF", None, ServerState.STOPPED),
        ("RESCUE", None, ServerState.PAUSED),
        ("SOMETHING_NEW", None, ServerState.UNKNOWN),
    ],
)
def test_what_is_done_to_a_server_goes_before_its_status(
    status: str, task: str | None, state: ServerState
) -> None:
    server = read_server(member(status=status, **{"OS-EXT-STS:task_state": task}), USER, "farm")
    assert server.state is state
    assert status in server.native_state


@pytest.mark.parametrize(
    ("fields", "on_volume", "amounts"),
    [
        ({}, False, {"VCPU": 2, "MEMORY_MB": 4096, "DISK_GB": 5}),
        ({}, True, {"VCPU": 2, "MEMORY_MB": 4096}),
        ({"ephemeral": 3, "swap": 1025}, True, {"VCPU": 2, "MEMORY_MB": 4096, "DISK_GB": 5}),
        ({"swap": ""}, False, {"VCPU": 2, "MEMORY_MB": 4096, "DISK_GB": 5}),
        ({"extra_specs": {"hw:cpu_policy": "dedicated"}}, True, {"PCPU": 2, "MEMORY_MB": 4096}),
        (
            {"extra_specs": {"resources:VCPU": "0", "resources:VGPU": "1"}},
            True,
            {"MEMORY_MB": 4096, "VGPU": 1},
        ),
    ],
)
def test_a_flavour_holds_what_nova_asks_placement_for(
    fields: dict[str, Any], on_volume: bool, amounts: dict[str, int]
) -> None:
    flavour = {"vcpus": 2, "ram": 4096, "disk": 5, "ephemeral": 0, "swap": 0, "extra_specs": {}}
    assert amounts_of(flavour | fields, on_volume=on_volume) == amounts


# ------------------------------------------------------------------------ hosts


def provider(**fields: Any) -> Provider:
    read = read_provider(PROVIDER, "alpha-1", recorded("inventories"), recorded("rp-allocations"))
    assert read is not None
    return Provider(**{name: getattr(read, name) for name in read.__struct_fields__} | fields)


def hosts(providers: dict[str, Provider], **options: Any) -> dict[str, Any]:
    services = [each for each in recorded("services")["services"] if each["binary"] == "nova-compute"]
    hypervisors = recorded("hypervisors-2.53")["hypervisors"]
    joined = join_hosts(services, hypervisors, providers, options.get("nodes", {}), "farm")
    return {host.name: host for host in joined}


def test_a_host_is_its_service_its_hypervisor_and_its_provider() -> None:
    ballast = {consumer_of("farm", PROVIDER): {"VCPU": 10}}
    found = hosts({PROVIDER: provider(allocations={"server": {"VCPU": 2}} | ballast)})["alpha-1"]
    assert (found.node, found.provider, found.up, found.disabled) == ("alpha-1", PROVIDER, True, "")
    assert found.inventory["VCPU"] == Inventory(16, 0, 1.0, 16)
    assert (found.used, found.ballast, found.over, found.mismatch) == ({"VCPU": 12}, {"VCPU": 10}, {}, "")


def test_names_that_do_not_belong_together_are_said() -> None:
    found = hosts({PROVIDER: provider(name="other")})
    assert "is called other" in found["alpha-1"].mismatch
    assert "Placement has no provider" in found["beta-1"].mismatch


def test_a_host_may_be_called_otherwise_in_the_batch_system() -> None:
    assert hosts({}, nodes={"alpha-1": "wn001"})["alpha-1"].node == "wn001"


def test_a_disabled_host_says_why() -> None:
    [service] = recorded("service-disabled")["services"]
    [host] = join_hosts([service], [], {}, {}, "farm")
    assert (host.disabled, host.up, "no hypervisor" in host.mismatch) == ("lab", True, True)


def test_a_provider_is_read_again_if_it_was_written_to_in_between() -> None:
    later = recorded("rp-allocations") | {"resource_provider_generation": 4}
    assert read_provider(PROVIDER, "alpha-1", recorded("inventories"), later) is None


def test_the_consumer_of_a_farm_is_the_same_every_time_and_another_for_every_farm() -> None:
    assert consumer_of("farm", PROVIDER) == consumer_of("farm", PROVIDER)
    assert consumer_of("farm", PROVIDER) != consumer_of("other", PROVIDER)


# ----------------------------------------------------------------------- endings


def action(name: str, *events: Event) -> ServerAction:
    return ServerAction(name, "u", 1, f"req-{name}", events=events)


BOOTED = action("create", Event("compute__do_build_and_run_instance", "alpha-1", 1, 2, "Success"))


@pytest.mark.parametrize(
    ("actions", "confirmed"),
    [
        ((BOOTED, action("delete", Event("compute_terminate_instance", "alpha-1", 3, 4, "Success"))), True),
        ((BOOTED, action("delete")), False),
        ((BOOTED, action("delete", Event("compute_terminate_instance", "alpha-1", 3, None, ""))), False),
        ((BOOTED, action("delete", Event("compute_terminate_instance", "alpha-1", 3, 4, "Error"))), False),
        ((action("create", Event("conductor_build_instances", "c", 1, 2, "Error")), action("delete")), True),
        (
            (
                BOOTED,
                action("shelve", Event("compute_shelve_offload_instance", "alpha-1", 3, 4, "Success")),
                action("delete"),
            ),
            True,
        ),
        ((), False),
    ],
)
def test_a_server_is_gone_when_its_host_has_said_so(
    actions: tuple[ServerAction, ...], confirmed: bool
) -> None:
    gone = how_it_went(actions)
    assert isinstance(gone, Gone)
    assert (gone.confirmed, bool(gone.message)) == (confirmed, True)


def test_actions_come_the_oldest_first_with_their_steps() -> None:
    listed = recorded("instance-actions")["instanceActions"]
    later = listed[0] | {"action": "delete", "request_id": "r2", "start_time": "2026-11-23T02:46:00.000000"}
    times = {"start_time": "2026-11-23T02:46:00.000000", "finish_time": None}
    steps = [{"event": "compute_terminate_instance", "host": "alpha-1", "result": None, **times}]
    read = read_actions([later, *listed], {"r2": {"events": steps}})
    assert [each.action for each in read] == ["create", "delete"]
    assert read[1].events == (Event("compute_terminate_instance", "alpha-1", 1795401960, None, ""),)
