"""Reading a file that somebody named: never more of it than is allowed, and never waiting for ever."""

from __future__ import annotations

import os
import select
import stat
from pathlib import Path
from typing import Final

_PATIENCE: Final = 10.0


def read_bytes(path: Path, most: int) -> bytes:
    """At most `most` bytes of a file. Raises OSError, also for a pipe that nobody writes to in 10 s.

    So `check <(make-policy)` works, and a named pipe holds up neither a command nor the daemon.
    """
    # Without O_NONBLOCK, opening a named pipe would wait for somebody to write to it.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:  # noqa: PTH123
        comes = select.poll()
        comes.register(file, select.POLLIN)
        waits = not stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        data = bytearray()
        while len(data) < most:
            if waits and not comes.poll(_PATIENCE * 1000):
                raise OSError(f"it is no file on a disk, and nothing came out of it in {_PATIENCE:.0f} s")
            block = file.read(min(most - len(data), 1 << 20))
            if not block:
                break
            data += block
        return bytes(data)
