"""The rules alone, by everybody: a request in, the names of the rules that deny it out."""

from __future__ import annotations

import time
from collections.abc import Collection

import pytest
from bench.conftest import Measure
from bench.peers.entrant import Decide, Entrant
from bench.peers.entrants import ENTRANTS
from bench.peers.rules import Facts, denying, requests, rules

ROUND = 0.1
"""Seconds that a round should take; whoever is slow is asked less in it."""
SIZES = (10, 100, 1000, 10_000)
FULL = 1000
"""Beyond so many rules only those are asked who do not slow down in proportion."""
QUICK = 100
"""So many rules at most where nothing is measured."""


def enough(decide: Decide, asked: list[Facts], entrant: Entrant) -> int:
    """How many requests make up a round."""
    request, begun, calls = entrant.form(asked[0]), time.process_time(), 0
    while (spent := time.process_time() - begun) < ROUND / 10:
        decide(request)
        calls += 1
    return max(1, min(len(asked), round(ROUND * calls / spent)))


CELLS = [(entrant, count) for entrant in ENTRANTS for count in SIZES if count <= FULL or entrant.scales]


@pytest.mark.parametrize(("entrant", "count"), CELLS, ids=[f"{e.name}, {n:,} rules" for e, n in CELLS])
def test_rules(measure: Measure, quick: bool, entrant: Entrant, count: int) -> None:
    if entrant.version() is None:
        pytest.skip(f"{entrant.package} is not installed: make bench does it")
    given = rules(min(count, QUICK) if quick else count)
    decide, asked = entrant.prepare(given), requests(len(given), 1000)
    calls = 1 if quick else enough(decide, asked, entrant)
    asked = asked[:: len(asked) // calls][:calls]
    forms = [entrant.form(facts) for facts in asked]
    wanted = [denying(given, facts) for facts in asked]
    assert [set(decide(form)) for form in forms] == wanted

    def ask() -> list[Collection[str]]:
        return [decide(form) for form in forms]

    answers = measure(ask, calls=calls, cell=(entrant.name, count))
    assert [set(answer) for answer in answers] == wanted
