"""What is not as recorded is told, with what follows from it."""

from __future__ import annotations

import msgspec
import pytest
from sites.running import Site
from wnodes_daemon.access.identity import Right
from wnodes_daemon.api import OPERATIONS
from wnodes_daemon.baits.records import Bait, Stage
from wnodes_daemon.differences import of_batch, of_cloud
from wnodes_daemon.people import main
from wnodes_daemon.reconcile import Plan
from wnodes_daemon.records import Dispatch, Step
from wnodes_engine.backend import JobRef
from wnodes_engine.executor import CloudView, Host, Inventory, Server, ServerRef, ServerState

REF = JobRef("farm", "77", "k", 100)
DISPATCH = Dispatch("k", 5, "farm", (), 100, Step.RUNNING, REF)
WHOLE = {"MEMORY_MB": 1024, "VCPU": 8}
HOST = Host(
    "cn1",
    "wn01",
    "cn1",
    "p1",
    {"VCPU": Inventory(8), "MEMORY_MB": Inventory(1024)},
    WHOLE,
    WHOLE,
    up=True,
    reported_at=100,
)
SERVER = Server(
    ServerRef("s1", "", "lab"), ServerState.ACTIVE, "ACTIVE", False, "x", "u", "cn1", {"VCPU": 2}, 100
)
BAIT = Bait("k", 5, {"VCPU": 2, "MEMORY_MB": 512}, "wn01", "cn1", REF, "cloud", 100, 0, stage=Stage.ACTIVE)


def lines(view: CloudView, *baits: Bait) -> list[str]:
    return [f"{one.node}: {one.what}" for one in of_cloud("cloud", view, baits, ["wn01"])]


def view(host: Host = HOST, *servers: Server) -> CloudView:
    return CloudView((host,), servers, 100)


@pytest.mark.parametrize(
    ("plan", "what", "then"),
    [
        (Plan(found=[(DISPATCH, REF)]), "not answered has made a job", "its id is recorded"),
        (Plan(give_up=[DISPATCH]), "has made no job", "waits again"),
        (Plan(moved=[(DISPATCH, (("wn09", 2),))]), "runs on wn09", "charged to wn09"),
        (Plan(late=[DISPATCH]), "not started in time", "withdrawn"),
        (Plan(missing=[DISPATCH]), "is not shown", "nothing, until"),
        (Plan(cancel=[REF]), "is not wanted", "it is ended"),
        (Plan(hold=[REF]), "is not wanted", "it is ended"),
    ],
)
def test_what_a_batch_system_shows_otherwise_is_told_with_its_request_and_job(
    plan: Plan, what: str, then: str
) -> None:
    (told,) = of_batch("farm", plan, {"k": DISPATCH})
    assert what in told.what
    assert then in told.then
    assert (told.system, told.request, told.job) == ("farm", "5", "77")


def test_what_simply_goes_on_is_not_told() -> None:
    plan = Plan(running=[(DISPATCH, 100)], release=[DISPATCH], released=[DISPATCH])
    assert list(of_batch("farm", plan, {"k": DISPATCH})) == []
    assert lines(view()) == []


def test_a_job_of_ours_that_nobody_remembers_is_told_without_a_request() -> None:
    (told,) = of_batch("farm", Plan(cancel=[REF]), {})
    assert (told.request, told.job) == (None, "77")


def test_ballast_that_is_not_as_granted_is_told_but_not_while_it_changes() -> None:
    said = "wn01: the ballast is 1024 MEMORY_MB, 8 VCPU, and is to be 512 MEMORY_MB, 6 VCPU"
    server = msgspec.structs.replace(SERVER, ours=True, ref=ServerRef("s2", "k", "lab"))
    bait = msgspec.structs.replace(BAIT, server=server.ref)
    assert lines(view(HOST, server), bait) == [said]
    closing = msgspec.structs.replace(bait, stage=Stage.SERVER_GONE)
    assert lines(view(HOST, server), closing) == []


def test_servers_without_a_bait_are_told_and_whose_they_are() -> None:
    ours = msgspec.structs.replace(SERVER, ours=True, ref=ServerRef("s2", "z", "lab"))
    assert lines(view(HOST, SERVER, ours)) == [
        "wn01: a server of others was booted past us: s1, of project lab, holds 2 VCPU",
        "wn01: a server of ours has no bait: s2, of project lab, holds 2 VCPU",
    ]


def test_a_bait_whose_server_is_not_shown_is_told() -> None:
    bait = msgspec.structs.replace(BAIT, server=ServerRef("s2", "k", "lab"))
    lessened = msgspec.structs.replace(HOST, ballast={"MEMORY_MB": 512, "VCPU": 6})
    assert lines(view(lessened), bait) == ["wn01: the server s2 is not shown"]


def test_a_host_that_cannot_be_used_is_told() -> None:
    down = msgspec.structs.replace(HOST, up=False)
    assert lines(view(down)) == ["wn01: the compute service of cn1 is down"]
    full = msgspec.structs.replace(HOST, used={"VCPU": 11})
    assert lines(view(full)) == ["wn01: 3 VCPU more are allocated than the host has"]
    less = msgspec.structs.replace(HOST, inventory={"VCPU": Inventory(1), "MEMORY_MB": Inventory(1024)})
    bait = msgspec.structs.replace(BAIT, stage=Stage.BOOTING)
    assert lines(view(less), bait)[-1] == "wn01: 2 VCPU are granted, and the host has fewer"


def test_the_command_tells_it_to_operators(
    shared_site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = shared_site.start() if shared_site.process is None else shared_site.client()
    monkeypatch.setenv("WNODES_DAEMON", client.address)
    assert main(["reconcile", "--dry-run"]) == 0
    assert capsys.readouterr().out == "all is as recorded\n"
    assert next(one for one in OPERATIONS if one.path == "/v1/differences").right is Right.OPERATOR
    with pytest.raises(SystemExit):
        main(["reconcile"])
    assert "--dry-run" in capsys.readouterr().err
