"""Reading how a cluster is set up: `scontrol show config` and `scontrol -o show partition`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from wnodes_slurm.words import moment, number

_VERSION: Final = re.compile(r"([0-9]{2})\.([0-9]{2})")
_TTL: Final = re.compile(r"\bttl=([0-9]+)")
_UNSET: Final = frozenset({"", "(null)", "NONE", "N/A"})


class Config(msgspec.Struct, frozen=True):
    """A cluster's settings, as the controller has them."""

    said: Mapping[str, str]
    taken_at: int | None

    def get(self, name: str) -> str:
        """A setting; empty where it is not set."""
        value = self.said.get(name, "")
        return "" if value in _UNSET else value

    @property
    def version(self) -> tuple[int, int]:
        """Year and month of Slurm's release."""
        matched = _VERSION.match(self.get("SLURM_VERSION"))
        return (int(matched[1]), int(matched[2])) if matched else (0, 0)

    @property
    def has_accounting(self) -> bool:
        """Whether jobs are kept by slurmdbd."""
        return self.get("AccountingStorageType").endswith("slurmdbd")

    @property
    def tracks_memory(self) -> bool:
        """Whether jobs are given memory, and not only cores."""
        return "MEMORY" in self.get("SelectTypeParameters").upper()

    @property
    def controller(self) -> str:
        """The user whom the controller runs as."""
        return self.get("SlurmUser").partition("(")[0]

    @property
    def remembers(self) -> int:
        """Seconds for which the controller shows a job that has ended."""
        return number(self.get("MinJobAge").partition(" ")[0])

    @property
    def credentials_live(self) -> int:
        """Seconds for which a request that waits before a hung controller may still be taken in."""
        matched = _TTL.search(self.get("AuthInfo"))
        return int(matched[1]) if matched else 300

    @property
    def preempts(self) -> bool:
        """Whether Slurm itself ends or suspends jobs in favour of others."""
        return self.get("PreemptType") not in {"", "preempt/none"} and self.get("PreemptMode") != "OFF"


def read(text: str) -> Config:
    """The settings that a listing names."""
    said: dict[str, str] = {}
    taken_at: int | None = None
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if taken_at is None and line.startswith("Configuration data as of "):
            taken_at = moment(line.rpartition(" ")[2])
        elif equals and name.strip() and " " not in name.strip():
            said.setdefault(name.strip(), value.strip())
    return Config(said, taken_at)


def partitions(text: str) -> list[dict[str, str]]:
    """What is said of each partition."""
    return [
        dict(word.partition("=")[::2] for word in line.split(" ") if "=" in word)
        for line in text.splitlines()
        if line.startswith("PartitionName=")
    ]
