"""Reading how a cluster is set up: lsid, bparams, lsclusters, bqueues and lsf.conf."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from wnodes_lsf.words import Unit, number

_LSF: Final = re.compile(r"\bLSF\b[^\n0-9]* ([0-9]+(?:\.[0-9]+)+)")
_CLUSTER: Final = re.compile(r"^My cluster name is (\S+)", re.MULTILINE)
_PARAMETER: Final = re.compile(r"^\s*([A-Z][A-Z_0-9]+)\s*=\s*(\S+)", re.MULTILINE)
_SETTING: Final = re.compile(r"^\s*([A-Z][A-Z_0-9]+)=(.*)$", re.MULTILINE)
_ADMINISTRATORS: Final = re.compile(r"LSF administrators?:?\s+(.*)")
_QUEUE: Final = re.compile(r"^QUEUE: (\S+)", re.MULTILINE)
_RERUNS: Final = re.compile(r"^RERUNNABLE ?: +yes", re.MULTILINE)
_POST: Final = re.compile(r"^POST_EXEC:?\s", re.MULTILINE)
_YES: Final = frozenset({"y", "yes"})
_TEN: Final = (10, 1)


class Queue(msgspec.Struct, frozen=True):
    """A queue: whether it starts jobs anew by itself, and whether it runs something after each."""

    name: str
    reruns: bool
    has_post_exec: bool


class Config(msgspec.Struct, frozen=True):
    """A cluster's settings. `version` is empty for a system that only has LSF's commands."""

    product: str
    version: tuple[int, ...]
    cluster: str
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    administrators: frozenset[str]

    @property
    def is_lsf(self) -> bool:
        """Whether it is LSF itself, 10.1 or newer."""
        return self.version >= _TEN

    @property
    def remembers(self) -> int:
        """Seconds for which bjobs shows a job that has ended."""
        return number(self.parameters.get("CLEAN_PERIOD", "")) or 3600

    @property
    def per_task(self) -> bool:
        """Whether memory is reserved for each task, and not for each host."""
        return self.parameters.get("RESOURCE_RESERVE_PER_TASK", "N").lower() in _YES

    @property
    def extends(self) -> bool:
        """Whether the limit of a job that runs may be changed."""
        return self.settings.get("LSB_MOD_ALL_JOBS", "").lower() in _YES

    @property
    def absolute_limits(self) -> bool | None:
        """Whether a run limit is in seconds of the wall clock on every host; None where nobody tells."""
        said = self.parameters.get("ABS_RUNLIMIT")
        return None if said is None else said.lower() in _YES

    def unit(self, configured: Unit | None) -> Unit:
        """The unit of memory in resource requirements: MB, unless LSF's own configuration says otherwise."""
        said = self.settings.get("LSF_UNIT_FOR_LIMITS", "").upper()
        if configured is not None or not self.version:
            return configured or Unit.MB
        return next((unit for unit in Unit if said and unit.value[0] == said[0]), Unit.MB)


def read(lsid: str, bparams: str, lsclusters: str, lsf_conf: str) -> Config:
    """The settings that these tell; lsf.conf and lsclusters may be empty."""
    matched, cluster = _LSF.search(lsid), _CLUSTER.search(lsid)
    named = _ADMINISTRATORS.search(lsclusters)
    return Config(
        product=lsid.strip().partition("\n")[0],
        version=tuple(int(part) for part in matched[1].split(".")) if matched else (),
        cluster=cluster[1] if cluster else "",
        parameters=dict(_PARAMETER.findall(bparams)),
        settings={
            name: value.partition(" #")[0].strip().strip("\"'") for name, value in _SETTING.findall(lsf_conf)
        },
        administrators=frozenset(named[1].replace('"', " ").replace("'", " ").split())
        if named
        else frozenset(),
    )


def queues(text: str) -> list[Queue]:
    """What `bqueues -l` says of each queue."""
    starts = list(_QUEUE.finditer(text))
    ends = [*(start.start() for start in starts[1:]), len(text)][: len(starts)]
    parts = [(start[1], text[start.start() : end]) for start, end in zip(starts, ends, strict=True)]
    return [Queue(name, bool(_RERUNS.search(part)), bool(_POST.search(part))) for name, part in parts]
