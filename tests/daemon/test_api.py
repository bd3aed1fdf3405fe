"""The API over a real socket, served by a real daemon."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from sites.running import Site, form, until
from wnodes_daemon.api import OPERATIONS
from wnodes_daemon.client import ApiError, Client
from wnodes_daemon.records import State
from wnodes_daemon.views import Problem
from wnodes_engine.backend import Action
from wnodes_engine.values import Code, Outcome
from wnodes_engine.wire import LARGEST_BATCH

JOB = {"kind": "job", "origin": "local", "user": "ada", "group": "lab"}


@pytest.fixture(scope="module")
def client(shared_site: Site) -> Client:
    shared_site.write(
        daemon={"limits": {"body": 100_000, "batch": 50, "page": 20, "waiting": 300}},
        speed=60,
        unlimited=36000,
    )
    return shared_site.start()


@pytest.fixture(scope="module")
def raw(client: Client, shared_site: Site) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(shared_site.folder / "wnodesd.sock"))
    return httpx.Client(transport=transport, base_url="http://wnodesd", timeout=30)


def post(raw: httpx.Client, path: str, body: Any) -> httpx.Response:
    return raw.post(path, json=body)


def test_a_request_is_taken_in_runs_and_ends(client: Client) -> None:
    view = client.submit(form(cores=2, memory="2GiB", walltime=60, user="grace"))
    assert (view.state, view.share) == (State.WAITING, "local")
    until(lambda: client.show(view.id).state is State.DONE)
    shown = client.show(view.id)
    assert shown.exit_status == 0
    assert shown.request.memory == 2048
    assert [(attempt.step, attempt.job is not None) for attempt in shown.attempts] == [("ended", True)]
    assert shown.started is not None
    assert shown.ended is not None
    assert shown.submitted <= shown.started <= shown.ended


def test_what_the_policy_denies_is_not_kept_and_says_why(client: Client, raw: httpx.Client) -> None:
    with pytest.raises(ApiError) as caught:
        client.submit(form(user="mallory", cores=14))
    problem = caught.value.problem
    assert problem.status == 403
    assert problem.decision is not None
    assert problem.decision.outcome is Outcome.DENY
    assert {reason.code for reason in problem.decision.reasons} >= {Code.RULE, Code.QUOTA}
    assert not list(client.requests(user="mallory"))


def test_a_waiting_request_says_which_rule_it_waits_for_and_starts_when_it_may(client: Client) -> None:
    first = client.submit_all([form(user="hedy", cores=6, walltime="unlimited")] * 3)
    ids = [item.request.id for item in first if item.request is not None]
    until(lambda: client.show(ids[1]).state is State.RUNNING)
    waiting = client.show(ids[2])
    assert waiting.state is State.WAITING
    assert waiting.decision is not None
    reason = waiting.decision.reasons[0]
    assert (reason.code, reason.limit, reason.current, reason.short) == (Code.QUOTA, 12, 12, 6)
    assert reason.rule.startswith("quota for each user")
    assert client.cancel(ids[0]).cancelling
    until(lambda: client.show(ids[2]).state is State.RUNNING)
    assert client.show(ids[0]).state is State.CANCELLED
    for id_ in ids[1:]:
        client.cancel(id_)


def test_a_waiting_request_is_taken_back_at_once_and_only_once(client: Client) -> None:
    view = client.submit(form(kind="pool", user="ida", cores=6, count=2, walltime="unlimited"))
    blocked = client.submit(form(user="ida", cores=1, walltime="unlimited"))
    assert client.cancel(blocked.id).state is State.CANCELLED
    with pytest.raises(ApiError) as caught:
        client.cancel(blocked.id)
    assert caught.value.problem.status == 409
    client.cancel(view.id)
    until(lambda: client.show(view.id).state is State.CANCELLED)


def test_each_request_of_a_list_has_its_own_answer(client: Client) -> None:
    items = client.submit_all([form(walltime=60), form(user="mallory"), form(origin="grid", walltime=60)])
    assert [item.status for item in items] == [201, 403, 201]
    assert [item.request.share if item.request else None for item in items] == ["local", None, "grid.small"]


def test_a_list_with_one_broken_request_takes_none_in(client: Client, raw: httpx.Client) -> None:
    answer = post(raw, "/v1/requests", [JOB | {"user": "nobody"}, JOB | {"cores": 0}])
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["path"] == "$[1].cores"
    assert not list(client.requests(user="nobody"))


def test_a_decision_has_no_side_effects(client: Client) -> None:
    decisions = client.decide_all(
        [form(user="eve", cores=8), form(user="eve", cores=8), form(user="mallory")]
    )
    assert [decision.outcome for decision in decisions] == [Outcome.START, Outcome.START, Outcome.DENY]
    assert client.decide(form(user="eve", cores=13)).outcome is Outcome.DENY
    assert not list(client.requests(user="eve"))


BROKEN: list[tuple[str, bytes, int, str]] = [
    ("/v1/requests", b"", 400, "$"),
    ("/v1/requests", b"{", 400, "$"),
    ("/v1/requests", b"\xff", 400, "$"),
    ("/v1/requests", b"[]", 400, "$"),
    ("/v1/requests", b"null", 400, "$"),
    ("/v1/decisions", b"[" * 50_000, 400, "$[0]"),
    ("/v1/requests", json.dumps(JOB | {"cores": "4"}).encode(), 400, "$.cores"),
    ("/v1/requests", json.dumps(JOB | {"user": "a\nb"}).encode(), 400, "$.user"),
    ("/v1/requests", json.dumps(JOB | {"cpus": 4}).encode(), 400, "$.cpus"),
    ("/v1/requests", json.dumps(JOB | {"image": "none"}).encode(), 400, "$.image"),
    ("/v1/decisions", json.dumps([JOB, JOB | {"attributes": {"x": 1}}]).encode(), 400, "$[1].attributes.x"),
    ("/v1/requests", json.dumps([JOB] * 51).encode(), 413, ""),
    ("/v1/requests", json.dumps([JOB] * (LARGEST_BATCH + 1)).encode(), 400, "$"),
    ("/v1/requests", b" " * 100_001, 413, ""),
]


@pytest.mark.parametrize(("path", "body", "status", "field"), BROKEN)
def test_a_broken_body_is_refused_with_the_path_of_the_field(
    raw: httpx.Client, path: str, body: bytes, status: int, field: str
) -> None:
    answer = raw.post(path, content=body, headers={"content-type": "application/json"})
    problem = msgspec_problem(answer)
    assert problem.status == status
    assert [error.path for error in problem.errors] == ([field] if field else [])
    assert all(error.help for error in problem.errors)


def msgspec_problem(answer: httpx.Response) -> Problem:
    """Every failure has the same shape."""
    import msgspec

    problem = msgspec.json.decode(answer.content, type=Problem)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == problem.status
    assert problem.type.startswith("urn:wnodes:problem:")
    assert problem.detail
    return problem


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/v1/requests/999999", 404, "999999"),
        ("GET", "/v1/requests/x", 404, "ids are numbers"),
        ("GET", "/v1/requests/" + "9" * 30, 404, "ids are numbers"),
        ("DELETE", "/v1/requests/999999", 404, "999999"),
        ("GET", "/v1/nothing", 404, "/v1/openapi.json"),
        ("GET", "/", 404, "/v1/openapi.json"),
        ("PUT", "/v1/requests", 405, "PUT"),
        ("GET", "/v1/decisions", 405, "POST"),
        ("GET", "/v1/requests?state=lost", 400, "?state"),
        ("GET", "/v1/requests?limit=0", 400, "?limit"),
        ("GET", "/v1/requests?limit=x", 400, "?limit: this has to be a whole number"),
        ("GET", "/v1/requests?cursor=-1", 400, "?cursor"),
        ("GET", "/v1/requests?cursor=x", 400, "?cursor"),
        ("GET", "/v1/requests?users=ada", 400, "users"),
        ("GET", "/v1/requests?kind=jobs", 400, "there is no kind 'jobs'"),
        ("GET", "/v1/requests?user=a%0Ab", 400, "?user: this is not a text of 1 to 256 characters"),
        ("GET", "/v1/requests/1/", 404, "there is nothing at /v1/requests/1/"),
    ],
)
def test_what_is_not_there_or_not_allowed_is_a_problem_too(
    raw: httpx.Client, method: str, path: str, status: int, said: str
) -> None:
    problem = msgspec_problem(raw.request(method, path))
    assert problem.status == status
    assert said in problem.detail


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_is_not_sent_as_json_is_refused(raw: httpx.Client, media: str) -> None:
    headers = {"content-type": media} if media else {}
    answer = raw.post("/v1/requests", content=json.dumps(JOB).encode(), headers=headers)
    assert msgspec_problem(answer).status == 415


def test_a_body_without_a_length_is_cut_off_at_the_limit(shared_site: Site, client: Client) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(shared_site.folder / "wnodesd.sock"))
        peer.sendall(b"POST /v1/requests HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        peer.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
        for _ in range(4):
            peer.sendall(chunk)
        assert peer.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_full_queue_turns_requests_away_and_says_when_to_come_back(
    client: Client, raw: httpx.Client
) -> None:
    vms = [JOB | {"user": "greedy", "cores": 8, "walltime": "unlimited"}] * 50
    answers = [post(raw, "/v1/requests", vms) for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert msgspec_problem(refused[0]).detail
    assert int(refused[0].headers["retry-after"]) > 0
    for view in list(client.requests(user="greedy", state="waiting,starting,running")):
        client.cancel(view.id)
    until(lambda: not list(client.requests(user="greedy", state="waiting,starting,running")))


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_paging_shows_every_request_exactly_once(client: Client, raw: httpx.Client, size: int) -> None:
    client.submit_all([form(user="page", walltime=60, name=f"n{at}") for at in range(10)])
    everything = [view.id for view in client.requests(most=None)]
    seen: list[str] = []
    cursor: str | None = "0"
    while cursor is not None:
        page = raw.get("/v1/requests", params={"limit": size, "cursor": cursor}).json()
        assert len(page["requests"]) <= min(size, 20)
        seen += [view["id"] for view in page["requests"]]
        cursor = page["next"]
    assert seen[: len(everything)] == everything
    assert len(set(seen)) == len(seen)


def test_filters_take_what_they_say(client: Client) -> None:
    client.submit_all(
        [form(origin="grid", group="cms", walltime=60), form(origin="grid", walltime=60, user="zoe")]
    )
    assert {view.share for view in client.requests(share="grid")} == {"grid.lhc", "grid.small"}
    assert {view.share for view in client.requests(share="grid.lhc")} == {"grid.lhc"}
    assert not list(client.requests(share="gri"))
    assert {view.request.user for view in client.requests(user="zoe")} == {"zoe"}
    assert {view.request.group for view in client.requests(group="cms", origin="grid", kind="job")} == {"cms"}
    assert {view.state for view in client.requests(state="done,cancelled")} <= {State.DONE, State.CANCELLED}


def test_shares_and_nodes_agree_on_what_is_used(client: Client) -> None:
    item = client.submit(
        form(kind="vm", origin="cloud", user="vera", cores=3, memory="1GiB", walltime="unlimited")
    )
    until(lambda: client.show(item.id).state is State.RUNNING)
    until(lambda: client.health().waiting == 0 and client.health().running == 1)
    farm, *_ = client.shares()
    assert (farm.path, farm.nominal["cores"], farm.used["cores"], farm.running) == ("farm", 32, 3, 1)
    nodes = client.nodes()
    assert sum(node.used_cores for node in nodes) == 3
    assert sum(node.used_memory for node in nodes) == 1024
    client.cancel(item.id)


def test_the_document_has_every_operation_and_nothing_else(raw: httpx.Client, client: Client) -> None:
    document = raw.get("/v1/openapi.json").json()
    listed = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert listed == {(operation.method, operation.path) for operation in OPERATIONS}
    assert document["openapi"].startswith("3.1")
    for references in _references(document):
        assert references.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def test_the_documents_file_is_the_one_that_is_served(raw: httpx.Client) -> None:
    file = Path(__file__).parents[2] / "schemas/openapi.json"
    assert json.loads(file.read_text()) == raw.get("/v1/openapi.json").json(), "write it anew: make openapi"


def test_answers_are_as_the_document_says(raw: httpx.Client, client: Client) -> None:
    document = raw.get("/v1/openapi.json").json()
    id_ = client.submit(form(walltime=60)).id
    calls: list[tuple[str, str, str, Any]] = [
        ("GET", "/v1/requests", "/v1/requests", None),
        ("GET", "/v1/requests/{id}", f"/v1/requests/{id_}", None),
        ("GET", "/v1/requests/{id}", "/v1/requests/0", None),
        ("POST", "/v1/requests", "/v1/requests", [JOB | {"walltime": 60}, JOB | {"user": "mallory"}]),
        ("POST", "/v1/requests", "/v1/requests", JOB | {"user": "mallory"}),
        ("POST", "/v1/decisions", "/v1/decisions", JOB),
        ("POST", "/v1/decisions", "/v1/decisions", [JOB]),
        ("GET", "/v1/shares", "/v1/shares", None),
        ("GET", "/v1/nodes", "/v1/nodes", None),
        ("GET", "/v1/health", "/v1/health", None),
    ]
    for method, template, path, body in calls:
        answer = raw.request(method, path, json=body)
        said = document["paths"][template][method.lower()]["responses"][str(answer.status_code)]["content"]
        schema = said[answer.headers["content-type"]]["schema"]
        jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(
            answer.json()
        )


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [reference for part in value.values() for reference in _references(part)]
    return [reference for part in value for reference in _references(part)] if isinstance(value, list) else []


def test_jobs_are_submitted_held_and_released_once(client: Client, shared_site: Site) -> None:
    view = client.submit(form(user="once", walltime=60))
    until(lambda: client.show(view.id).state is State.DONE)
    key = next(
        line["what"]
        for line in shared_site.record()
        if (line.get("slot") or {}).get("name") == f"wnodes-{view.id}"
    )
    events = [line["event"] for line in shared_site.record() if line.get("what") == key]
    assert events == ["submit", Action.RELEASE, "start", "end"]


def test_no_log_line_says_that_a_call_failed(shared_site: Site) -> None:
    assert [line for line in shared_site.log() if line["level"] in {"error", "critical"}] == []


def test_hundreds_may_knock_at_once(shared_site: Site, client: Client) -> None:
    peers = [socket.socket(socket.AF_UNIX) for _ in range(400)]
    for peer in peers:
        peer.setblocking(False)
        peer.connect(str(shared_site.folder / "wnodesd.sock"))
    assert client.health().status == "ok"
    for peer in peers:
        peer.close()


def test_a_call_made_again_under_its_key_is_answered_as_it_was(shared_site: Site) -> None:
    socket = httpx.HTTPTransport(uds=str(shared_site.folder / "wnodesd.sock"))
    asked = {"kind": "job", "origin": "local", "user": "repeater", "group": "lab"}
    with httpx.Client(transport=socket, base_url="http://wnodes") as http:

        def post(body: Any, key: str) -> httpx.Response:
            return http.post("/v1/requests", json=body, headers={"idempotency-key": key})

        first, again = post(asked, "one"), post(dict(reversed(asked.items())), "one")
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json()["id"] == again.json()["id"]
        both = [asked, asked | {"user": "mallory"}]
        listed, twice = post(both, "list"), post(both, "list")
        assert listed.json() == twice.json()
        assert [item["status"] for item in listed.json()["items"]] == [201, 403]
        assert post(asked | {"cores": 2}, "one").status_code == 409
        assert post(asked, "two").json()["id"] != first.json()["id"]
        assert post(asked, "no key").status_code == 400
        shown = http.get("/v1/requests", params={"user": "repeater"}).json()["requests"]
    assert len(shown) == 3
