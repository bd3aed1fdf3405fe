"""Writing a decision log: which files there are, and what each begins with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from msgspec.structs import astuple

from wnodes_engine import __version__
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.core.state import State
from wnodes_engine.decision_log.lines import BEGINNING, write
from wnodes_engine.decision_log.records import (
    FORMAT,
    AnyRecord,
    AttributeRow,
    Begin,
    Change,
    End,
    Head,
    PartRecord,
    Policy,
    PolicyFile,
)
from wnodes_engine.snapshot import Snapshot, parts, snapshot


class Writing(Protocol):
    """Where a log is written to."""

    @property
    def full(self) -> bool:
        """Whether this file is at its end, and the next record belongs to a new one."""

    def new_file(self) -> None:
        """What follows stands in a new file."""

    def put(self, record: Policy | Change) -> None:
        """One more record."""

    def put_state(self, begin: Begin, taken: Snapshot) -> None:
        """A state begins."""


class Log:
    """A recorder that writes: each file begins with all that it takes to run it again."""

    def __init__(self, writing: Writing) -> None:
        self.policy = 0
        self._writing = writing
        self._digest = ""
        self._fresh = True

    @property
    def full(self) -> bool:
        """Whether a new file has to be begun, with the state as it is then."""
        return self._writing.full

    def begin(self, state: State, digest: str, why: str = "") -> None:
        """From here on there is this state: its policy, where that is another, and all its parts."""
        if self._fresh or self._writing.full:
            self._fresh = False
            self._writing.new_file()
            self.policy, self._digest = 0, ""
        if state.policy.digest != self._digest:
            self.policy += 1
            self._digest = state.policy.digest
            self._writing.put(policy_record(state.policy, self.policy))
        taken = snapshot(state)
        self._writing.put_state(Begin(self.policy, taken.clock, digest, why), taken)

    def add(self, record: Change) -> None:
        """One more record."""
        self._writing.put(record)


class Sink(Protocol):
    """What takes the lines."""

    @property
    def full(self) -> bool:
        """Whether this file is at its end."""

    def new(self) -> None:
        """The next line is the first of a new file."""

    def write(self, line: bytes) -> None:
        """One more line."""


class Lines:
    """Turns records into lines, each with the sum of all before it in its file."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._sum: str | None = None

    @property
    def full(self) -> bool:
        """Whether this file is at its end, and the next record belongs to a new one."""
        return self._sink.full

    def new_file(self, *, gap: bool = False) -> None:
        """Begin a file; without a gap it carries on the one before, which ends here, if there was any."""
        if gap:
            self._sum = None
        if self._sum is not None:
            self.end()
        follows, self._sum = self._sum, None
        self._sink.new()
        self._write(Head(format=FORMAT, engine=__version__, follows=follows))

    def put(self, record: Policy | Change) -> None:
        """One more record."""
        self._write(record)

    def put_state(self, begin: Begin, taken: Snapshot) -> None:
        """A state with its parts."""
        self._write(begin)
        for part in _with_last(taken):
            self._write(part)

    def end(self) -> None:
        """The file ends here, in order."""
        self._write(End())

    def _write(self, record: AnyRecord) -> None:
        line, self._sum = write(record, self._sum or BEGINNING)
        self._sink.write(line)


def _with_last(taken: Snapshot) -> Iterator[PartRecord]:
    stream = parts(taken)
    part = next(stream)  # there is always one: every share has its averages
    for following in stream:
        yield PartRecord(part)
        part = following
    yield PartRecord(part, last=True)


def policy_record(policy: CompiledPolicy, number: int) -> Policy:
    """A policy with all its texts, as that number of the file."""
    checked = policy.checked
    files = tuple(PolicyFile(source.path, source.text) for source in checked.sources)
    attributes = tuple(AttributeRow(*astuple(attribute)) for attribute in checked.attributes)
    return Policy(number, checked.digest, checked.time_zone, attributes, files)
