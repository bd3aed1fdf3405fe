"""How often unreachable cycles are looked for, while very many objects are made that stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_MANY: Final = 20_000
"""So many new objects make it worth a look."""

_FEW: Final = 2_000
"""So many are looked at in half a millisecond."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for unreachable cycles seldom, and not in what is there already; afterwards as before."""
    with _collected(_MANY, 20, 100):
        yield


@contextmanager
def collected_in_small_steps() -> Iterator[None]:
    """Look for unreachable cycles in what is new, and hardly ever in all, which takes a tenth of a second."""
    with _collected(_FEW, 10, 1_000):
        yield


@contextmanager
def _collected(new: int, middle: int, old: int) -> Iterator[None]:
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(new, middle, old)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
