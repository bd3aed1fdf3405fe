"""Every law in the order in which they are tried, and how one is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec

from wnodes_engine.backend import BackendUnavailable, BatchBackend
from wnodes_engine.conformance import accounting, identity, jobs, nodes, submission
from wnodes_engine.conformance.subject import Broken, NotHere, Settings, Subject
from wnodes_engine.executor import ExecutorUnavailable

Law = Callable[[Subject], Awaitable[None]]

LAWS: Final[tuple[Law, ...]] = (
    *submission.LAWS,
    *identity.LAWS,
    *jobs.LAWS,
    *nodes.LAWS,
    *accounting.LAWS,
)


class Found(msgspec.Struct, frozen=True):
    """What became of one law: it `holds`, or why not; it is None where it could not be tried."""

    law: str
    holds: bool | None
    said: str = ""


class Tidied(Protocol):
    """What laws are tried on."""

    async def tidy(self) -> None:
        """Undo what was done to it."""


T = TypeVar("T", bound=Tidied)


def statement(law: Callable[..., Any]) -> str:
    """The law in words: the name of its function."""
    return law.__name__.replace("_", " ")


async def judge(law: Law, backend: BatchBackend, settings: Settings) -> Found:
    """Try one law, and undo what it did. A law may take no longer than ten times the patience."""
    return await tried(law, Subject(backend, settings), settings.patience)


async def tried(law: Callable[[T], Awaitable[None]], subject: T, patience: float) -> Found:
    """What becomes of a law of batch systems or clouds when it is tried on a subject."""
    try:
        try:
            async with asyncio.timeout(10 * patience):
                await law(subject)
        finally:
            await subject.tidy()
    except NotHere as error:
        return Found(statement(law), None, str(error))
    except Broken as error:
        return Found(statement(law), False, str(error))
    except (BackendUnavailable, ExecutorUnavailable) as error:
        return Found(statement(law), False, f"it was not available: {error}")
    except Exception as error:  # a driver must not let its own errors out
        return Found(statement(law), False, f"it raised {type(error).__name__}: {error}")
    return Found(statement(law), True)
