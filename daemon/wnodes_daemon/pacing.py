"""Looking again and again, and with longer pauses at what does not answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from wnodes_engine.backend import BackendUnavailable
from wnodes_engine.executor import ExecutorUnavailable

from wnodes_daemon.grouping import Busy
from wnodes_daemon.store import StoreUnavailable

LONGEST_PAUSE: Final = 30.0
"""Seconds between two looks at something that does not answer, at the most."""

_log: Final = logging.getLogger(__name__)


async def keep_looking(
    name: str, look: Callable[[], Awaitable[None]], tell: Callable[[str], None], tick: float
) -> None:
    """Look every `tick` seconds, without end; `tell` hears why a look failed, "" after one that did not."""
    pause = tick
    while True:
        try:
            await look()
        except (BackendUnavailable, ExecutorUnavailable) as error:
            tell(str(error))
            pause = min(2 * pause, LONGEST_PAUSE)
        except (StoreUnavailable, Busy):
            pause = min(2 * pause, LONGEST_PAUSE)
        except Exception:  # a driver's mistake must not end the daemon
            _log.exception("a look went wrong", extra={"system": name})
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            tell("")
            pause = tick
        await asyncio.sleep(pause)
