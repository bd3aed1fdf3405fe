"""How often unreachable cycles are looked for, while very many objects are made that stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_MANY: Final = 20_000
"""So many new objects make it worth a look."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for unreachable cycles seldom, and not in what is there already; afterwards as before."""
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_MANY, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
