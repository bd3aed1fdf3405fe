"""The loop: a few steps of plain Python that never change. It tells how fast the machine is just now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

STEPS: Final = 1_000
WORDS: Final = tuple(f"word{n % 7}" for n in range(STEPS))
_ROUNDS: Final = 1_000


def count_words(words: Sequence[str] = WORDS) -> dict[str, int]:
    """A step for each word, whatever becomes of the project."""
    counts: dict[str, int] = {}
    for n, word in enumerate(words):
        counts[word] = counts.get(word, 0) + n * 3 % 7
    return counts


def timed() -> list[float]:
    """Seconds of the processor for one step, again and again for about a tenth of a second."""
    clock, taken = time.process_time, []
    for _ in range(_ROUNDS):
        begun = clock()
        count_words()
        taken.append((clock() - begun) / STEPS)
    return taken
