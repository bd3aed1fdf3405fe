"""What the commands of a real system printed: a file each, with its command, exit code and seconds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from wnodes_batch.runner import Answer

_FOLDER = Path(__file__).with_name("recorded")
_FORM = re.compile(
    r"\$ (?P<command>.*?)\n\[rc=(?P<status>\d+) secs=(?P<seconds>[0-9.]+)\]\n--- stdout\n(?P<out>.*?)"
    r"--- stderr\n(?P<err>.*)",
    re.DOTALL,
)


class Recording(NamedTuple):
    command: str
    status: int
    seconds: float
    out: str
    err: str

    @property
    def answer(self) -> Answer:
        """As the runner would hand it on."""
        from wnodes_batch.runner import Answer  # not for the stub, which runs without us

        return Answer(self.status, self.out.encode(), self.err.strip())

    def part(self, begins: str, ends: str | None = None) -> str:
        """From a line on that begins like this, where several commands were recorded together."""
        start = self.out.index(begins)
        return self.out[start : self.out.index(ends, start) if ends else None]


def recorded(name: str) -> Recording:
    matched = _FORM.fullmatch((_FOLDER / f"{name}.txt").read_text())
    assert matched is not None, name
    said = matched.groupdict()
    return Recording(said["command"], int(said["status"]), float(said["seconds"]), said["out"], said["err"])
