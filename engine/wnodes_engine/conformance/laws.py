"""Every law in the order in which they are tried, and how one is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from wnodes_engine.backend import BackendUnavailable, BatchBackend
from wnodes_engine.conformance import accounting, identity, jobs, nodes, submission
from wnodes_engine.conformance.subject import Broken, NotHere, Settings, Subject

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


def statement(law: Law) -> str:
    """The law in words: the name of its function."""
    return law.__name__.replace("_", " ")


async def judge(law: Law, backend: BatchBackend, settings: Settings) -> Found:
    """Try one law, and undo what it did. A law may take no longer than ten times the patience."""
    subject = Subject(backend, settings)
    try:
        try:
            async with asyncio.timeout(10 * settings.patience):
                await law(subject)
        finally:
            await subject.tidy()
    except NotHere as error:
        return Found(statement(law), None, str(error))
    except Broken as error:
        return Found(statement(law), False, str(error))
    except BackendUnavailable as error:
        return Found(statement(law), False, f"the backend was not available: {error}")
    except Exception as error:  # a driver must not let its own errors out
        return Found(statement(law), False, f"the backend raised {type(error).__name__}: {error}")
    return Found(statement(law), True)
