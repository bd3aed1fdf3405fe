"""What is asked for is found and checked, and becomes exactly what Nova is asked for."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from executors.openstack.answering import ScriptedLink, recorded
from hypothesis import given
from hypothesis import strategies as st
from wnodes_engine.backend import ActionOutcome
from wnodes_engine.executor import Machine, MachineSpec, Volume
from wnodes_openstack import flavours, userdata
from wnodes_openstack.errors import Answer
from wnodes_openstack.images import ImageError, Images, is_approved, why_not
from wnodes_openstack.machines import body_of, prepare
from wnodes_openstack.options import Options, read_options

TINY = recorded("images")["images"][0]
FLAVOURS = recorded("flavors")["flavors"]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@lab"
LIMITS = {"maxTotalCores": 20, "totalCoresUsed": 0, "maxTotalRAMSize": -1, "totalRAMUsed": 0,
          "maxTotalInstances": 10, "totalInstancesUsed": 0}  # fmt: skip

NETWORKS = [{"id": "n1", "name": "private"}, {"id": "n2", "name": "public"}]
VOLUME_LIMITS = {"maxTotalVolumeGigabytes": 100, "totalGigabytesUsed": 95}


def link(**routes: Any) -> ScriptedLink:
    answers = {
        "compute GET /flavors/detail": {"flavors": FLAVOURS},
        f"image GET /images/{TINY['id']}": TINY,
        "image GET /images/": Answer(404, {}),
        "image GET /images?name=tiny&": {"images": [TINY]},
        "image GET /images?": {"images": []},
        "network GET /networks": {"networks": NETWORKS},
        "network GET /security-groups": {"security_groups": [{"id": "s1", "name": "default"}]},
        "block_storage GET /types": {"volume_types": [{"id": "t1", "name": "fast"}]},
        "block_storage GET /limits": {"limits": {"absolute": VOLUME_LIMITS}},
        "compute GET /limits": {"limits": {"absolute": LIMITS}},
    }  # fmt: skip
    return ScriptedLink(answers | routes)


def spec(**fields: Any) -> MachineSpec:
    given: dict[str, Any] = {
        "key": "k1",
        "name": "vm",
        "project": "p",
        "image": "tiny",
        "networks": ("private",),
    }
    return MachineSpec(**given | fields)


def prepared(asked: MachineSpec, on: ScriptedLink | None = None) -> Machine | ActionOutcome:
    options = Options(cloud="c")
    return prepare(on or link(), {}, Images(options), options, asked)  # type: ignore[arg-type]


def body(**fields: Any) -> dict[str, Any]:
    machine = prepared(spec(**fields))
    assert isinstance(machine, Machine), machine
    return body_of(machine, "alpha-1", "farm")


def test_a_machine_is_one_server_on_one_host_that_carries_its_key() -> None:
    server = body(metadata={"colour": "blue"})["server"]
    assert server == {
        "name": "vm",
        "flavorRef": "c1",
        "imageRef": TINY["id"],
        "host": "alpha-1",
        "networks": [{"uuid": "n1"}],
        "metadata": {"colour": "blue", "wnodes_key": "k1", "wnodes_farm": "farm"},
        "tags": ["k1"],
    }


def test_volumes_are_made_by_nova_and_end_with_the_server_unless_they_are_kept() -> None:
    server = body(boot_volume=2, volumes=(Volume(1, "fast"), Volume(1, kept=True)))["server"]
    root, fast, kept = server["block_device_mapping_v2"]
    assert "imageRef" not in server
    assert (root["destination_type"], root["volume_size"], root["delete_on_termination"]) == (
        "volume",
        2,
        True,
    )
    assert (fast["volume_type"], fast["delete_on_termination"]) == ("fast", True)
    assert ("volume_type" in kept, kept["delete_on_termination"]) == (False, False)


def test_a_machine_survives_being_written_down() -> None:
    machine = prepared(spec(volumes=(Volume(1),)))
    assert msgspec.json.decode(msgspec.json.encode(machine), type=Machine) == machine


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"networks": ()}, "name a network: the project can see private, public"),
        ({"networks": ("nope",)}, "there is no network 'nope'"),
        ({"security_groups": ("nope",)}, "there is no security group 'nope'"),
        ({"cores": 32}, "no flavour has 32 cores"),
        ({"flavour": "c1", "memory": 2048}, "the flavour 'c1' has 1024 MiB of memory, 2048 are asked for"),
        ({"image": "nope"}, "there is no image 'nope'"),
        ({"volumes": (Volume(1, "slow"),)}, "there is no volume type 'slow'"),
        ({"volumes": (Volume(6),)}, "the project's quota is 100 GiB of volumes, 95 are used"),
        ({"flavour": "c16", "metadata": {"x" * 256: ""}}, "longer than 255 characters"),
        ({"metadata": {str(each): "" for each in range(101)}}, "101 metadata are too many"),
        ({"metadata": {"wnodes_farm": "x"}}, "WNoDeS' own"),
        ({"name": "-rf"}, "begins with '-'"),
    ],
)
def test_what_cannot_be_had_is_said_in_the_requesters_words(fields: dict[str, Any], said: str) -> None:
    answer = prepared(spec(**fields))
    assert isinstance(answer, ActionOutcome)
    assert said in answer.message


def test_nothing_is_made_while_it_is_only_checked() -> None:
    on = link()
    prepared(spec(boot_volume=1, security_groups=("default",)), on)
    assert {asked.split()[1] for asked, _ in on.asked} == {"GET"}


# ---------------------------------------------------------------------- flavours


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "c1"),
        ({"cores": 3}, "c4"),
        ({"memory": 5000}, "c4"),
        ({"disk": 6 * 1024}, "c4"),
        ({"flavour": "c8"}, "c8"),
    ],
)
def test_the_smallest_flavour_that_is_large_enough_is_taken(fields: dict[str, Any], name: str) -> None:
    chosen = flavours.chosen(FLAVOURS, spec(**fields))
    assert chosen is not None
    assert chosen["name"] == name


def test_a_flavour_with_gpus_is_for_those_who_ask_for_them() -> None:
    gpu = FLAVOURS[0] | {
        "id": "g1",
        "name": "g1",
        "vcpus": 1,
        "extra_specs": {"pci_passthrough:alias": "a100:2"},
    }
    assert flavours.chosen([gpu], spec()) is None
    assert flavours.chosen([gpu, *FLAVOURS], spec(gpus=2)) == gpu


@given(st.integers(1, 16), st.integers(0, 32768), st.integers(0, 40 * 1024))
def test_what_is_chosen_has_all_that_is_asked_for(cores: int, memory: int, disk: int) -> None:
    chosen = flavours.chosen(FLAVOURS, spec(cores=cores, memory=memory, disk=disk))
    assert chosen is not None
    assert (chosen["vcpus"] >= cores, chosen["ram"] >= memory, chosen["disk"] * 1024 >= disk) == (True,) * 3


def test_a_flavour_made_to_measure_says_in_its_name_what_it_has() -> None:
    made = flavours.measured(spec(cores=3, memory=3000, disk=4097))
    assert (made["name"], made["disk"]) == ("wnodes-3c-3000m-5d", 5)
    assert flavours.fits_exactly(made, spec(cores=3, memory=3000, disk=5 * 1024))


# ------------------------------------------------------------------------ images


def test_an_image_is_believed_for_a_while_and_looked_at_again_then() -> None:
    now = [0.0]
    images, on = Images(Options(cloud="c", image_age=60), clock=lambda: now[0]), link()
    for at, calls in ((0.0, 2), (59.0, 2), (61.0, 3)):
        now[0] = at
        assert images.find(on, "tiny")["id"] == TINY["id"]  # type: ignore[arg-type]
        assert len(on.asked) == calls
    on.routes[f"image GET /images/{TINY['id']}"] = TINY | {"status": "deactivated"}
    now[0] = 200.0
    assert images.find(on, "tiny")["status"] == "deactivated"  # type: ignore[arg-type]


def test_two_images_of_one_name_are_not_guessed_between() -> None:
    twice = {"images": [TINY, TINY | {"id": "other"}]}
    on = link(**{"image GET /images?name=tiny&": twice})
    with pytest.raises(ImageError, match="2 images are called 'tiny': name one by its id"):
        Images(Options(cloud="c")).find(on, "tiny")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shown", "disk", "said"),
    [
        ({}, 1, ""),
        ({"status": "queued"}, 1, "is queued, not active"),
        ({"checksum": None, "os_hash_value": None}, 1, "has no checksum"),
        ({"min_ram": 2048}, 1, "needs 2048 MiB of memory, the machine has 1024"),
        ({"min_disk": 2}, 1, "needs a disk of 2 GiB, the machine has 1"),
        ({"virtual_size": (3 << 30) + 1}, 3, "needs a disk of 4 GiB, the machine has 3"),
    ],
)
def test_an_image_is_refused_for_what_is_wrong_with_it(shown: dict[str, Any], disk: int, said: str) -> None:
    flavour = next(each for each in FLAVOURS if each["name"] == "c1")
    assert said in why_not(TINY | shown, Options(cloud="c"), flavour, disk)
    assert bool(said) == bool(why_not(TINY | shown, Options(cloud="c"), flavour, disk))


@pytest.mark.parametrize(
    ("options", "approved"),
    [
        ({}, True),
        ({"approved": ("tiny",)}, True),
        ({"approved": (TINY["id"],)}, True),
        ({"approved": ("other",)}, False),
        ({"approved_by": {"x_share_image": "yes"}}, True),
        ({"approved_by": {"x_share_image": "no"}}, False),
    ],
)
def test_an_image_is_approved_by_list_or_property(options: dict[str, Any], approved: bool) -> None:
    assert is_approved(TINY, Options(cloud="c", **options)) is approved


# --------------------------------------------------------------------- user data


def test_keys_alone_are_a_cloud_config() -> None:
    text = base64.b64decode(userdata.compose("", [KEY])).decode()
    head, _, config = text.partition("\n")
    assert (head, json.loads(config)) == ("#cloud-config", {"ssh_authorized_keys": [KEY]})


def test_keys_and_a_script_are_two_parts() -> None:
    text = base64.b64decode(userdata.compose("#!/bin/sh\ntrue\n", [KEY])).decode()
    assert "text/cloud-config" in text
    assert "text/x-shellscript" in text


def test_nothing_is_nothing() -> None:
    assert userdata.compose("", []) == ""


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ssh-rsa",
        "ssh-rsa short",
        f"{KEY}\nssh-rsa AAAA",
        'command="rm" ' + KEY,
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_what_is_no_public_key_is_refused(key: str) -> None:
    with pytest.raises(userdata.UserDataError, match="not an OpenSSH public key"):
        userdata.compose("", [key])


@given(st.text(max_size=2000))
def test_user_data_arrives_as_it_was_given(text: str) -> None:
    assert base64.b64decode(userdata.compose(text, [])).decode() == text


# ----------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "executors.c.options: object missing required field 'cloud'"),
        ({"cloud": "x", "thread": 2}, "unknown field 'thread'"),
        ({"cloud": "x", "farm": "Farm!"}, "executors.c.options.farm"),
        ({"cloud": "x", "timeout": 0}, "executors.c.options.timeout"),
        ({"cloud": "x", "nodes": {"a": "wn1", "b": "wn1"}}, "two hosts are the node 'wn1'"),
    ],
)
def test_options_that_are_wrong_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_options("c", options)
