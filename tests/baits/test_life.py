"""The life of a bait: each rule by itself, and all of them against everything that happens on a farm."""

from __future__ import annotations

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule
from wnodes_daemon.baits.farm import FAILED_BOOTS, granted, stays_drained, uncovered, unfit_host
from wnodes_daemon.baits.life import advance, heed
from wnodes_daemon.baits.records import HOLDING, Act, Bait, Seen, Stage, Then
from wnodes_engine.backend import ActionOutcome, Job, JobRef, JobState, Verdict
from wnodes_engine.executor import (
    CloudView,
    Gone,
    Host,
    Inventory,
    Server,
    ServerRef,
    ServerState,
)

from baits.walk import walk
from baits.world import World

REF = JobRef("farm", "7", "k", 1)
SERVER = ServerRef("uuid", "k", "p")
BAIT = Bait("k", 1, {"VCPU": 2}, "n", "h", REF, started=5)
JOB = Job(REF, JobState.RUNNING, "R", "wnodes", 2, 0, started_at=5, nodes=(("n", 2),))


def at(stage: Stage, **more: object) -> Bait:
    return msgspec.structs.replace(BAIT, stage=stage, **more)


def job(**more: object) -> Job:
    return msgspec.structs.replace(JOB, **more)


def server(state: ServerState = ServerState.ACTIVE, host: str = "h", **more: object) -> Server:
    shown = Server(SERVER, state, state, True, "vm", "u", host, {}, 1)
    return msgspec.structs.replace(shown, **more)


def runs(**more: object) -> Seen:
    return msgspec.structs.replace(Seen(JOB, asked=True), **more)


@pytest.mark.parametrize(
    ("bait", "seen", "stage", "acts"),
    [
        (at(Stage.GRANTED), runs(), Stage.HOLE_OPEN, (Act.OPEN,)),
        (at(Stage.GRANTED), Seen(asked=True), Stage.GRANTED, ()),
        (at(Stage.GRANTED), runs(unfit="down"), Stage.BALLAST_RESTORED, (Act.END,)),
        (at(Stage.GRANTED, wanted=False), runs(), Stage.BALLAST_RESTORED, (Act.END,)),
        (at(Stage.GRANTED), Seen(over=True), Stage.BALLAST_RESTORED, (Act.END,)),
        (at(Stage.HOLE_OPEN), runs(), Stage.HOLE_OPEN, (Act.OPEN,)),
        (at(Stage.HOLE_OPEN), Seen(), Stage.HOLE_OPEN, ()),
        (at(Stage.HOLE_OPEN, wanted=False), runs(), Stage.SERVER_GONE, (Act.CLOSE,)),
        (at(Stage.HOLE_OPEN), Seen(over=True), Stage.SERVER_GONE, (Act.DRAIN, Act.CLOSE)),
        (at(Stage.BOOTING), runs(), Stage.BOOTING, (Act.BOOT,)),
        (at(Stage.BOOTING), runs(asked=False), Stage.BOOTING, ()),
        (at(Stage.BOOTING), Seen(asked=True), Stage.BOOTING, ()),
        (at(Stage.BOOTING, server=SERVER), runs(), Stage.BOOTING, ()),
        (at(Stage.BOOTING), runs(server=server(ServerState.BUILDING)), Stage.BOOTING, ()),
        (at(Stage.BOOTING), runs(server=server()), Stage.ACTIVE, ()),
        (at(Stage.BOOTING), Seen(asked=True, server=server()), Stage.BOOTING, ()),
        (at(Stage.BOOTING), runs(server=server(host="x")), Stage.ENDING, (Act.DELETE,)),
        (at(Stage.BOOTING), runs(server=server(ServerState.ERROR, "")), Stage.ENDING, (Act.DELETE,)),
        (at(Stage.BOOTING), runs(server=server(), copies=(SERVER,)), Stage.ACTIVE, (Act.DELETE_COPIES,)),
        (at(Stage.ACTIVE, server=SERVER), runs(server=server()), Stage.ACTIVE, ()),
        (at(Stage.ACTIVE, server=SERVER), runs(server=server(ServerState.STOPPED)), Stage.ACTIVE, ()),
        (at(Stage.ACTIVE, server=SERVER), runs(server=Gone(True)), Stage.SERVER_GONE, (Act.CLOSE,)),
        (
            at(Stage.ACTIVE, server=SERVER),
            runs(server=server(ServerState.SHELVED, "")),
            Stage.SERVER_GONE,
            (Act.CLOSE,),
        ),
        (at(Stage.ACTIVE, server=SERVER), runs(server=server(host="x")), Stage.ENDING, (Act.DELETE,)),
        (at(Stage.ACTIVE, server=SERVER, wanted=False), runs(), Stage.ENDING, (Act.DELETE,)),
        (at(Stage.ACTIVE, server=SERVER), Seen(over=True), Stage.ENDING, (Act.DRAIN, Act.DELETE)),
        (at(Stage.ENDING, server=SERVER), runs(server=server()), Stage.ENDING, (Act.DELETE,)),
        (at(Stage.ENDING), runs(), Stage.SERVER_GONE, (Act.CLOSE,)),
        (at(Stage.ENDING), runs(asked=False), Stage.ENDING, ()),
        (at(Stage.SERVER_GONE), runs(), Stage.SERVER_GONE, (Act.CLOSE,)),
        (at(Stage.BALLAST_RESTORED), runs(), Stage.BALLAST_RESTORED, (Act.END,)),
        (at(Stage.BALLAST_RESTORED, blocks=True), runs(), Stage.BALLAST_RESTORED, ()),
        (at(Stage.BALLAST_RESTORED, blocks=True), runs(steady=True), Stage.BALLAST_RESTORED, (Act.END,)),
        (at(Stage.BALLAST_RESTORED), Seen(over=True), Stage.BAIT_ENDED, ()),
        (at(Stage.BALLAST_RESTORED, drained=True), Seen(over=True), Stage.BALLAST_RESTORED, (Act.UNDRAIN,)),
    ],
)
def test_what_follows_from_a_look(bait: Bait, seen: Seen, stage: Stage, acts: tuple[Act, ...]) -> None:
    move = advance(bait, seen, epilogue=True)
    assert (move.bait.stage, move.acts) == (stage, acts)


@pytest.mark.parametrize(
    "shown",
    [
        job(state=JobState.SUSPENDED),
        job(state=JobState.PENDING, nodes=()),
        job(nodes=(("other", 2),)),
        job(started_at=6),
        job(restarts=1),
    ],
    ids=["suspended", "waiting again", "elsewhere", "started anew", "restarted"],
)
def test_a_bait_that_is_not_as_it_was_first_seen_is_lost(shown: Job) -> None:
    move = advance(at(Stage.ACTIVE, server=SERVER), Seen(shown, server=server()), epilogue=True)
    assert (move.bait.lost, move.bait.then, move.acts) == (True, Then.FAILED, (Act.DRAIN, Act.DELETE))


def test_a_bait_of_unknown_state_is_not_lost() -> None:
    shown = job(state=JobState.UNKNOWN, nodes=())
    move = advance(at(Stage.ACTIVE, server=SERVER), Seen(shown, server=server()), epilogue=True)
    assert move == advance(at(Stage.ACTIVE, server=SERVER), Seen(None, server=server()), epilogue=True)
    assert not move.bait.lost


@pytest.mark.parametrize(
    ("lost", "epilogue", "confirmed", "steady", "stage"),
    [
        (False, False, True, False, Stage.SERVER_GONE),
        (False, True, False, False, Stage.SERVER_GONE),
        (False, False, False, False, Stage.ENDING),
        (True, True, False, False, Stage.ENDING),
        (True, True, True, False, Stage.SERVER_GONE),
        (True, True, False, True, Stage.SERVER_GONE),
    ],
)
def test_a_server_that_the_cloud_forgot_is_gone_only_if_its_host_knew(
    lost: bool, epilogue: bool, confirmed: bool, steady: bool, stage: Stage
) -> None:
    seen = Seen(JOB, over=lost, server=Gone(confirmed), steady=steady)
    move = advance(at(Stage.ENDING, server=SERVER, lost=lost, drained=lost), seen, epilogue=epilogue)
    assert move.bait.stage is stage
    assert stage is Stage.SERVER_GONE or (move.bait.drained and move.acts == (Act.DRAIN,))


@pytest.mark.parametrize(
    ("stage", "act", "verdict", "then"),
    [
        (Stage.HOLE_OPEN, Act.OPEN, Verdict.DONE, Stage.BOOTING),
        (Stage.HOLE_OPEN, Act.OPEN, Verdict.NO_ROOM, Stage.SERVER_GONE),
        (Stage.HOLE_OPEN, Act.OPEN, Verdict.CONFLICT, Stage.HOLE_OPEN),
        (Stage.HOLE_OPEN, Act.OPEN, Verdict.UNKNOWN, Stage.HOLE_OPEN),
        (Stage.BOOTING, Act.BOOT, Verdict.REFUSED, Stage.ENDING),
        (Stage.BOOTING, Act.BOOT, Verdict.NO_ROOM, Stage.ENDING),
        (Stage.BOOTING, Act.BOOT, Verdict.UNKNOWN, Stage.BOOTING),
        (Stage.SERVER_GONE, Act.CLOSE, Verdict.DONE, Stage.BALLAST_RESTORED),
        (Stage.SERVER_GONE, Act.CLOSE, Verdict.NO_ROOM, Stage.SERVER_GONE),
        (Stage.SERVER_GONE, Act.CLOSE, Verdict.UNKNOWN, Stage.SERVER_GONE),
        (Stage.ENDING, Act.DELETE, Verdict.DONE, Stage.ENDING),
    ],
)
def test_what_an_answer_changes(stage: Stage, act: Act, verdict: Verdict, then: Stage) -> None:
    assert heed(at(stage), act, ActionOutcome(verdict)).stage is then


def test_a_boot_that_is_refused_fails_its_request_and_one_without_room_lets_it_wait_again() -> None:
    refused = heed(at(Stage.BOOTING), Act.BOOT, ActionOutcome(Verdict.REFUSED, "no such image"))
    assert (refused.then, refused.why) == (Then.FAILED, "no such image")
    assert heed(at(Stage.BOOTING), Act.BOOT, ActionOutcome(Verdict.NO_ROOM)).then is Then.AGAIN


def test_the_first_uuid_of_a_server_is_kept() -> None:
    other = ServerRef("other", "k", "p")
    assert heed(at(Stage.BOOTING), Act.BOOT, SERVER).server == SERVER
    assert heed(at(Stage.BOOTING, server=SERVER), Act.BOOT, other).server == SERVER


def test_grants_are_those_of_baits_that_hold_and_are_not_lost() -> None:
    baits = [msgspec.structs.replace(at(stage), key=stage.value) for stage in Stage]
    assert granted(baits, "h") == {"VCPU": 2 * len(HOLDING)}
    assert granted(baits, "h", without="active") == {"VCPU": 2 * len(HOLDING) - 2}
    assert stays_drained([at(Stage.ENDING, drained=True)], "n", without="other")
    assert not stays_drained([at(Stage.ENDING, drained=True)], "n", without="k")
    assert granted([at(Stage.ACTIVE, lost=True)], "h") == granted(baits, "elsewhere") == {}


HOST = Host("h", "n", "h", "u", {"VCPU": Inventory(8)}, {}, {}, True, 0)


@pytest.mark.parametrize(
    ("host", "failed", "why"),
    [
        (HOST, 0, ""),
        (None, 0, "no host of the cloud"),
        (msgspec.structs.replace(HOST, up=False), 0, "is down"),
        (msgspec.structs.replace(HOST, disabled="moving"), 0, "disabled: moving"),
        (msgspec.structs.replace(HOST, mismatch="two of that name"), 0, "two of that name"),
        (msgspec.structs.replace(HOST, inventory={"VCPU": Inventory(8, ratio=4)}), 0, "needs 1"),
        (HOST, FAILED_BOOTS, "3 machines in a row"),
    ],
)
def test_why_a_host_is_left_alone(host: Host | None, failed: int, why: str) -> None:
    said = unfit_host(host, failed)
    assert (why in said) if why else not said


def test_servers_that_no_bait_has_are_seen_with_their_host() -> None:
    stranger = server(ref=ServerRef("x", "k", "q"), ours=False)
    failed = server(ServerState.ERROR, ref=ServerRef("y", "", "q"))
    view = CloudView((HOST,), (server(), stranger, failed), 1)
    assert uncovered(view.servers, [at(Stage.ACTIVE, server=SERVER)]) == {"h": (stranger,)}
    assert uncovered(view.servers, [at(Stage.ACTIVE, server=SERVER, host="x")]) == {"h": (server(), stranger)}


class Farm(RuleBasedStateMachine):
    """Everything that happens to baits, in the order in which it hurts most."""

    baits = Bundle("baits")

    def __init__(self) -> None:
        super().__init__()
        self.world = World((4, 2))
        self.nodes = list(self.world.nodes.values())

    @rule(target=baits, node=st.integers(0, 1), cores=st.integers(1, 2))
    def win(self, node: int, cores: int) -> str:
        return self.world.win(self.nodes[node], cores)

    @rule(key=baits, how=st.lists(st.sampled_from(["", "", "lost", "passing", "crash"]), max_size=4))
    def look(self, key: str, how: list[str]) -> None:
        if key in self.world.baits:
            self.world.step(key, lambda: how.pop() if how else "")

    @rule(key=consumes(baits))
    def unwant(self, key: str) -> None:
        if key in self.world.baits:
            self.world.unwant(key)

    @rule(node=st.integers(0, 1), cores=st.integers(1, 2))
    def job(self, node: int, cores: int) -> None:
        self.world.start(self.nodes[node], cores)

    @rule(node=st.integers(0, 1), cores=st.integers(1, 2))
    def stranger(self, node: int, cores: int) -> None:
        self.world.boot(self.nodes[node], cores)

    @precondition(lambda self: bool(self.world.machines))
    @rule(data=st.data(), what=st.sampled_from(["go on", "go on", "fail", "delete", "shelve", "move"]))
    def machine(self, data: st.DataObject, what: str) -> None:
        machine = data.draw(st.sampled_from(list(self.world.machines.values())))
        match what:
            case "delete":
                self.world.delete(machine)
            case "shelve":
                self.world.shelve(machine)
            case "move":
                self.world.move(machine, data.draw(st.sampled_from(self.nodes)))
            case _:
                self.world.go_on(machine, fails=what == "fail")

    @rule(node=st.integers(0, 1), what=st.sampled_from(["fail", "repair", "lose", "undrain"]))
    def host(self, node: int, what: str) -> None:
        getattr(self.world, what)(self.nodes[node])

    @rule(key=baits, to=st.none() | st.integers(0, 1))
    def taken(self, key: str, to: int | None) -> None:
        self.world.take(key, None if to is None else self.nodes[to])

    @invariant()
    def no_host_is_overcommitted(self) -> None:
        for node in self.nodes:
            assert not self.world.overcommitted(node), node

    def teardown(self) -> None:
        """Once all is well again and nobody wants anything, nothing of ours is left: the ballast is full."""
        world = self.world
        for machine in [m for m in world.machines.values() if not m.ref.key]:
            world.delete(machine)
        for _ in range(12):
            for node in self.nodes:
                world.repair(node)
            for key in list(world.baits):
                world.unwant(key)
                world.step(key)
            for machine in list(world.machines.values()):
                world.go_on(machine)
        assert not world.baits
        assert not world.jobs
        assert all(node.booked == {"us": node.cores} and not node.domains for node in self.nodes)


TestFarm = Farm.TestCase
TestFarm.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_a_walk_overcommits_nothing_and_goes_through_every_stage() -> None:
    walked = walk(40_000, seed=7)
    assert walked.over == 0
    assert walked.stages | {Stage.GRANTED} == set(Stage)
    assert walked.ended > 1_000
    assert walked.active > 1_000
