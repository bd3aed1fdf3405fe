"""Ballast is set against the live inventory, survives races, and is never left too large."""

from __future__ import annotations

import pytest
from executors.openstack.answering import PROVIDER, Placement
from hypothesis import given
from hypothesis import strategies as st
from wnodes_engine.backend import Verdict
from wnodes_openstack.errors import Unanswered
from wnodes_openstack.hosts import consumer_of
from wnodes_openstack.placement import TYPE, set_ballast

OURS = consumer_of("farm", PROVIDER)


def put(cloud: Placement, **granted: int) -> Verdict:
    return set_ballast(cloud, PROVIDER, "alpha-1", granted, "farm").verdict  # type: ignore[arg-type]


def test_nothing_granted_is_everything_ours() -> None:
    cloud = Placement()
    assert put(cloud) is Verdict.DONE
    assert cloud.held == {OURS: {"VCPU": 16, "MEMORY_MB": 32768}}
    [body] = cloud.written
    assert (body["consumer_type"], body["consumer_generation"]) == (TYPE, None)


def test_what_is_set_already_is_not_written_again() -> None:
    cloud = Placement()
    assert [put(cloud), put(cloud)] == [Verdict.DONE, Verdict.DONE]
    assert len(cloud.written) == 1


def test_a_class_of_which_nothing_is_left_is_left_out_and_without_any_the_consumer_goes() -> None:
    cloud = Placement()
    put(cloud)
    assert put(cloud, VCPU=16) is Verdict.DONE
    assert cloud.held == {OURS: {"MEMORY_MB": 32768}}
    assert put(cloud, VCPU=16, MEMORY_MB=32768) is Verdict.DONE
    assert cloud.held == {}
    assert put(cloud) is Verdict.DONE
    assert cloud.written[-1]["consumer_generation"] is None


def test_a_generation_that_has_passed_is_read_again() -> None:
    passed = iter((True, True, False))

    def somebody_writes(cloud: Placement) -> None:
        if next(passed, False):
            cloud.write("server", {"VCPU": 1})

    cloud = Placement(between=somebody_writes)
    assert put(cloud, VCPU=1) is Verdict.DONE
    assert cloud.held[OURS]["VCPU"] == 15


def test_others_who_keep_writing_are_a_conflict() -> None:
    cloud = Placement(between=lambda cloud: cloud.write("server", {"VCPU": 1}))
    assert put(cloud, VCPU=1) is Verdict.CONFLICT


def test_what_others_hold_is_no_room_and_changes_nothing() -> None:
    cloud = Placement()
    put(cloud, VCPU=4, MEMORY_MB=4096)
    before = dict(cloud.held)
    cloud.write("intruder", {"VCPU": 2})
    assert put(cloud) is Verdict.NO_ROOM
    assert cloud.held == before | {"intruder": {"VCPU": 2}}


def test_what_was_let_in_beyond_the_capacity_is_put_back() -> None:
    cloud = Placement()
    put(cloud, VCPU=4)
    cloud.write("intruder", {"VCPU": 2})
    cloud.loose = True
    outcome = set_ballast(cloud, PROVIDER, "alpha-1", {}, "farm")  # type: ignore[arg-type]
    assert (outcome.verdict, "over its capacity by 2 VCPU" in outcome.message) == (Verdict.NO_ROOM, True)
    assert cloud.held[OURS]["VCPU"] == 12
    assert cloud.used("VCPU") <= 16


def test_what_cannot_be_put_back_is_not_called_done() -> None:
    cloud = Placement()
    put(cloud, VCPU=4)
    cloud.write("intruder", {"VCPU": 2})
    cloud.loose = True

    def jam(cloud: Placement) -> None:
        if len(cloud.written) >= 2:
            cloud.generation += 1

    cloud.between = jam
    with pytest.raises(Unanswered, match="cannot be put back"):
        put(cloud)


def test_a_host_that_promises_more_than_it_has_is_refused() -> None:
    cloud = Placement(ratio=4.0)
    assert put(cloud) is Verdict.REFUSED
    assert not cloud.written


def test_more_granted_than_there_is_is_refused() -> None:
    assert put(Placement(), VCPU=17) is Verdict.REFUSED


@given(
    st.lists(
        st.tuples(st.integers(0, 16), st.integers(0, 32768), st.integers(0, 4), st.booleans()), max_size=12
    )
)
def test_whatever_was_asked_for_a_done_never_over_commits(
    steps: list[tuple[int, int, int, bool]],
) -> None:
    cloud = Placement()
    for number, (cores, memory, intruder, loose) in enumerate(steps):
        if intruder and cloud.used("VCPU") + intruder <= 16:
            cloud.write(f"intruder {number}", {"VCPU": intruder})
        cloud.loose = loose
        verdict = put(cloud, VCPU=cores, MEMORY_MB=memory)
        assert verdict in {Verdict.DONE, Verdict.NO_ROOM}
        assert cloud.used("VCPU") <= 16
        if verdict is Verdict.DONE:
            assert cloud.held.get(OURS, {}).get("VCPU", 0) == 16 - cores
