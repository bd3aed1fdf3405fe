"""The mapping: how the numbered users, groups and queues of a job log become requests.

A rule's `request` says what the log cannot: origin, kind, names, and the memory and walltime where it has
none. The first rule that matches decides, and leaves the rest to the default. See `schemas/mapping.json`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from wnodes_engine.check.checked import UNLIMITED
from wnodes_engine.documents import DocumentError, Positions, read_document
from wnodes_engine.findings import Finding
from wnodes_engine.language.literals import LiteralError, number
from wnodes_engine.simulate.swf import SwfJob
from wnodes_engine.state_file import mib
from wnodes_engine.values import Image, Kind, Origin, Request
from wnodes_engine.wire import ImageForm, WireError, to_image

_KNOWN_BY: Final = ("user", "group", "queue", "partition")
_MOST_REMEMBERED: Final = 100_000

Key = tuple[int, int, int, int]
"""What the log says of who a job is: its user, group, queue and partition."""


@dataclass(frozen=True, slots=True)
class Form:
    """What the jobs of one rule become; texts may hold `{user}` and the like. Memory in MiB.

    A walltime is seconds, or the least and the most that the run time is multiplied by.
    """

    origin: Origin
    kind: Kind
    user: str = "user{user}"
    group: str = "group{group}"
    project: str | None = None
    roles: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    queue: str | None = None
    account: str | None = None
    flavour: str | None = None
    image: Image | None = None
    cores_per_part: int = 1
    memory_per_core: int = 0
    walltime: int | tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """`when`: the ranges, ends included, in one of which each number named has to be."""

    when: Mapping[str, tuple[tuple[int, int], ...]]
    form: Form

    def matches(self, key: Key) -> bool:
        """Whether the rule speaks of such jobs."""
        numbers = dict(zip(_KNOWN_BY, key, strict=True))
        return all(
            any(low <= numbers[name] <= high for low, high in ranges) for name, ranges in self.when.items()
        )


@dataclass(frozen=True, slots=True)
class JobMapping:
    """A whole mapping, as a mapping file says it."""

    default: Form
    rules: tuple[Rule, ...] = ()
    seed: int = 0

    def reader(self, start: int) -> Callable[[SwfJob], Request]:
        """A function from the jobs of one log, in its order, to requests; `start` is when the log begins.

        Seconds since the epoch. The jobs have to have processors and a run time.
        """
        forms: dict[Key, Form] = {}
        chance = random.Random(self.seed).random  # noqa: S311 - a model, not a secret

        def request(job: SwfJob) -> Request:
            key = (job.user, job.group, job.queue, job.partition)
            if (form := forms.get(key)) is None:
                if len(forms) >= _MOST_REMEMBERED:
                    forms.clear()
                form = forms[key] = self._form(key)
            width, cores = job.processors, form.cores_per_part
            if width < cores:
                cores = width
            count = -(-width // cores)
            per_core = -(-job.memory // 1024) if job.memory > 0 else form.memory_per_core
            walltime: int | None = job.walltime
            if job.walltime <= 0:
                if isinstance(form.walltime, tuple):
                    least, most = form.walltime
                    factor = least + (most - least) * chance()
                    walltime = max(60, -int(-job.runtime * factor // 60) * 60)
                else:
                    walltime = form.walltime
            return Request(  # in the order of its fields: by name it takes three times as long
                str(job.number),
                "pool" if form.kind == "vm" and count > 1 else form.kind,
                form.origin,
                form.user,
                form.group,
                start + job.submitted,
                form.project,
                form.roles,
                cores,
                per_core * cores,
                None,  # GPUs
                None,  # disk
                None,  # volumes
                count,
                None,  # with how few parts it would begin
                walltime,
                form.queue,
                form.account,
                form.flavour,
                form.image,
                None,  # its name
                form.tags,
            )

        return request

    def _form(self, key: Key) -> Form:
        """The form for such jobs, its texts filled in."""
        form = next((rule.form for rule in self.rules if rule.matches(key)), self.default)
        known = {
            f"{{{name}}}": "unknown" if value < 0 else str(value)
            for name, value in zip(_KNOWN_BY, key, strict=True)
        }

        def filled(text: str) -> str:
            for hole, value in known.items():
                text = text.replace(hole, value)
            return text

        return replace(
            form,
            user=filled(form.user),
            group=filled(form.group),
            project=form.project and filled(form.project),
            queue=form.queue and filled(form.queue),
            account=form.account and filled(form.account),
            flavour=form.flavour and filled(form.flavour),
        )


PLAIN: Final = JobMapping(Form("grid", "job", walltime=(1.5, 4.0)))
"""Where no mapping is given: every job is a Grid job of its user and group."""


def load_mapping(path: str | Path) -> JobMapping:
    """The mapping in the file at `path`. Raises DocumentError."""
    value, positions = read_document(path, "mapping")
    read = _FormReader(positions)
    default = Form(**read.fields(value["default"], "default"))
    rules = tuple(
        Rule(
            {name: read.ranges(numbers, "rules", at, "when", name) for name, numbers in rule["when"].items()},
            replace(default, **read.fields(rule.get("request", {}), "rules", at, "request")),
        )
        for at, rule in enumerate(value.get("rules", ()))
    )
    if read.findings:
        raise DocumentError(read.findings, {positions.path: positions.text})
    return JobMapping(default, rules, value.get("seed", 0))


class _FormReader:
    """Turns the valid parts of a mapping file into values, and collects what the schema cannot say."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self.findings: list[Finding] = []

    def fields(self, spec: Mapping[str, Any], *where: str | int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, value in spec.items():
            try:
                fields[name] = _READ.get(name, _as_it_is)(value)
            except (LiteralError, WireError) as error:
                message = error.message if isinstance(error, WireError) else str(error)
                self._refuse(message, error.help, *where, name)
        return fields

    def ranges(self, numbers: Any, *where: str | int) -> tuple[tuple[int, int], ...]:
        ranges = []
        for one in numbers if isinstance(numbers, list) else [numbers]:
            low, _, high = str(one).partition("-") if isinstance(one, str) else (one, "", one)
            if int(high) < int(low):
                self._refuse(f"the range {one} runs backwards", f"write {high}-{low}", *where)
            ranges.append((int(low), int(high)))
        return tuple(ranges)

    def _refuse(self, message: str, mend: str | None, *where: str | int) -> None:
        self.findings.append(Finding("E194", message, self._positions.of(*where), help=mend))


def _as_it_is(value: Any) -> Any:
    return value


def _walltime(value: str | Mapping[str, Any]) -> int | tuple[float, float]:
    if value == "unlimited":
        return UNLIMITED
    if isinstance(value, str):
        return number(value)[0] // 1000
    factor: float | Sequence[float] = value["factor"]
    if isinstance(factor, Sequence):
        return (min(factor), max(factor))
    return (factor, factor)


def _image(value: Any) -> Image:
    return to_image(msgspec.convert(value, ImageForm))


_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "roles": frozenset,
    "tags": frozenset,
    "memory_per_core": mib,
    "walltime": _walltime,
    "image": _image,
}
