"""The form of requests: what is read, what is refused and where, and that the schema says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wnodes_engine import wire
from wnodes_engine.check.checked import UNLIMITED, SiteAttribute
from wnodes_engine.language.vocabulary import Trust, Type
from wnodes_engine.payload import LARGEST_SCRIPT, Payload
from wnodes_engine.site import Flavour, load_site
from wnodes_engine.values import Image

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "request.json").read_text())
LEAST: dict[str, Any] = {"kind": "job", "origin": "local", "user": "ada", "group": "lab"}
KNOWN = wire.Known(
    images={"alma9": Image(id="7", name="alma9", approved=True)},
    flavours={"small": Flavour(cores=2, memory=4096)},
    attributes={
        name: SiteAttribute(name, type_, Trust.CLAIMED, None)
        for name, type_ in {
            "dataset": Type.STRING,
            "urgent": Type.TRUTH,
            "cache": Type.SIZE,
            "events": Type.NUMBER,
        }.items()
    },
)


def read(**fields: Any) -> Any:
    form = wire.decode(json.dumps(LEAST | fields).encode())
    assert isinstance(form, wire.RequestForm)
    return wire.to_request(form, "r1", 100, KNOWN)


@pytest.mark.parametrize(
    ("field", "written", "meant"),
    [
        ("memory", 2048, 2048),
        ("memory", "512MiB", 512),
        ("memory", "8GiB", 8192),
        ("disk", "2TiB", 2 << 20),
        ("walltime", 90, 90),
        ("walltime", "12h", 43200),
        ("walltime", "2w", 1209600),
        ("walltime", "unlimited", UNLIMITED),
        ("at_least", 3, 3),
        ("image", "alma9", KNOWN.images["alma9"]),
        ("attributes", {"cache": "2GiB"}, {"cache": 2048}),
        ("attributes", {"urgent": True}, {"urgent": True}),
        ("tags", ["b", "a"], frozenset({"a", "b"})),
    ],
)
def test_a_quantity_is_read_in_the_unit_of_the_house(field: str, written: Any, meant: Any) -> None:
    assert getattr(read(**{field: written}), field) == meant


def test_a_flavour_fills_in_the_sizes_that_were_left_out() -> None:
    request = read(flavour="small", cores=3)
    assert (request.cores, request.memory) == (3, 4096)


BROKEN: list[tuple[dict[str, Any], str, str]] = [
    ({"cores": 0}, "$.cores", "1 to 1000000"),
    ({"cores": "4"}, "$.cores", "whole number"),
    ({"cores": True}, "$.cores", "whole number"),
    ({"cores": 10**30}, "$.cores", "1000000"),
    ({"count": -1}, "$.count", "parts"),
    ({"at_least": 0}, "$.at_least", "1 to count"),
    ({"count": 2, "at_least": 3}, "$.at_least", "cannot begin with 3"),
    ({"memory": "8gb"}, "$.memory", "GiB"),
    ({"memory": "8GiB\n"}, "$.memory", "GiB"),
    ({"memory": "9999999999999TiB"}, "$.memory", "GiB"),
    ({"walltime": "soon"}, "$.walltime", "12h"),
    ({"walltime": "9999999999w"}, "$.walltime", "unlimited"),
    ({"kind": "jobb"}, "$.kind", "vmjob"),
    ({"user": ""}, "$.user", "256"),
    ({"user": "-rf"}, "$.user", "beginning with '-'"),
    ({"user": "a\nb"}, "$.user", "control"),
    ({"user": "a\u202eb"}, "$.user", "control"),
    ({"name": "x" * 257}, "$.name", "256"),
    ({"tags": ["ok", "no\u0000"]}, "$.tags[1]", "control"),
    ({"tags": ["t"] * 65}, "$.tags", "64"),
    ({"corse": 3}, "$.corse", "cores"),
    ({"image": {"name": "x", "approvd": True}}, "$.image.approvd", "approved"),
    ({"image": {"name": "x", "size": "1kB"}}, "$.image.size", "GiB"),
    ({"image": "alma8"}, "$.image", "alma9"),
    ({"flavour": "tiny"}, "$.flavour", "small"),
    ({"attributes": {"dataset": "-x"}}, "$.attributes.dataset", "texts"),
    ({"attributes": {"datasets": "x"}}, "$.attributes.datasets", "dataset"),
    ({"attributes": {"cache": "2kB"}}, "$.attributes.cache", "GiB"),
]


@pytest.mark.parametrize(("fields", "path", "mend"), BROKEN)
def test_a_broken_request_is_refused_with_the_path_of_the_field_and_the_mend(
    fields: dict[str, Any], path: str, mend: str
) -> None:
    with pytest.raises(wire.WireError) as caught:
        read(**fields)
    assert caught.value.path == path
    assert mend in f"{caught.value.message} {caught.value.help}"


def test_a_site_attribute_of_another_type_is_refused() -> None:
    with pytest.raises(wire.WireError, match="number") as caught:
        read(attributes={"events": True})
    assert caught.value.path == "$.attributes.events"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", "$"),
        (b"{", "$"),
        (b"\xff\xfe", "$"),
        (b'{"user": "\xff"}', "$"),
        (b"[]", "$"),
        (b"3", "$"),
        (b"[" * 100_000, "$[0]"),
        (b'{"kind":"job"}', "$.origin"),
        (b'{"attributes":{"a":"-x"},"b":' + b"[" * 100_000, "$.attributes[...]"),
        (json.dumps([LEAST] * (wire.LARGEST_BATCH + 1)).encode(), "$"),
        (json.dumps([LEAST, LEAST | {"gpus": -1}]).encode(), "$[1].gpus"),
    ],
)
def test_a_body_that_is_no_request_is_refused_where_it_goes_wrong(body: bytes, path: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.decode(body)
    assert caught.value.path == path


def test_names_are_those_of_the_site(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(
        "name: s\ntimezone: UTC\nimages: {alma9: {id: '7', approved: true}}\n"
        "flavours: {small: {cores: 2, memory: 4096}}\nattributes: {dataset: {type: string, trust: claimed}}\n"
    )
    known = wire.Known.of(load_site(tmp_path / "site.yaml"))
    form = wire.convert(LEAST | {"image": "7", "flavour": "small", "attributes": {"dataset": "d"}})
    request = wire.to_request(form, "r", 0, known)
    assert request.image == Image(id="7", name="alma9", approved=True)
    assert (request.cores, request.memory, request.attributes) == (2, 4096, {"dataset": "d"})


def test_the_schema_file_is_the_one_that_the_types_make() -> None:
    assert wire.schema() == SCHEMA


values = st.one_of(
    st.integers(-(10**7), 10**14),
    st.booleans(),
    st.none(),
    st.sampled_from(
        ["job", "vm", "grid", "8GiB", "12h", "unlimited", "", "-x", "a b", "a\n", "0MiB", "00MiB", "é"]
    ),
    st.text("a-\n\u2029é\U0001f600 ", max_size=5),
    st.lists(st.sampled_from(["a", "", "-", "b\u2028"]) | st.integers(0, 3), max_size=3),
    st.dictionaries(
        st.sampled_from(["name", "id", "size", "a-b", "approved"]),
        st.sampled_from(["x", "", "1GiB", "-"]) | st.integers(-(1 << 54), 1 << 54) | st.booleans(),
        max_size=3,
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*wire.RequestForm.__struct_fields__, "extra"]), values, max_size=4))
def test_the_schema_and_the_reader_accept_the_same_requests(fields: dict[str, Any]) -> None:
    document = LEAST | fields
    by_schema = jsonschema.Draft202012Validator(SCHEMA).is_valid(document)
    try:
        wire.decode(json.dumps(document).encode())
        by_reader = True
    except wire.WireError:
        by_reader = False
    assert by_schema == by_reader


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "cores": st.integers(1, 64),
            "memory": st.integers(0, 1 << 40),
            "walltime": st.sampled_from([1, "3h", "unlimited"]),
            "tags": st.lists(st.sampled_from("abc")),
            "image": st.sampled_from(["alma9", {"name": "own", "size": "3GiB"}]),
            "attributes": st.just({"dataset": "d1"}),
        },
    )
)
def test_a_request_that_is_shown_reads_back_as_the_same_request(fields: dict[str, Any]) -> None:
    request = read(**fields)
    shown = wire.decode(json.dumps(json.loads(wire.msgspec.json.encode(wire.from_request(request)))).encode())
    assert isinstance(shown, wire.RequestForm)
    assert wire.to_request(shown, "r1", 100, KNOWN) == request


def test_what_a_request_runs_is_read_and_stays_out_of_the_request() -> None:
    form = wire.decode(json.dumps(LEAST | {"script": "#!/bin/sh\nsecret\n"}).encode())
    assert isinstance(form, wire.RequestForm)
    assert wire.payload_of(form) == Payload("#!/bin/sh\nsecret\n")
    assert wire.to_request(form, "r1", 100, KNOWN) == read()
    assert wire.from_request(read()).script == ""


def test_the_volumes_of_a_machine_are_counted_as_asked_for() -> None:
    machine = {"boot_volume": 20, "volumes": [{"size": 5}]}
    assert read(kind="vm", machine=machine).volumes == 2
    assert read(kind="vm", machine=machine, volumes=3).volumes == 3
    assert read(kind="vm", machine={"key_pair": "mine"}).volumes is None


@pytest.mark.parametrize(
    ("fields", "path", "mend"),
    [
        ({"kind": "vm", "script": "run"}, "$.script", "user_data"),
        ({"machine": {"key_pair": "mine"}}, "$.machine", "vm"),
        ({"kind": "vm", "volumes": 0, "machine": {"boot_volume": 9}}, "$.volumes", "counted"),
    ],
)
def test_what_is_not_of_the_kind_is_not_run(fields: dict[str, Any], path: str, mend: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.payload_of(wire.convert(LEAST | fields))
    assert caught.value.path == path
    assert mend in (caught.value.help or "")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"script": "a\0b"}, "$.script"),
        ({"script": "x" * (LARGEST_SCRIPT + 1)}, "$.script"),
        ({"kind": "vm", "machine": {"user_data": "x" * 65536}}, "$.machine.user_data"),
        ({"kind": "vm", "machine": {"ssh_keys": ["ssh-rsa A\nssh-rsa B"]}}, "$.machine.ssh_keys[0]"),
        ({"kind": "vm", "machine": {"volumes": [{"size": 0}]}}, "$.machine.volumes[0].size"),
        ({"kind": "vm", "machine": {"keypair": "mine"}}, "$.machine.keypair"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.convert(LEAST | fields)
    assert caught.value.path == path
