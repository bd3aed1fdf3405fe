import json

import pytest
from wnodes_engine.commands.inputs import read_policy
from wnodes_engine.documents import DocumentError, read_document
from wnodes_engine.state_file import load_request, load_state, restore
from wnodes_engine.wire import Known

POLICY = """
policy test "two shares"
share grid 50% { share big 100% }
share rest 50%
assign grid.big when origin == grid
assign rest otherwise
order grid.big by fairshare of group half-life 1d, age best effort
deny "no pools" when kind == pool
route job, vmjob, vm, pool to batch
"""

STATE = """
now: 2026-03-01T12:00:00+01:00
nodes:
  - {name: "wn[1-3]", cores: 8, memory: 32GiB}
images:
  - {name: debian, id: "123", approved: true, min_disk: 2GiB}
allocations:
  - id: first
    started: 2026-03-01T10:00:00Z
    node: wn2
    request: {kind: vm, origin: cloud, user: ada, group: people, cores: 4, memory: 4GiB, image: debian}
  - id: second
    submitted: 2026-03-01T09:00:00Z
    started: 2026-03-01T10:30:00Z
    nodes: {wn1: 2, wn3: 1}
    request: {kind: job, origin: grid, user: bob, group: cms, cores: 2, count: 3, walltime: 2h}
queue:
  - id: third
    submitted: 2026-03-01T10:40:00Z
    request: {kind: job, origin: grid, user: bob, group: cms, cores: 8, count: 2, walltime: 2h}
use:
  grid.big:
    share: {cores: 12, memory: 48GiB}
    group: {cms: {cores: 12}, atlas: {cores: 1}}
"""

NOW = 1_772_362_800


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "test.policy"
    path.write_text(POLICY)
    return read_policy(str(path), None)


def state_file(tmp_path, text):
    path = tmp_path / "state.yaml"
    path.write_text(text)
    return load_state(path, Known())


def test_a_state_is_read_whole(tmp_path):
    file = state_file(tmp_path, STATE)
    assert file.now == NOW
    assert [node.name for node in file.nodes] == ["wn1", "wn2", "wn3"]
    first, second = file.allocations
    assert (first.started, first.request.submitted) == (NOW - 3600, NOW - 3600)
    assert first.request.image.min_disk == 2048
    assert [(place.node, place.parts) for place in second.placement] == [("wn1", 2), ("wn3", 1)]
    assert second.request.submitted == NOW - 7200
    assert [request.id for request in file.queue] == ["third"]
    assert ("grid.big", "share", "", "memory", 48 << 10) in file.use


def test_several_alike_have_ids_of_their_own(tmp_path, policy):
    text = STATE.replace("  - id: first", "  - id: first\n    times: 2").replace(
        "  - id: third", "  - id: third\n    times: 3"
    )
    (tmp_path / "state.yaml").write_text(text)
    file = load_state(tmp_path / "state.yaml", Known())
    assert [held.request.id for held in file.allocations] == ["first.1", "first.2", "second"]
    assert [request.id for request in file.queue] == ["third.1", "third.2", "third.3"]
    state, denied = restore(file, policy)
    assert (len(state.allocations), denied) == (3, [])


def test_images_are_known_by_name_and_by_id(tmp_path):
    text = STATE.replace("image: debian", 'image: "123"')
    assert state_file(tmp_path, text).allocations[0].request.image.name == "debian"


def test_the_state_comes_to_life_under_a_policy(tmp_path, policy):
    state, denied = restore(state_file(tmp_path, STATE), policy)
    shares = {share.path: share for share in state.shares(NOW)}
    assert shares["farm"].used["cores"] == 10
    assert shares["rest"].used["memory"] == 4096
    assert shares["grid.big"].average["cores"] == 12
    assert (shares["grid.big"].running, shares["grid.big"].waiting) == (1, 1)
    assert denied == []


def test_what_runs_may_have_fewer_parts_than_it_asked_for(tmp_path, policy):
    state, _ = restore(state_file(tmp_path, STATE.replace("count: 3", "count: 5, at_least: 2")), policy)
    assert state.shares(NOW)[0].used["cores"] == 10


def test_what_the_policy_denies_does_not_wait(tmp_path, policy):
    state, denied = restore(
        state_file(tmp_path, STATE.replace("kind: job, origin: grid", "kind: pool, origin: grid")), policy
    )
    assert denied == ["third"]
    assert not state.waiting


def test_json_says_the_same_as_yaml(tmp_path):
    said = state_file(tmp_path, STATE)
    document, _ = read_document(tmp_path / "state.yaml", "state")
    path = tmp_path / "state.json"
    path.write_text(json.dumps(document))
    read = load_state(path, Known())
    assert (read.now, read.nodes, read.queue) == (said.now, said.nodes, said.queue)
    assert (read.allocations, read.use) == (said.allocations, said.use)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("now: 2026-03-01T12:00:00+01:00", "now: 2026-03-01T12:00:00", 2, "not of the right form"),
        ("now: 2026-03-01T12:00:00+01:00", "now: 2026-13-01T12:00:00Z", 2, "no such moment"),
        ("now: 2026-03-01T12:00:00+01:00", "now: noon", 2, "not of the right form"),
        ("now: 2026-03-01T12:00:00+01:00", "now: 9999-12-31T23:59:59-23:59", 2, "no time at which"),
        ("submitted: 2026-03-01T09:00:00Z", "submitted: 0001-01-01T00:00:00+23:59", 13, "no time at which"),
        ("submitted: 2026-03-01T09:00:00Z", "submitted: 0000-00-00T00:00:00Z", 13, "no such moment"),
        ("now: 2026-03-01T12:00:00+01:00\n", "", 2, "'now' is missing"),
        ("memory: 32GiB}", "memory: 32GB}", 4, "not of the right form"),
        ("started: 2026-03-01T10:00:00Z", "started: 2026-03-01T11:00:01Z", 9, "later than it can be"),
        ("submitted: 2026-03-01T09:00:00Z", "submitted: 2026-03-01T10:30:01Z", 13, "later than it can be"),
        ("node: wn2", "node: wn4", 10, "no node 'wn4'"),
        ("node: wn2", "nodes: {wn1: 2}", 10, "the nodes hold 2 parts of it, and the request has 1"),
        ("node: wn2", "nodes: {}", 10, "must not be empty"),
        ("count: 3", "count: 5, at_least: 4", 15, "the nodes hold 3 parts of it, and the request has 5"),
        ("count: 3", "count: 3, at_least: 4", 16, "cannot begin with 4"),
        ("    node: wn2\n", "", 8, "either 'node' or 'nodes' has to be here"),
        ("node: wn2", "nodes: {wn2: 1}\n    node: wn2", 8, "has to be here, and not both"),
        ("image: debian}", "image: debina}", 11, "no image 'debina' is known here"),
        ("kind: vm,", "kind: vms,", 11, "unknown value 'vms'"),
        ("memory: 4GiB, image", "memory: 4 GiB, image", 11, "form"),
        ("id: second", "id: first", 12, "the id 'first' is there twice"),
        ("cores: 2, count: 3", "cors: 2, count: 3", 16, "unknown key 'cors'"),
        ("id: third", "id: ''", 18, "empty"),
        ("group: {cms", "role: {cms", 24, "unknown key 'role'"),
        ("atlas: {cores: 1}", "atlas: {cores: -1}", 24, "at least 0"),
    ],
)  # fmt: skip
def test_a_broken_state_is_named_with_its_line(tmp_path, old, new, line, message):
    assert old in STATE
    with pytest.raises(DocumentError) as caught:
        state_file(tmp_path, STATE.replace(old, new))
    assert [found.span.line for found in caught.value.findings] == [line]
    assert message in caught.value.findings[0].message


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("grid.big:", "grid.bog:", 22, "the policy has no share 'grid.bog'"),
        ("group: {cms", "user: {cms", 24, "the policy does not average the users of 'grid.big'"),
    ],
)
def test_use_that_the_policy_does_not_know_is_named_with_its_line(tmp_path, policy, old, new, line, message):
    with pytest.raises(DocumentError) as caught:
        restore(state_file(tmp_path, STATE.replace(old, new)), policy)
    (found,) = caught.value.findings
    assert (found.span.line, found.message) == (line, message)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("kind: job\norigin: grid\nuser: a", 1, "'group' is missing"),
        ("kind: job\norigin: grid\nuser: a\ngroup: b\ncores: 0", 5, "at least 1"),
        ("kind: job\norigin: grid\nuser: a\ngroup: b\nimage: x", 5, "no image 'x' is known here"),
        (
            "kind: job\norigin: grid\nuser: a\ngroup: b\nattributes:\n  colour: red",
            6,
            "no attribute 'colour'",
        ),
        ("- kind: job", 1, "a map"),
        ("", 1, "a map"),
    ],
)
def test_a_broken_request_is_named_with_its_line(tmp_path, text, line, message):
    path = tmp_path / "request.yaml"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        load_request(path, 0, Known())
    assert caught.value.findings[0].span.line == line
    assert message in caught.value.findings[0].message
