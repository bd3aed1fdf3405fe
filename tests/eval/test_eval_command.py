import json
from pathlib import Path

import pytest
from wnodes_engine.cli import main
from wnodes_engine.validation import load_schema, problems
from wnodes_engine.values import Code, Outcome

TIER1 = Path(__file__).parents[2] / "policies" / "tier1.policy"

STATE = """
now: 2026-03-02T12:00:00Z
nodes:
  - {name: "wn[01-10]", cores: 24, memory: 96GiB}
images:
  - {name: debian-12, approved: true}
  - {name: homemade}
allocations:
  - id: a1
    started: 2026-03-02T10:00:00Z
    nodes: {wn01: 1, wn02: 1}
    request: {kind: pool, origin: cloud, user: ada, group: people, cores: 15, memory: 32GiB, count: 2,
              image: debian-12}
"""

VM = {"kind": "vm", "origin": "cloud", "user": "eve", "group": "people", "cores": 4, "image": "debian-12"}
CASES = {
    "start": VM,
    "wait": VM | {"user": "ada", "cores": 12},
    "deny": VM | {"image": "homemade", "walltime": "8d", "memory": "1TiB"},
}


@pytest.fixture
def site(tmp_path):
    (tmp_path / "state.yaml").write_text(STATE)
    return tmp_path


def evaluate(site: Path, request: object, *more: str) -> int:
    (site / "request.json").write_text(json.dumps(request))
    files = ["--state", str(site / "state.yaml"), "--request", str(site / "request.json")]
    return main(["eval", str(TIER1), *files, *more])


@pytest.mark.parametrize("outcome", CASES)
def test_every_decision_is_0_and_valid_by_its_schema(site, capsys, outcome):
    assert evaluate(site, CASES[outcome], "--format", "json") == 0
    decision = json.loads(capsys.readouterr().out)
    assert problems(decision, "decision") == []
    assert decision["outcome"] == outcome
    assert decision["share"] == "cloud.personal"


def test_the_decision_schema_knows_every_outcome_and_code():
    schema = load_schema("decision")
    assert schema["properties"]["outcome"]["enum"] == list(Outcome)
    assert schema["$defs"]["reason"]["properties"]["code"]["enum"] == list(Code)


def test_a_start_names_share_route_and_node(site, capsys):
    assert evaluate(site, VM) == 0
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["START"]
    assert ["share", "cloud.personal"] in lines
    assert ["route", "openstack", "through", "slurm,", "queue", "cloud"] in lines
    assert ["node", "wn01"] in lines
    assert (err, "\x1b" in out) == ("", False)


def test_a_wait_names_what_is_short_by_how_much_and_where_that_is_written(site, capsys):
    assert evaluate(site, CASES["wait"]) == 0
    out = capsys.readouterr().out
    line = 1 + next(n for n, text in enumerate(TIER1.read_text().splitlines()) if "machines <= 10" in text)
    assert out.startswith("WAIT\n")
    assert f"{TIER1}:{line}: quota for each user" in out
    assert "cores: limit 40, current 30, short 2" in out


def test_a_denial_names_every_reason(site, capsys):
    assert evaluate(site, CASES["deny"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("DENY\n")
    assert 'deny "image is not approved"' in out
    assert "walltime: limit 1w, current 8d, short 1d" in out
    assert "1TiB" in out


def test_it_changes_nothing(site, capsys):
    before = (site / "state.yaml").read_bytes()
    answers = set()
    for _ in range(2):
        evaluate(site, VM, "--format", "json")
        answers.add(capsys.readouterr().out)
    assert len(answers) == 1
    assert (site / "state.yaml").read_bytes() == before


def test_the_images_of_the_site_are_known(site, capsys):
    (site / "site.yaml").write_text(
        "{name: t, timezone: UTC, images: {alma-9: {approved: true}},"
        " backends: {slurm: {driver: simulated}}, executors: {openstack: {driver: openstack}}}"
    )
    assert evaluate(site, VM | {"image": "alma-9"}, "--site", str(site / "site.yaml")) == 0
    assert capsys.readouterr().out.startswith("START")
    assert evaluate(site, VM | {"image": "alma-9"}) == 1


def test_what_of_the_queue_the_policy_denies_is_said(site, capsys):
    queue = (
        "queue:\n- {id: q9, submitted: 2026-03-02T11:00:00Z, request: " + json.dumps(CASES["deny"]) + "}\n"
    )
    (site / "state.yaml").write_text(STATE + queue)
    assert evaluate(site, VM) == 0
    assert "the policy denies q9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "text", "place", "said"),
    [
        ("request.json", '{"kind": "vm"', "request.json:1:14", "not JSON"),
        (
            "request.json",
            '{"kind": "vm", "user": "a", "group": "b", "origin": "moon"}',
            "request.json:1:53",
            "'moon'",
        ),
        ("request.json", b"\xff\xfe", "request.json:1:1", "not UTF-8"),
        ("request.json", "\0", "request.json:1:1", "JSON"),
        ("state.yaml", "nodes: " + "[" * 10_000, "state.yaml:1:", "nest"),
        ("state.yaml", "now: &a 2026-03-02T12:00:00Z\nnodes: *a", "state.yaml:1:", "anchors"),
    ],
)
def test_bad_input_is_1_with_its_place(site, capsys, file, text, place, said):
    (site / "request.json").write_text(json.dumps(VM))
    (site / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    files = ["--state", str(site / "state.yaml"), "--request", str(site / "request.json")]
    assert main(["eval", str(TIER1), *files]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{site}/{place}" in err
    assert said in err


def test_a_policy_with_errors_is_1_with_its_findings(site, capsys):
    (site / "broken.policy").write_text('policy p "p"\nshare a 100%\nassign nowhere otherwise\n')
    (site / "request.json").write_text(json.dumps(VM))
    files = ["--state", str(site / "state.yaml"), "--request", str(site / "request.json")]
    assert main(["eval", str(site / "broken.policy"), *files]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_misuse_is_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["eval", str(TIER1)])
    assert stopped.value.code == 2


JOB = {"kind": "job", "origin": "local", "user": "bob", "group": "people", "cores": 4, "walltime": "1h"}
FULL = """
now: 2026-03-02T12:00:00Z
nodes:
  - {name: wn01, cores: 24, memory: 96GiB}
allocations:
  - id: a1
    started: 2026-03-02T10:00:00Z
    nodes: {wn01: 1}
    request: {kind: job, origin: local, user: ada, group: people, cores: 24, walltime: "WALLTIME"}
"""


def full(site: Path, walltime: str) -> None:
    (site / "state.yaml").write_text(FULL.replace("WALLTIME", walltime))


def test_an_estimate_says_by_when_a_request_starts(site, capsys):
    full(site, "4h")
    assert evaluate(site, JOB, "--estimate") == 0
    assert "  starts   by 2026-03-02 14:00 UTC, if nothing else comes" in capsys.readouterr().out


def test_an_estimate_says_where_nobody_can_tell(site, capsys):
    full(site, "unlimited")
    assert evaluate(site, JOB, "--estimate") == 0
    assert "  starts   nobody can tell: something without a time limit" in capsys.readouterr().out


def test_an_estimate_is_part_of_the_json(site, capsys):
    full(site, "4h")
    assert evaluate(site, JOB, "--estimate", "--format", "json") == 0
    decision = json.loads(capsys.readouterr().out)
    assert problems(decision, "decision") == []
    assert decision["estimate"] == {"latest": 1772460000}
