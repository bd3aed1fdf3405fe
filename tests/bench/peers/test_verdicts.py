"""Every entrant denies what the rules deny, for the reasons that they give: compared before all timing."""

from __future__ import annotations

import pytest
from bench.peers.entrant import Entrant
from bench.peers.entrants import ENTRANTS
from bench.peers.rules import denying, requests, rules


@pytest.mark.parametrize("count", [10, 100], ids="{} rules".format)
@pytest.mark.parametrize("entrant", ENTRANTS, ids=lambda entrant: entrant.name)
def test_an_entrant_names_the_rules_that_deny(entrant: Entrant, count: int) -> None:
    if entrant.version() is None:
        pytest.skip(f"{entrant.package} is not installed: make bench does it")
    given = rules(count)
    decide = entrant.prepare(given)
    for facts in requests(count, 100, seed=count):
        assert set(decide(entrant.form(facts))) == denying(given, facts), facts


@pytest.mark.parametrize("count", [10, 100, 1000], ids="{} rules".format)
def test_at_most_three_rules_match_and_often_one_does(count: int) -> None:
    given = rules(count)
    assert {len(rule.tests) for rule in given} == {2, 3}
    found = [len(denying(given, facts)) for facts in requests(count, 200)]
    assert set(found) == {0, 1, 2, 3}
    assert 0.8 < sum(found) / len(found) < 1.8


def test_names_of_entrants_differ() -> None:
    assert len({entrant.name for entrant in ENTRANTS}) == len(ENTRANTS)
