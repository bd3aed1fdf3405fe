"""The executor on a real OpenStack: it keeps the laws, and hands over what was asked for, and to whom."""

from __future__ import annotations

import asyncio
import base64

import pytest
from labs.openstack.cloud import Cloud
from labs.openstack.driving import PROJECT, booted, driven, ended, leftovers, reached, refusal, spec, user
from wnodes_engine.backend import Verdict
from wnodes_engine.conformance.cloud import CloudSettings
from wnodes_engine.conformance.clouds import CLOUD_LAWS, CloudLaw, judge_cloud
from wnodes_engine.conformance.laws import Found, statement
from wnodes_engine.executor import Machine, Scratch, ServerRef, ServerState, Volume
from wnodes_openstack.executor import OpenStackExecutor

KEY = (
    "ssh-ed25519 "
    + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))).decode()
    + " ada@lab"
)


@pytest.mark.parametrize("law", CLOUD_LAWS, ids=statement)
def test_the_executor_keeps_every_law(law: CloudLaw, cloud: Cloud) -> None:
    async def judged(ours: OpenStackExecutor) -> Found:
        await ours.inventory()
        return await judge_cloud(law, ours, CloudSettings(PROJECT, "tiny", ("private",), 60, 0.3))

    found = driven(cloud, judged)
    assert found.holds is True, found.said


def test_the_server_is_the_requesters_own(cloud: Cloud) -> None:
    """With the policies that are shipped, and no administrator's role: its owner sees it and ends it."""
    server = driven(cloud, lambda ours: booted(ours, "alpha-1"))
    ada = user(cloud, "ada")
    assert ada.current_project_id == server.ref.project
    seen = ada.compute.get_server(server.ref.id)
    assert (seen.status, seen.metadata["wnodes_key"]) == ("ACTIVE", server.ref.key)
    assert server.ref.id not in [each.id for each in user(cloud, "bob").compute.servers()]
    ada.compute.delete_server(seen.id)

    async def gone(ours: OpenStackExecutor) -> bool:
        return (await ended(ours, server.ref)).confirmed

    assert driven(cloud, gone)


def test_a_plain_member_may_not_name_a_host(cloud: Cloud) -> None:
    ada = user(cloud, "ada")
    image = ada.image.find_image("tiny").id
    body = {"name": "x", "imageRef": image, "flavorRef": "c1", "networks": "none", "host": "alpha-1"}
    answer = ada.compute.post("/servers", json={"server": body}, microversion="2.90")
    assert (answer.status_code, "requested_destination" in answer.text) == (403, True)


def test_everything_that_can_be_asked_for_comes_with_the_machine_and_goes_with_it(cloud: Cloud) -> None:
    before = leftovers(cloud)

    async def drive(ours: OpenStackExecutor) -> None:
        asked = spec(
            cores=2,
            memory=2048,
            networks=("private",),
            security_groups=("default",),
            boot_volume=2,
            volumes=(Volume(1, "lab"),),
            ssh_keys=(KEY,),
            user_data="#!/bin/sh\necho hello\n",
            group="pool-1",
            metadata={"colour": "blue"},
        )
        machine = await ours.prepare(asked)
        assert isinstance(machine, Machine), machine
        ref = await ours.create(machine, "beta-1")
        assert isinstance(ref, ServerRef), ref
        server = await reached(ours, ref, ServerState.ACTIVE)
        assert (server.host, len(server.volumes), len(server.addresses)) == ("beta-1", 2, 1)
        assert server.amounts == machine.amounts
        assert "DISK_GB" not in server.amounts
        shown = user(cloud, "ada").compute.get_server(ref.id)
        assert shown.metadata["colour"] == "blue"
        assert "has booted" in str(await ours.console(ref))
        assert (await ended(ours, ref)).confirmed

    driven(cloud, drive)
    admin = user(cloud, "ada")
    for each in admin.compute.server_groups():
        admin.compute.delete_server_group(each)
    cloud.wait(30, "nothing left over", lambda: leftovers(cloud) == before)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"image": "nope"}, "refused: there is no image 'nope' that the project can see"),
        ({"image": "queued"}, "refused: the image 'queued' is queued, not active"),
        ({"image": "private"}, "refused: there is no image 'private' that the project can see"),
        (
            {"image": "large", "flavour": "c4"},
            "refused: the image 'large' needs a disk of 30 GiB, the machine has 10",
        ),
        ({"image": "large", "flavour": "c1"}, "refused: the image 'large' needs 2048 MiB of memory"),
        ({"image": "os_distro=plan9"}, "refused: there is no image 'os_distro=plan9'"),
        ({"flavour": "nope"}, "refused: there is no flavour 'nope' that the project can use"),
        ({"flavour": "c1", "cores": 2}, "refused: the flavour 'c1' has 1 cores, 2 are asked for"),
        ({"cores": 99}, "refused: no flavour has 99 cores"),
        ({"networks": ("nope",)}, "refused: there is no network 'nope' that the project can see"),
        ({"security_groups": ("nope",)}, "refused: there is no security group 'nope' in the project"),
        ({"key_pair": "nope", "owner": "f" * 32}, "refused: there is no key pair 'nope' of that user"),
        ({"ssh_keys": ("no key",)}, "refused: 'no key' is not an OpenSSH public key"),
        ({"user_data": "#!" + "x" * 60000}, "refused: the user data has 80004 bytes in base 64"),
        (
            {"user_data": "hello", "ssh_keys": (KEY,)},
            "refused: the user data begins with none of cloud-init's",
        ),
        ({"volumes": (Volume(1, "nope"),)}, "refused: there is no volume type 'nope'"),
        ({"boot_volume": 5000}, "no room: the project's quota is 1000 GiB of volumes"),
        ({"metadata": {"wnodes_key": "x"}}, "refused: the metadata 'wnodes_key' is WNoDeS' own"),
        ({"project": "nope"}, "refused: this machine: the project 'nope' cannot be used: there is none"),
        ({"project": "wnodes", "image": "nope"}, "refused: there is no image 'nope'"),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_made(
    fields: dict[str, object], said: str, cloud: Cloud
) -> None:
    before = leftovers(cloud)
    answer = driven(cloud, lambda ours: ours.prepare(spec(**fields)))
    assert refusal(answer).startswith(said)
    assert leftovers(cloud) == before


def test_an_image_that_is_not_approved_is_refused(cloud: Cloud) -> None:
    answers = [
        driven(
            cloud,
            lambda ours, image=image: ours.prepare(spec(image=image, flavour="c16")),
            approved_by={"wnodes_approved": "yes"},
        )
        for image in ("tiny", "large")
    ]
    assert isinstance(answers[0], Machine)
    assert "is not one that this site has approved" in refusal(answers[1])


def test_an_image_is_found_by_a_property(cloud: Cloud) -> None:
    answer = driven(cloud, lambda ours: ours.prepare(spec(image="os_distro=debian")))
    assert isinstance(answer, Machine)
    assert answer.image.name == "tiny"


def test_a_full_quota_is_no_room_in_the_clouds_own_numbers(cloud: Cloud) -> None:
    admin, project = user(cloud, "admin"), user(cloud, "bob").current_project_id
    admin.compute.put(f"/os-quota-sets/{project}", json={"quota_set": {"cores": 1}}, microversion="2.90")
    try:
        answer = driven(cloud, lambda ours: ours.prepare(spec(project="share-b", cores=2)))
    finally:
        admin.compute.delete(f"/os-quota-sets/{project}", microversion="2.90")
    assert refusal(answer) == "no room: the project's quota is 1 cores, 0 are used, and 2 more are asked for"


def test_a_flavour_is_made_to_measure_once(cloud: Cloud) -> None:
    async def twice(ours: OpenStackExecutor) -> list[str]:
        made = [await ours.prepare(spec(cores=3, memory=3000, disk=4096)) for _ in range(2)]
        assert all(isinstance(each, Machine) for each in made), made
        return [each.flavour for each in made if isinstance(each, Machine)]

    assert driven(cloud, twice, measure=True) == ["wnodes-3c-3000m-4d"] * 2


def test_a_key_pair_of_the_requester_goes_in_by_user_data(cloud: Cloud) -> None:
    ada = user(cloud, "ada")
    if ada.compute.find_keypair("mine") is None:
        ada.compute.create_keypair(name="mine", public_key=KEY)
    answer = driven(cloud, lambda ours: ours.prepare(spec(key_pair="mine", owner=ada.current_user_id)))
    assert isinstance(answer, Machine), answer
    assert KEY in base64.b64decode(answer.details["user_data"]).decode()


def test_scratch_is_the_projects_own_and_has_a_quota(cloud: Cloud) -> None:
    async def make(ours: OpenStackExecutor) -> Scratch:
        made = await ours.make_scratch(PROJECT, "k9", 100)
        assert isinstance(made, Scratch), made
        return made

    made, ada = driven(cloud, make), user(cloud, "ada")
    assert ada.object_store.put(f"/{made.name}/small", data=b"x" * 50).status_code == 201
    assert ada.object_store.put(f"/{made.name}/large", data=b"x" * 80).status_code == 413
    assert made.url.endswith(f"AUTH_{ada.current_project_id}/{made.name}")
    assert driven(cloud, lambda ours: ours.drop_scratch(PROJECT, "k9")).verdict is Verdict.DONE
    assert ada.object_store.get(f"/{made.name}").status_code == 404


def test_an_owner_who_takes_the_tags_off_does_not_take_the_server_away(cloud: Cloud) -> None:
    async def drive(ours: OpenStackExecutor) -> None:
        server = await booted(ours, "alpha-2")
        user(cloud, "ada").compute.delete(f"/servers/{server.ref.id}/tags", microversion="2.90")
        assert not await ours.find({server.ref.key: PROJECT})
        seen = await reached(ours, server.ref, ServerState.ACTIVE)
        assert seen.ours
        assert (await ended(ours, server.ref)).confirmed

    driven(cloud, drive)


def test_doctor_finds_this_cloud_well(cloud: Cloud) -> None:
    found = driven(cloud, lambda ours: ours.doctor())
    assert [each for each in found if not each.well] == []
    assert {"microversion of compute", "allocation ratios", "node map", "compute services"} <= {
        each.check for each in found
    }


def test_a_service_user_without_its_role_is_found_out_by_doctor(cloud: Cloud) -> None:
    [found] = driven(cloud, lambda ours: ours.doctor(), cloud="ada")
    assert (found.well, "policies" in found.mend) == (False, True)


def test_calls_run_side_by_side(cloud: Cloud) -> None:
    async def drive(ours: OpenStackExecutor) -> int:
        views = await asyncio.gather(*(ours.inventory() for _ in range(6)))
        return min(len(view.hosts) for view in views)

    assert driven(cloud, drive) == 4
