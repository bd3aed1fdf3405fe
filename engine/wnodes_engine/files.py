"""Files that somebody named: read never longer than is allowed, and written whole or not at all."""

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


def replace_text(file: Path, text: str) -> None:
    """Writes a file anew, whole or not at all, with the permissions that it had. Raises OSError."""
    from tempfile import NamedTemporaryFile  # slow to load, and most commands only read

    target = file.resolve()  # of a link, what it leads to
    new: Path | None = None
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
        with NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as opened:
            new = Path(opened.name)
            opened.write(text)
            opened.flush()
            os.fchmod(opened.fileno(), mode)
            os.fsync(opened.fileno())
        new.replace(target)
    except OSError:
        if new is not None:
            new.unlink(missing_ok=True)
        raise
