import json
from pathlib import Path

import pytest
from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.documents import DocumentError
from wnodes_engine.simulate.mapping import PLAIN, load_mapping
from wnodes_engine.simulate.swf import SwfJob

SHIPPED = Path(__file__).parents[2] / "policies" / "mappings" / "lcg.yaml"


@pytest.fixture
def mapped(tmp_path):
    """A function from a mapping's text and a job to the request."""

    def mapped(text: str, job: SwfJob, start: int = 0):
        path = tmp_path / "mapping.yaml"
        path.write_text(text)
        return load_mapping(path).reader(start)(job)

    return mapped


def job(**fields) -> SwfJob:
    return SwfJob(**{"number": 1, "submitted": 10, "runtime": 600, "processors": 1} | fields)


def test_the_first_rule_that_matches_decides_and_the_default_fills_in(mapped):
    text = """
      rules:
        - {when: {group: "4-6"}, request: {group: cms}}
        - {when: {group: [5, 9]}, request: {origin: cloud, kind: vm, group: cloud}}
      default: {origin: grid, kind: job, memory_per_core: 2GiB}
    """
    assert mapped(text, job(group=5)).group == "cms"
    assert mapped(text, job(group=5)).memory == 2048
    assert mapped(text, job(group=9)).origin == "cloud"
    assert mapped(text, job(group=7)).group == "group7"


def test_a_rule_matches_when_all_its_numbers_do(mapped):
    text = "{rules: [{when: {user: 1, queue: 2}, request: {group: g}}], default: {origin: grid, kind: job}}"
    assert mapped(text, job(user=1, queue=2)).group == "g"
    assert mapped(text, job(user=1, queue=3)).group != "g"
    assert mapped(text, job(user=2, queue=2)).group != "g"


def test_names_hold_the_numbers_of_the_log(mapped):
    text = """
      default: {origin: local, kind: job, user: "u{user}", group: "{group}x{group}", queue: "q{queue}",
                account: "{partition}", project: "{user}.{group}"}
    """
    request = mapped(text, job(user=3, group=4, queue=5))
    assert (request.user, request.group, request.queue) == ("u3", "4x4", "q5")
    assert (request.account, request.project) == ("unknown", "3.4")


@pytest.mark.parametrize(
    ("width", "per_part", "cores", "count"),
    [(1, 1, 1, 1), (7, 1, 1, 7), (8, 8, 8, 1), (9, 8, 8, 2), (3, 8, 3, 1), (64, 16, 16, 4)],
)
def test_a_wide_job_is_divided_into_parts(mapped, width, per_part, cores, count):
    text = f"default: {{origin: grid, kind: job, cores_per_part: {per_part}, memory_per_core: 1GiB}}"
    request = mapped(text, job(processors=width))
    assert (request.cores, request.count, request.memory) == (cores, count, cores * 1024)


def test_several_machines_are_a_pool(mapped):
    text = "default: {origin: cloud, kind: vm, cores_per_part: 4}"
    assert mapped(text, job(processors=4)).kind == "vm"
    assert mapped(text, job(processors=8)).kind == "pool"


def test_the_memory_of_the_log_goes_before_that_of_the_mapping(mapped):
    text = "default: {origin: grid, kind: job, memory_per_core: 4GiB, cores_per_part: 2}"
    assert mapped(text, job(memory=1025, processors=2)).memory == 4


def test_the_age_counts_from_the_start_of_the_log(mapped):
    assert mapped("default: {origin: grid, kind: job}", job(), 1_132_444_805).submitted == 1_132_444_815


@pytest.mark.parametrize(
    ("walltime", "seconds"),
    [("12h", 43_200), ("unlimited", UNLIMITED), ("{factor: 2}", 1200), ("{factor: [0.5, 0.5]}", 300)],
)
def test_a_walltime_fills_in_where_the_log_has_none(mapped, walltime, seconds):
    text = f"default: {{origin: grid, kind: job, walltime: {walltime}}}"
    assert mapped(text, job()).walltime == seconds
    assert mapped(text, job(walltime=77)).walltime == 77


def test_a_log_and_a_mapping_without_walltimes_leave_them_to_the_policy(mapped):
    assert mapped("default: {origin: grid, kind: job}", job()).walltime is None


def test_factors_are_drawn_between_their_bounds_and_again_alike(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text("{seed: 5, default: {origin: grid, kind: job, walltime: {factor: [2, 3]}}}")
    mapping = load_mapping(path)
    jobs = [job(number=n, runtime=6000) for n in range(1, 50)]
    first = [request.walltime for request in map(mapping.reader(0), jobs)]
    assert all(12_000 <= walltime <= 18_000 for walltime in first)
    assert len(set(first)) > 10
    assert first == [request.walltime for request in map(mapping.reader(0), jobs)]


def test_without_a_mapping_every_job_is_a_grid_job_of_its_user_and_group():
    request = PLAIN.reader(0)(job(user=3, group=4))
    assert (request.origin, request.kind, request.user, request.group) == ("grid", "job", "user3", "group4")


def test_the_shipped_mapping_makes_work_of_all_origins_and_all_its_images_are_approved():
    read = load_mapping(SHIPPED).reader(0)
    requests = [read(job(group=group, user=1)) for group in range(1, 29)]
    assert {request.origin for request in requests} == {"local", "grid", "cloud"}
    assert {request.kind for request in requests} == {"job", "vmjob", "vm"}
    assert {"alice", "atlas", "cms", "lhcb"} < {request.group for request in requests}
    assert any("service-operator" in request.roles for request in requests)
    assert all(request.image.approved for request in requests if request.kind != "job")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("rules: []", 1, "'default' is missing"),
        ("default:\n  kind: job", 1, "'origin' is missing"),
        ("default:\n  origin: grid\n  kind: jobs", 3, "unknown value 'jobs'"),
        ("default:\n  origin: grid\n  kind: job\n  grupp: x", 4, "unknown key 'grupp'"),
        ("default:\n  origin: grid\n  kind: job\n  group: 'vo{vo}'", 4, "not of the right form"),
        ("default:\n  origin: grid\n  kind: job\n  memory_per_core: 2GB", 4, "not of the right form"),
        ("default:\n  origin: grid\n  kind: job\n  memory_per_core: 9999999999999TiB", 4, "too large"),
        ("default: {origin: grid, kind: job}\nrules:\n  - when:\n      group: 9-4", 4, "runs backwards"),
        ("default: {origin: grid, kind: job}\nrules:\n  - when: {}", 3, "must not be empty"),
    ],
)
def test_a_broken_mapping_is_named_with_its_line(tmp_path, text, line, message):
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        load_mapping(path)
    assert [found.span.line for found in caught.value.findings] == [line]
    assert message in caught.value.findings[0].message


def test_a_mapping_may_be_json(tmp_path):
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps({"default": {"origin": "grid", "kind": "job"}}))
    assert load_mapping(path).default.kind == "job"
