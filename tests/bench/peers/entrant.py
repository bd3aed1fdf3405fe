"""What is compared: the one interface behind which every entrant stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bench.peers.rules import Facts, Rule

Decide = Callable[[Any], Collection[str]]
"""From a request, in the entrant's own form, to the names of the rules that deny it."""


def as_it_is(facts: Facts) -> Any:
    """For entrants that take a dictionary."""
    return facts


def as_json(facts: Facts) -> Any:
    """For entrants that read text."""
    return json.dumps(facts)


@dataclass(frozen=True)
class Entrant:
    """`prepare` does all that can be done before the first request. Only what it returns is timed.

    `form` makes the request what the entrant likes best, which is not timed either. `package` is what has
    to be installed, None for what is in this repository. One that `scales` does not look at every rule.
    """

    name: str
    prepare: Callable[[Sequence[Rule]], Decide]
    form: Callable[[Facts], Any] = as_it_is
    package: str | None = None
    scales: bool = False

    def version(self) -> str | None:
        """The version installed; None if it is not."""
        try:
            return version(self.package) if self.package else version("wnodes")
        except PackageNotFoundError:
            return None


def conjunction(rule: Rule, join: str = " && ", prefix: str = "") -> str:
    """The rule as most languages write it: names, operators, strings in double quotes."""
    return join.join(f"{prefix}{test.attribute} {test.op} {json.dumps(test.value)}" for test in rule.tests)
