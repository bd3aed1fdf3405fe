"""Running a decision log again: record by record, the same calls have to make the same records."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from wnodes_engine.check.checked import SiteAttribute
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.core.state import State
from wnodes_engine.decision_log.digest import digest_of
from wnodes_engine.decision_log.lines import BEGINNING
from wnodes_engine.decision_log.reading import LogReader, altered
from wnodes_engine.decision_log.recorded import Recorded
from wnodes_engine.decision_log.records import (
    AnyRecord,
    Begin,
    Cancel,
    Change,
    End,
    Finish,
    Head,
    More,
    NodesChange,
    PartRecord,
    Pass,
    Policy,
    Question,
    Requeue,
    Submit,
    Suspend,
    Take,
)
from wnodes_engine.findings import Severity
from wnodes_engine.language.load import load_sources
from wnodes_engine.language.source import Source
from wnodes_engine.site import bare_site
from wnodes_engine.snapshot import SnapshotError, restore
from wnodes_engine.snapshot_form import Part
from wnodes_engine.values import Node, Request

MOST_FIELDS: Final = 20
"""How many fields of one record are told to differ."""

_UNWATCHED: Final = 500
_OUTCOMES: Final = frozenset(
    ["policy", "state", "answer", "starts", "more", "resumed", "preemptions", "reprieves", "share", "found"]
)
"""The fields that come out; the others go in."""

Field = tuple[str, Any, Any]
"""A field's name, what the log says, what comes out now."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first record that does not come out as it stands in the log. `message` says what else is wrong."""

    line: int
    do: str
    id: str | None
    now: int | None
    fields: tuple[Field, ...]
    message: str = ""


@dataclass(slots=True)
class Confirmation:
    """What came of running a log again.

    `records` counts what was done and came out the same, `by_kind` by what it was. `ended` tells that the log
    has its last line, `cut` that a line breaks off there, `limited` that no more of it was asked for.
    """

    engine: str = ""
    follows: str | None = None
    sum: str = BEGINNING
    records: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    states: int = 0
    decisions: int = 0
    lines: int = 0
    now: int = 0
    ended: bool = False
    cut: bool = False
    limited: bool = False
    difference: Difference | None = None


class _DiffersError(Exception):
    def __init__(self, fields: list[Field], message: str = "") -> None:
        super().__init__(message)
        self.fields = fields
        self.message = message


def confirm(
    log: LogReader, limit: int | None = None, watch: Callable[[Confirmation], None] | None = None
) -> Confirmation:
    """Run the log again, at most `limit` records of it, up to the first that differs.

    `watch` is called now and then. Raises DocumentError at a line that cannot be read.
    """
    run = _Run(log, watch)
    try:
        run.all(limit)
    except _DiffersError as error:
        run.told.difference = run.difference(error)
    run.told.cut = log.cut
    return run.told


class _Collected:
    """A recorder that keeps what is recorded, to be compared."""

    full = False

    def __init__(self, policy: int) -> None:
        self.policy = policy
        self.made: deque[Change] = deque()

    def begin(self, state: State, digest: str, why: str = "") -> None:
        """Nothing: what begins stands in the log already."""

    def add(self, record: Change) -> None:
        self.made.append(record)


class _Run:
    """One log on its way: where in the file it is, and the state as it is there."""

    def __init__(self, log: LogReader, watch: Callable[[Confirmation], None] | None) -> None:
        self.told = Confirmation()
        self._log = log
        self._watch = watch
        self._record: AnyRecord | None = None
        self._altered: Field | None = None
        self._policy: CompiledPolicy | None = None
        self._number = 0
        self._book: Recorded | None = None
        self._made = _Collected(0)

    def all(self, limit: int | None) -> None:
        told, records = self.told, self._records()
        first = next(records, None)
        if first is None:
            self._log.refuse(1, "this log is empty", "its writer was killed before it could write")
        head = self._log.head(first)
        told.engine, told.follows = head.engine, head.follows
        self._same([])
        for record in records:
            if told.ended:
                raise _DiffersError([], "something follows the end of the log")
            match record:
                case Head():
                    raise _DiffersError([], "a head in the midst of a log")
                case Policy():
                    self._take_policy(record)
                case Begin():
                    self._begin(record, records)
                case PartRecord():
                    raise _DiffersError([], "a part of a state, and no state that begins")
                case End():
                    self._nothing_left()
                    self._same([])
                    told.ended = True
                case _:
                    if limit is not None and told.records >= limit:
                        told.limited = True
                        return
                    self._confirm(record)
                    told.records += 1
                    told.by_kind[_kind(record)] = told.by_kind.get(_kind(record), 0) + 1
                    if self._watch is not None and told.records % _UNWATCHED == 0:
                        self._watch(told)

    def difference(self, error: _DiffersError) -> Difference:
        """Where the log is, with what differs there."""
        record = self._record
        assert record is not None  # noqa: S101 - something was read
        who = getattr(record, "id", None) or getattr(getattr(record, "request", None), "id", None)
        fields = tuple(error.fields[:MOST_FIELDS])
        return Difference(
            self.told.lines, _kind(record), who, getattr(record, "now", None), fields, error.message
        )

    # -------------------------------------------------------------------- lines

    def _records(self) -> Iterator[AnyRecord]:
        """The records, one after the other; an altered one is run as well, to tell what comes out."""
        told = self.told
        for at, line in self._log:
            told.lines = at
            self._altered = altered(line, told.sum)
            record = self._record = self._log.record(at, line)
            yield record
            told.sum = record.sum or BEGINNING

    def _same(self, fields: list[Field]) -> None:
        """Go on if nothing differs, the line's own sum included."""
        if self._altered is not None:
            raise _DiffersError([*fields, self._altered], "this line was altered after it was written")
        if fields:
            raise _DiffersError(fields)

    def _nothing_left(self) -> None:
        if self._made.made:
            raise _DiffersError([], f"{len(self._made.made)} records of starts are missing before this line")

    # ---------------------------------------------------------- what there is then

    def _take_policy(self, record: Policy) -> None:
        self._nothing_left()
        self._number += 1
        fields: list[Field] = []
        if record.policy != self._number:
            fields.append(("policy", record.policy, self._number))
        self._policy = _compiled(record)
        if record.digest != self._policy.digest:
            fields.append(("digest", record.digest, self._policy.digest))
        self._same(fields)

    def _begin(self, record: Begin, records: Iterator[AnyRecord]) -> None:
        self._nothing_left()
        if self._policy is None:
            raise _DiffersError([], "a state begins, and no policy came before it")
        self._same([("policy", record.policy, self._number)] if record.policy != self._number else [])
        try:
            state = restore(self._policy, record.clock, self._parts(records))
        except SnapshotError as error:
            raise _DiffersError([self._altered] if self._altered else [], str(error)) from None
        digest = digest_of(state)
        self._same([("state", record.state, digest)] if record.state != digest else [])
        self._made = _Collected(self._number)
        self._book = Recorded(state, self._made)
        self.told.states += 1

    def _parts(self, records: Iterator[AnyRecord]) -> Iterator[Part]:
        for record in records:
            if not isinstance(record, PartRecord):
                raise SnapshotError("the state breaks off before its last part")
            yield record.part
            if record.last:
                return
            self._same([])
        raise SnapshotError("the log ends before the state's last part")

    # --------------------------------------------------------------- what is done

    def _confirm(self, record: Change) -> None:
        if self._book is None:
            raise _DiffersError([], "something is done, and no state has begun")
        made = self._made.made
        if not isinstance(record, More):
            self._nothing_left()
            try:
                _do(self._book, record)
            except Exception as error:  # ids that are not there, amounts that cannot be: whatever it was
                fields = [self._altered] if self._altered else []
                raise _DiffersError(fields, f"this cannot be done: {_said(error)}") from None
            self.told.now = getattr(record, "now", None) or self.told.now
            self.told.decisions += isinstance(record, Submit | Question)
        if not made or type(made[0]) is not type(record):
            raise _DiffersError([self._altered] if self._altered else [], _unmade(record))
        now = made.popleft()
        if isinstance(now, Pass | More):
            self.told.decisions += len(now.starts)
        self._same([] if _outcomes(now) == _outcomes(record) else _differing(record, now))


def _do(book: Recorded, record: Change) -> None:
    """Do to the state what the record says was done to it."""
    match record:
        case Submit():
            book.submit(Request(*astuple(record.request)), record.now)
        case Question():
            book.decide(Request(*astuple(record.request)), record.now)
        case Pass():
            book.schedule(record.now)
        case Finish():
            book.finish(record.id, record.now)
        case Requeue():
            book.requeue(record.id, record.now)
        case Suspend():
            book.suspend(record.id, record.now)
        case Cancel():
            book.cancel(record.id, record.now)
        case Take():
            request = Request(*astuple(record.request))
            book.start(request, record.placement, record.now, native=record.native)
        case NodesChange():
            if record.now is not None:
                book.advance(record.now)
            book.set_nodes([Node(*astuple(row)) for row in record.nodes])


def _outcomes(record: Change) -> list[Any]:
    return [getattr(record, name) for name in record.__struct_fields__ if name in _OUTCOMES]


def _differing(said: Change, now: Change) -> list[Field]:
    fields: list[Field] = []
    for name in said.__struct_fields__:
        if name in _OUTCOMES:
            one, other = (msgspec.to_builtins(getattr(record, name)) for record in (said, now))
            _compare(name, one, other, fields)
    return fields


def _compare(path: str, said: Any, now: Any, fields: list[Field]) -> None:
    """Note where two values differ, as deep inside as can be told."""
    if said == now or len(fields) >= MOST_FIELDS:
        return
    if isinstance(said, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*said, *now)):
            _compare(f"{path}.{key}", said.get(key), now.get(key), fields)
    elif isinstance(said, list | tuple) and isinstance(now, list | tuple):
        if len(said) != len(now):
            fields.append((f"{path} (how many)", len(said), len(now)))
        for at, (one, other) in enumerate(zip(said, now, strict=False)):
            _compare(f"{path}[{at}]", one, other, fields)
    else:
        fields.append((path, said, now))


def _kind(record: AnyRecord) -> str:
    return str(record.__struct_config__.tag)


def _unmade(record: Change) -> str:
    if isinstance(record, More):
        return "more starts of a pass that had no more"
    return (
        "nobody waits now, and so there is no pass" if isinstance(record, Pass) else "nothing comes of this"
    )


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no {error}"
    return str(error) or type(error).__name__


def _compiled(record: Policy) -> CompiledPolicy:
    """The policy of a record. Raises _DiffersError where its texts are no sound policy."""
    attributes = tuple(SiteAttribute(*astuple(row)) for row in record.attributes)
    try:
        program = load_sources([Source(file.path, file.text) for file in record.files])
        policy, findings = check_policy(program, bare_site(record.time_zone, attributes), hints=False)
        if policy is not None:
            return compile_policy(policy)
    except Exception as error:
        raise _DiffersError([], f"this policy cannot be compiled: {_said(error)}") from None
    wrong = next(found for found in findings if found.severity is Severity.ERROR)
    raise _DiffersError([], f"this policy is not sound: {wrong.span.path}:{wrong.span.line}: {wrong.message}")
