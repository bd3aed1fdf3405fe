"""The compiled engine and the oracle, played the same streams, give the same answers all the way."""

from __future__ import annotations

from unittest.mock import patch

import msgspec
from hypothesis import given, note
from hypothesis import strategies as st
from oracle.side_by_side import agree_on, agree_on_policy
from strategies import farms, pointed, streams
from strategies.checking import checked
from strategies.policies import Asking, policies
from wnodes_engine.compile import sections
from wnodes_engine.values import Node, Request

some_requests = st.lists(farms.requests(streams.BEGIN), min_size=1, max_size=8)


@given(policies(Asking(state=True)), farms.nodes(), some_requests)
def test_an_idle_farm_gets_the_same_answers_from_both(
    text: str, nodes: list[Node], requests: list[Request]
) -> None:
    agree_on(text, nodes, [streams.Ask(request) for request in requests])


@given(policies(Asking(many=True, state=True, time=True)), farms.nodes(), some_requests)
def test_many_rules_are_looked_up_to_the_same_end(
    text: str, nodes: list[Node], requests: list[Request]
) -> None:
    with patch.multiple(sections, IN_LINE=0, LONGEST=1):
        agree_on(text, nodes, [streams.Ask(request) for request in requests])


@given(policies(Asking(many=True)), farms.nodes(), streams.streams())
def test_streams_meet_many_rules_alike(text: str, nodes: list[Node], stream: list[streams.Event]) -> None:
    agree_on(text, nodes, stream)


@given(policies(), farms.nodes(), some_requests)
def test_holes_in_assignment_and_routing_are_denied_alike(
    text: str, nodes: list[Node], requests: list[Request]
) -> None:
    note(text)
    policy = checked(text)
    holed = msgspec.structs.replace(policy, assigns=policy.assigns[:-1], routes=policy.routes[:-1])
    agree_on_policy(holed, nodes, [streams.Ask(request) for request in requests])


@given(policies(Asking(strict=True, state=True)), farms.nodes(), streams.streams())
def test_strict_leaves_are_scheduled_alike(text: str, nodes: list[Node], stream: list[streams.Event]) -> None:
    agree_on(text, nodes, stream)


@given(
    policies(Asking(strict=False, walltimes=False)), farms.nodes(), streams.streams(walltimes=farms.ENDLESS)
)
def test_work_that_never_ends_reserves_nothing(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(policies(Asking(rules=False)), farms.nodes(most=3), streams.crowds())
def test_blocked_heads_are_passed_alike(text: str, nodes: list[Node], stream: list[streams.Event]) -> None:
    agree_on(text, nodes, stream)


@given(policies(), farms.nodes(most=3), streams.crowds())
def test_crowds_meet_every_kind_of_rule_alike(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(policies(Asking(rules=False, groups=True)), farms.nodes(), streams.crowds(counts=farms.MANY))
def test_parts_are_laid_out_over_groups_alike(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(policies(Asking(groups=True, time=True)), farms.nodes(), streams.crowds(counts=farms.MANY))
def test_wide_requests_meet_every_kind_of_rule_alike(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(policies(Asking(hs23=True)), farms.nodes(factors=True), streams.streams())
def test_benchmarked_shares_are_scheduled_alike(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(policies(Asking(time=True, state=True)), farms.nodes(), streams.streams(40))
def test_windows_and_downtimes_are_kept_alike(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(policies(Asking(time=True, rules=False)), farms.nodes(most=3), streams.crowds())
def test_crowds_wait_for_windows_and_around_downtimes_alike(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(policies(Asking(room=True, rules=False)), farms.tight(), streams.squeezes())
def test_room_is_made_alike_where_nodes_and_shares_are_short(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(policies(Asking(room=True, state=True)), farms.tight(), streams.squeezes())
def test_room_is_made_alike_beside_every_kind_of_rule(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(policies(Asking(room=True, rules=False, time=True)), farms.tight(), streams.squeezes())
def test_room_is_made_alike_through_windows_and_before_downtimes(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(policies(Asking(room=True, hs23=True)), farms.tight(factors=True), streams.squeezes())
def test_room_is_made_alike_in_benchmarked_shares(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(pointed.in_groups(), pointed.farms(), streams.squeezes())
def test_room_is_made_alike_in_groups_of_nodes(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(pointed.in_groups(power=True), pointed.farms(factors=True), streams.squeezes())
def test_room_is_made_alike_in_groups_that_are_short_of_power(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(pointed.short_of_power(), pointed.farms(factors=True), streams.crowds(counts=farms.MANY))
def test_slower_nodes_are_taken_alike_where_power_is_short(
    text: str, nodes: list[Node], stream: list[streams.Event]
) -> None:
    agree_on(text, nodes, stream)


@given(pointed.kept_out(), pointed.farms(), streams.crowds(counts=farms.MANY))
def test_quotas_for_nodes_keep_out_alike(text: str, nodes: list[Node], stream: list[streams.Event]) -> None:
    agree_on(text, nodes, stream)
