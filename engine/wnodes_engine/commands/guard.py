"""How a command ends when its user interrupts it, or its output has nowhere to go."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Final

INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
FAILED: Final = 1


def guarded(name: str, run: Callable[[], int]) -> int:
    """The status of `run`, with its output flushed; no traceback for what happens outside of it.

    What commands read, they report on themselves: an OSError that comes out of them is their output's.
    """
    _open_streams()
    try:
        status = run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except OSError as error:
        _drop_output()
        return _say(f"{name}: cannot write: {error.strerror or error}")
    except MemoryError:
        return _say(f"{name}: there is not enough memory")
    return status


def _open_streams() -> None:
    """Streams that can be written to: whoever closed them does not want to read it."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a policy's text may not fit the terminal's encoding
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Nothing may be left to be flushed at exit: that would fail once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return FAILED
