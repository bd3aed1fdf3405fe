"""How a server is set up, from its attributes, and what we may do there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from wnodes_torque.options import Dialect
from wnodes_torque.words import moment, seconds

_PBS_VERSION: Final = re.compile(r"pbs_version = (\S+)")
_TORQUE_VERSION: Final = re.compile(r"[Vv]ersion: ?(\S+)")
_TRUE: Final = frozenset({"true", "1", "t", "y"})


class Config(msgspec.Struct, frozen=True):
    """A server's attributes, as it shows them to us."""

    dialect: Dialect
    version: str
    said: Mapping[str, str]

    def get(self, name: str) -> str:
        """An attribute; empty where it is not set."""
        return self.said.get(name, "")

    def is_on(self, name: str) -> bool:
        """Whether an attribute is set to true."""
        return self.get(name).lower() in _TRUE

    @property
    def now(self) -> int | None:
        """The server's time, where it tells."""
        return moment(self.get("timestamp"))

    @property
    def remembers(self) -> int:
        """Seconds for which the server shows a job that has ended."""
        if self.dialect is Dialect.TORQUE:
            return seconds(self.get("keep_completed")) or 0
        if not self.is_on("job_history_enable"):
            return 0
        return seconds(self.get("job_history_duration")) or 14 * 86400

    def trusts(self, user: str, host: str) -> bool:
        """Whether somebody is a manager or operator of it: `wnodes@host`, `wnodes@*.site`, `wnodes@*`."""
        listed = f"{self.get('managers')},{self.get('operators')}".split(",")
        return any(_matches(entry.strip(), user, host) for entry in listed)


def dialect_of(said: str) -> tuple[Dialect, str] | None:
    """Whose qstat it is that says this of its version, and the version; None for neither's."""
    if matched := _PBS_VERSION.search(said):
        return Dialect.PBS, matched[1]
    if matched := _TORQUE_VERSION.search(said):
        return Dialect.TORQUE, matched[1]
    return None


def _matches(entry: str, user: str, host: str) -> bool:
    name, at, where = entry.partition("@")
    if name != user:
        return False
    if not at or where == "*":
        return True
    if where.startswith("*"):
        return host.endswith(where[1:])
    return where == host or where.partition(".")[0] == host.partition(".")[0]
