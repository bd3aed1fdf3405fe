"""Everybody who is compared, ours first."""

from __future__ import annotations

from typing import Final

from bench.peers import (
    casbin_rules,
    cedar,
    cel_cpp,
    cel_python,
    cel_rust,
    ours,
    rego_cpp,
    rego_rust,
    rule_engine_rules,
)
from bench.peers.entrant import Entrant

ENTRANTS: Final[tuple[Entrant, ...]] = (
    *ours.ENTRANTS,
    *cel_cpp.ENTRANTS,
    *cel_rust.ENTRANTS,
    *rego_rust.ENTRANTS,
    *cedar.ENTRANTS,
    *rule_engine_rules.ENTRANTS,
    *rego_cpp.ENTRANTS,
    *casbin_rules.ENTRANTS,
    *cel_python.ENTRANTS,
)
