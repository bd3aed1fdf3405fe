"""The daemon's decision log: written by a thread of its own, one file after the other.

It is an audit log, not the store. Nothing waits for it, and what cannot be written stops nothing: it is told
in the daemon's log and by `/v1/health`, and a new file begins as soon as one can be written again. What was
written is handed to the system within a moment, and forced to the disk when a file ends.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final

from wnodes_engine.decision_log.files import LogFile
from wnodes_engine.decision_log.log import Lines
from wnodes_engine.decision_log.records import Begin, Change, Policy
from wnodes_engine.site import Decisions
from wnodes_engine.snapshot import Snapshot

_log: Final = logging.getLogger(__name__)
_RETRY: Final = 60.0  # seconds until a new file is tried where none could be written
_MOMENT: Final = 0.2  # seconds that something written may stay with us
_MOST_PENDING: Final = 200_000  # records that the thread may be behind


class DecisionLogError(Exception):
    """The log cannot be written where the site says; the message says why, and how to mend it."""


class DecisionLog:
    """Takes records from the event loop, and has them written.

    `problem` says why nothing is written now; empty while all is well.
    """

    def __init__(
        self, spec: Decisions, *, retry: float = _RETRY, clock: Callable[[], float] = time.time
    ) -> None:
        """Raises DecisionLogError where no such file can be written. `retry` in seconds."""
        folder = spec.file.parent
        if os.path.lexists(spec.file) and not spec.file.is_file():
            raise DecisionLogError(f"daemon.decisions.file: {spec.file} is no file: choose another name")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise DecisionLogError(
                f"daemon.decisions.file: cannot write to {folder}: make it, or give it to the daemon's user"
            )
        self.problem = ""
        self._retry = retry
        self._again = 0.0
        self._files = _Files(spec, clock)
        self._lines = Lines(self._files)
        self._things: SimpleQueue[_Thing | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="decision-log", daemon=True)
        self._thread.start()

    # ------------------------------------------------------- from the event loop

    @property
    def full(self) -> bool:
        """Whether a new file has to be begun, with the state as it is."""
        return time.monotonic() >= self._again if self.problem else self._files.full

    def new_file(self) -> None:
        """What follows stands in a new file; after a problem that carries on nothing."""
        gap, self.problem = bool(self.problem), ""
        self._files.full = False
        self._take(lambda: self._lines.new_file(gap=gap), begins=True)

    def put(self, record: Policy | Change) -> None:
        """One more record."""
        self._take(lambda: self._lines.put(record))

    def put_state(self, begin: Begin, taken: Snapshot) -> None:
        """A state begins."""
        self._take(lambda: self._lines.put_state(begin, taken))

    def close(self) -> None:
        """End the log in order, once all is written."""
        self._take(self._lines.end)
        self._things.put(None)
        self._thread.join()

    def _take(self, do: Callable[[], None], begins: bool = False) -> None:
        if self.problem:
            return
        if self._things.qsize() > _MOST_PENDING:
            self._fail(f"the disk is too slow: {_MOST_PENDING:,} records wait to be written")
            return
        self._things.put(_Thing(do, begins))

    # ------------------------------------------------------------- in the thread

    def _run(self) -> None:
        gap, handed_over = False, time.monotonic()
        while (thing := self._next()) is not None:
            gap = gap and not thing.begins
            if not gap:  # what follows a gap could not be run again
                gap = not self._try(thing.do)
            if not gap and time.monotonic() - handed_over > _MOMENT:
                gap, handed_over = not self._try(self._files.hand_over), time.monotonic()
        self._try(self._files.close)

    def _next(self) -> _Thing | None:
        """The next thing to write; until it comes, nothing that is written stays here for long."""
        with suppress(Empty):
            return self._things.get(timeout=_MOMENT)
        return _Thing(self._files.hand_over) if self._files.dirty else self._things.get()

    def _try(self, do: Callable[[], None]) -> bool:
        try:
            do()
        except OSError as error:
            self._fail(error.strerror or str(error))
            return False
        except Exception as error:  # whatever it is, decisions go on
            _log.exception("the decision log has failed")
            self._fail(f"{type(error).__name__}: {error}")
            return False
        return True

    def _fail(self, why: str) -> None:
        if not self.problem:
            said = {"error": why, "file": str(self._files.path)}
            _log.error("the decision log cannot be written", extra=said)
        self._again = time.monotonic() + self._retry
        self.problem = why


class _Thing:
    """Something to be written; `begins`: with a new file."""

    __slots__ = ("begins", "do")

    def __init__(self, do: Callable[[], None], begins: bool = False) -> None:
        self.do = do
        self.begins = begins


class _Files:
    """The file that is written now, under the site's name, and those before it, under their times."""

    def __init__(self, spec: Decisions, clock: Callable[[], float]) -> None:
        self.path = spec.file
        self.full = False
        self.dirty = False
        """Whether there is something that the system does not have yet."""
        self._most = spec.size
        self._keep = spec.keep
        self._clock = clock
        self._file: LogFile | None = None
        base, dot, ending = spec.file.name.partition(".")
        self._base, self._ending = base, dot + ending

    def new(self) -> None:
        """Begin a new file. Raises OSError."""
        with suppress(OSError):  # what could not be written was told when that was
            self.close()
        self._put_away()
        self._file = LogFile(self.path)

    def write(self, line: bytes) -> None:
        """One more line. Raises OSError."""
        if self._file is not None:
            self.dirty = True
            self._file.write(line)
            self.full = self.full or self._file.size >= self._most

    def hand_over(self) -> None:
        """Let the system have what was written. Raises OSError."""
        self.dirty = False
        if self._file is not None:
            self._file.hand_over()

    def close(self) -> None:
        """Write what is left to the disk. Raises OSError."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _put_away(self) -> None:
        """Give the file of that name, if there is one, the time as its name; drop those that are too many."""
        if not os.path.lexists(self.path):
            return
        if not self.path.is_file():
            raise OSError(f"{self.path} is no file")
        stamp = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        names = (
            f"{self._base}-{stamp}{more}{self._ending}" for more in ("", *(f"-{n}" for n in range(2, 1000)))
        )
        free = next(name for name in names if not os.path.lexists(self.path.with_name(name)))
        self.path.rename(self.path.with_name(free))
        if self._keep is not None:
            ours = re.compile(
                rf"{re.escape(self._base)}-(\d{{8}}T\d{{6}}Z)(?:-(\d+))?{re.escape(self._ending)}"
            )
            found = [(m[1], int(m[2] or 0), p) for p in self._folder() if (m := ours.fullmatch(p.name))]
            for _, _, path in sorted(found)[: -self._keep]:
                path.unlink()

    def _folder(self) -> list[Path]:
        return list(self.path.parent.iterdir())
