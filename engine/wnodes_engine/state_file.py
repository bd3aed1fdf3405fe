"""Farm and state documents: what the farm is made of, and how it stands at one moment."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from itertools import islice, product
from pathlib import Path
from typing import Final, TypeVar

from msgspec import UNSET
from msgspec.structs import replace as changed

from wnodes_engine.core import State
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.documents import DocumentError, Positions, keys_of, read_form
from wnodes_engine.findings import Finding, in_order
from wnodes_engine.language.literals import LiteralError, number
from wnodes_engine.state_form import (
    MOST_NODES,
    AllocationForm,
    AmountsForm,
    FarmForm,
    NodeForm,
    StateForm,
    UseForm,
    WaitingForm,
)
from wnodes_engine.values import Image, Node, Outcome, Placement, Request
from wnodes_engine.wire import Known, RequestForm, WireError, to_image, to_request

_RANGES: Final = re.compile(r"\[([^]]*)\]")
_END_OF_TIME: Final = 253_370_764_800  # 9999-01-01: behind it, local times run out of years


def load_farm(path: str | Path) -> tuple[Node, ...]:
    """The nodes of the farm in the file at `path`, ranges of names expanded. Raises DocumentError."""
    form, positions = read_form(path, "farm", FarmForm)
    return _nodes(form.nodes, positions)


def _nodes(entries: Sequence[NodeForm], positions: Positions) -> tuple[Node, ...]:
    """The nodes that the entries stand for. Raises DocumentError for what their form cannot say."""
    nodes: dict[str, Node] = {}
    findings: list[Finding] = []
    for at, entry in enumerate(entries):
        key = "name"
        try:
            names = expanded(entry.name, MOST_NODES - len(nodes), nodes)
            key = "memory"
            memory = mib(entry.memory)
            key = "disk"
            disk = mib(entry.disk)
            key = "hs23"
            factor = _thousandths(entry.hs23)
        except LiteralError as error:
            findings.append(Finding("E194", str(error), positions.of("nodes", at, key), help=error.help))
            continue
        properties = frozenset(entry.properties)
        for name in names:
            nodes[name] = Node(name, entry.cores, memory, entry.gpus, disk, factor, properties, entry.up)
    if findings:
        raise DocumentError(findings, {positions.path: positions.text})
    return tuple(nodes.values())


def mib(size: int | str) -> int:
    """A size as documents write it, in MiB: `98304` or `96GiB`. Raises LiteralError."""
    return size if isinstance(size, int) else number(size)[0] // 1000


def _thousandths(value: float) -> int:
    if abs(value * 1000 - round(value * 1000)) > 1e-6 or value < 0.001:
        raise LiteralError(f"{value} has more decimals than are kept", "round it to three decimals")
    return round(value * 1000)


def expanded(pattern: str, most: int, taken: Mapping[str, Node]) -> list[str]:
    """The names that a pattern with ranges stands for. Raises LiteralError."""
    parts = _RANGES.split(pattern)
    choices = [
        [part] if at % 2 == 0 else list(islice(_range(part), most + 1)) for at, part in enumerate(parts)
    ]
    names = ["".join(name) for name in islice(product(*choices), most + 1)]
    if len(names) > most:
        raise LiteralError(f"with '{pattern}' there are more than {MOST_NODES:,} nodes", "narrow the range")
    seen = set(names)
    if len(seen) < len(names):
        raise LiteralError(f"'{pattern}' says the same name twice", "let the ranges not overlap")
    if again := next((name for name in names if name in taken), None):
        raise LiteralError(f"there is a node named '{again}' already", "give each node a name of its own")
    if long := next((name for name in names if len(name) > 255), None):
        raise LiteralError(f"the name '{long[:20]}…' is too long", "a name has at most 255 characters")
    return names


def _range(text: str) -> Iterator[str]:
    """`001-100,150`: each number, as wide as the first of its range is written."""
    for piece in text.split(","):
        first, _, last = piece.partition("-")
        last = last or first
        if len(last) > 18 or len(first) > 18:
            raise LiteralError(f"'{piece[:24]}' is too long for a range", "a number has at most 18 digits")
        if int(last) < int(first):
            raise LiteralError(f"the range '{piece}' runs backwards", f"write '{last}-{first}'")
        for count in range(int(first), int(last) + 1):
            yield f"{count:0{len(first)}d}"


# ------------------------------------------------------------------ the state

Entry = TypeVar("Entry", AllocationForm, WaitingForm)


@dataclass(frozen=True, slots=True)
class Held:
    """An allocation of a state document."""

    request: Request
    placement: tuple[Placement, ...]
    started: int


@dataclass(frozen=True, slots=True)
class StateFile:
    """A state document; `use` holds what `State.restore_use` takes: share, whom, name, resource, average."""

    now: int
    nodes: tuple[Node, ...]
    allocations: tuple[Held, ...]
    queue: tuple[Request, ...]
    use: tuple[tuple[str, str, str, str, int], ...]
    known: Known
    positions: Positions


def load_state(path: str | Path, site: Known) -> StateFile:
    """The state in the file at `path`; its images are added to the site's. Raises DocumentError."""
    form, positions = read_form(path, "state", StateForm)
    return _StateReader(form, positions, site).read()


def load_request(path: str | Path, now: int, known: Known, id: str = "request") -> Request:  # noqa: A002
    """The one request in the file at `path`, as submitted `now`. Raises DocumentError."""
    form, positions = read_form(path, "request", RequestForm)
    try:
        return to_request(form, id, now, known)
    except WireError as error:
        finding = wire_finding(error, positions)
        raise DocumentError([finding], {positions.path: positions.text}) from None


def restore(file: StateFile, policy: CompiledPolicy) -> tuple[State, list[str]]:
    """The state that the document describes, under a policy, and the ids of its queue that the policy denies.

    What is denied does not wait. Raises DocumentError for what does not go together with the policy.
    """
    state = State(policy, file.nodes)
    findings: list[Finding] = []
    for at, held in sorted(enumerate(file.allocations), key=lambda entry: entry[1].started):
        try:
            state.start(held.request, held.placement, held.started)
        except ValueError as error:
            span = file.positions.of("allocations", at)
            findings.append(Finding("E194", str(error), span, help="the policy has to assign what runs"))
    state.advance(file.now)
    for share, whom, name, resource, average in file.use:
        try:
            state.restore_use(share, whom, name, resource, average)
        except KeyError:
            message = f"the policy does not average the {whom}s of '{share}'"
            mend = "it does so for the keys of `order … by fairshare of …`"
            if share not in (known := [node.path for node in state.tree.shares]):
                message = f"the policy has no share '{share}'"
                mend = f"its shares are: {', '.join(known[:24])}"
            where = file.positions.of_key(*(("use", share, whom) if share in known else ("use", share)))
            findings.append(Finding("E194", message, where, help=mend))
    if findings:
        raise DocumentError(in_order(findings), {file.positions.path: file.positions.text})
    queue = sorted(file.queue, key=lambda request: request.submitted)
    denied = [request.id for request in queue if state.submit(request, file.now).outcome is Outcome.DENY]
    return state, denied


class _StateReader:
    """Turns the parts of a state document into values, and collects what their form cannot say."""

    def __init__(self, form: StateForm, positions: Positions, site: Known) -> None:
        self._form = form
        self._positions = positions
        self._site = site
        self._findings: list[Finding] = []
        self._ids: set[str] = set()

    def read(self) -> StateFile:
        form, positions = self._form, self._positions
        nodes = _nodes(form.nodes, positions)
        now = self._moment(form.now, "now")
        self._raise()
        self._known = replace(self._site, images={**self._site.images, **self._images()})
        names = frozenset(node.name for node in nodes)
        allocations = tuple(
            self._held(each, names, now, at)
            for at, entry in enumerate(form.allocations)
            for each in _times(entry)
        )
        queue = tuple(
            self._queued(each, now, at) for at, entry in enumerate(form.queue) for each in _times(entry)
        )
        use = tuple(self._use(form.use))
        self._raise()
        return StateFile(
            now,
            nodes,
            tuple(held for held in allocations if held),
            tuple(request for request in queue if request),
            use,
            self._known,
            positions,
        )

    def _held(self, entry: AllocationForm, names: frozenset[str], now: int, at: int) -> Held | None:
        started = self._moment(entry.started, "allocations", at, "started", latest=now)
        submitted = started
        if entry.submitted is not UNSET:
            submitted = self._moment(entry.submitted, "allocations", at, "submitted", latest=started)
        request = self._request(entry, submitted, "allocations", at)
        wanted = entry.request.count or 1
        least = min(entry.request.at_least or wanted, wanted)
        parts = entry.nodes if entry.nodes is not UNSET else {str(entry.node): wanted}
        for name in parts:
            if name not in names:
                where = ("nodes", name) if entry.node is UNSET else ("node",)
                self._refuse(
                    f"there is no node '{name}' in this state", _near(name, names), "allocations", at, *where
                )
        if not least <= sum(parts.values()) <= wanted:
            message = f"the nodes hold {sum(parts.values())} parts of it, and the request has {wanted}"
            mend = "`count` says how many parts there are, `at_least` how few it may have"
            self._refuse(message, mend, "allocations", at, "nodes")
        placement = tuple(Placement(name, count) for name, count in parts.items())
        return Held(request, placement, started) if request else None

    def _queued(self, entry: WaitingForm, now: int, at: int) -> Request | None:
        submitted = self._moment(entry.submitted, "queue", at, "submitted", latest=now)
        return self._request(entry, submitted, "queue", at)

    def _request(
        self, entry: AllocationForm | WaitingForm, submitted: int, *where: str | int
    ) -> Request | None:
        if entry.id in self._ids:
            self._refuse(f"the id '{entry.id}' is there twice", "each request has its own", *where, "id")
        self._ids.add(entry.id)
        try:
            return to_request(entry.request, entry.id, submitted, self._known)
        except WireError as error:
            self._findings.append(wire_finding(error, self._positions, *where, "request"))
            return None

    def _images(self) -> dict[str, Image]:
        images: dict[str, Image] = {}
        for at, form in enumerate(self._form.images):
            try:
                image = to_image(form)
            except WireError as error:
                self._findings.append(wire_finding(error, self._positions, "images", at))
                continue
            images[image.id] = images[image.name] = image
        return images

    def _use(self, use: Mapping[str, UseForm]) -> Iterator[tuple[str, str, str, str, int]]:
        for share, form in use.items():
            yield from self._averages(form.share, share, "share")
            for whom in ("user", "group", "project", "account"):
                for name, amounts in getattr(form, whom).items():
                    yield from self._averages(amounts, share, whom, name)

    def _averages(
        self, amounts: AmountsForm, share: str, whom: str, name: str = ""
    ) -> Iterator[tuple[str, str, str, str, int]]:
        for resource in amounts.__struct_fields__:
            if (average := getattr(amounts, resource)) is UNSET:
                continue
            try:
                yield share, whom, name, resource, mib(average) * (1000 if resource == "hs23" else 1)
            except LiteralError as error:
                where = (share, whom, name, resource) if name else (share, whom, resource)
                self._refuse(str(error), error.help, "use", *where)

    def _moment(self, text: str, *where: str | int, latest: int | None = None) -> int:
        try:
            moment = int(datetime.fromisoformat(text.upper()).timestamp())
        except (ValueError, OverflowError):
            self._refuse(f"there is no such moment as '{text}'", "look at the day and the hour", *where)
            return 0
        if not 0 <= moment < _END_OF_TIME:
            self._refuse(f"{text} is no time at which a farm was", "the years are 1970 to 9998", *where)
            return 0
        if latest is not None and moment > latest:
            self._refuse(f"{text} is later than it can be", "it began before it was seen so", *where)
        return moment

    def _raise(self) -> None:
        if self._findings:
            raise DocumentError(in_order(self._findings), {self._positions.path: self._positions.text})

    def _refuse(self, message: str, mend: str | None, *where: str | int) -> None:
        self._findings.append(Finding("E194", message, self._positions.of(*where), help=mend))


def _times(entry: Entry) -> Iterator[Entry]:
    """The entry as often as it says, each with an id of its own."""
    if entry.times == 1:
        yield entry
    else:
        yield from (changed(entry, id=f"{entry.id}.{n}") for n in range(1, entry.times + 1))


def wire_finding(error: WireError, positions: Positions, *where: str | int) -> Finding:
    """What is wrong with the request at `where` of a document."""
    span = positions.of(*where, *keys_of(error.path))
    return Finding("E194", error.message, span, help=error.help)


def _near(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, 1, 0.6) if len(known) <= 5000 else []
    return f"did you mean '{near[0]}'?" if near else "list it under `nodes`"
