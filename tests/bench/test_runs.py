"""Programs run by the figures: what they took, and how they end."""

from __future__ import annotations

import os
import sys
import time

import pytest
from bench.runs import RunError, cpu_of, run

BUSY = "import time\nwhile time.process_time() < 0.2: pass\n"


def test_a_run_tells_what_was_printed_and_what_it_took() -> None:
    taken = run([sys.executable, "-c", f"{BUSY}x = bytearray(64 << 20)\nprint('done')"], limit=60)
    assert taken.out == "done\n"
    assert taken.cpu > 0.19
    assert taken.memory > 64


def test_a_program_that_fails_says_its_last_words() -> None:
    with pytest.raises(RunError, match="ended with 3: alas"):
        run([sys.executable, "-c", "print('alas'); raise SystemExit(3)"], limit=60)


def test_a_program_that_takes_too_long_is_ended() -> None:
    with pytest.raises(RunError, match="not done after 0 s"):
        run([sys.executable, "-c", "while True: pass"], limit=0.3)


def test_the_time_of_a_running_process_is_read() -> None:
    assert cpu_of(os.getpid()) == pytest.approx(time.process_time(), abs=0.1)
