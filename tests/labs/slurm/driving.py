"""The driver on the lab's cluster, and what the tests do with it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from labs.slurm.cluster import Cluster
from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    BackendUnavailable,
    Ending,
    Job,
    JobRef,
    JobState,
    SlotRequest,
    Verdict,
)
from wnodes_slurm.backend import SlurmBackend

R = TypeVar("R")
LONG = "#!/bin/sh\nsleep 600\n"
SHORT = "#!/bin/sh\nsleep 1\n"


def driver(cluster: Cluster, **options: Any) -> SlurmBackend:
    """A new driver, as after a restart of the daemon."""
    given = {
        "submit_as": "uid",
        "service_user": "nobody",
        "min_uid": 2,
        "conf": str(cluster.conf),
        "workdir": "/tmp",
        "output": "/dev/null",
        "login": False,
        "limit": 20.0,
        "history": 600,
    }
    return SlurmBackend("grid", given | options)


def slot(**fields: Any) -> SlotRequest:
    """A long job of games' of one core."""
    given: dict[str, Any] = {
        "key": secrets.token_hex(12),
        "name": "wnodes-1",
        "user": "games",
        "cores": 1,
        "memory": 64,
        "walltime": 900,
        "queue": "grid",
        "account": "cloud",
        "script": LONG,
    }
    return SlotRequest(**given | fields)


def do(work: Coroutine[Any, Any, R]) -> R:
    """Run something of the driver's to its end."""
    return asyncio.run(work)


def submit(backend: SlurmBackend, **fields: Any) -> JobRef:
    """Submit a job, which has to succeed."""
    ref = do(backend.submit(slot(**fields)))
    assert isinstance(ref, JobRef), ref
    return ref


def act(backend: SlurmBackend, action: Action, ref: JobRef, **more: Any) -> ActionOutcome:
    """Do one thing to one job."""
    return do(backend.act(action, [ref], **more))[ref]


def run(cluster: Cluster, backend: SlurmBackend, **fields: Any) -> JobRef:
    """A job that runs."""
    ref = submit(backend, **fields)
    assert act(backend, Action.RELEASE, ref).verdict is Verdict.DONE
    reach(cluster, backend, ref, JobState.RUNNING)
    return ref


def job(backend: SlurmBackend, ref: JobRef) -> Job | None:
    """A job as the cluster shows it."""
    shown = [each for each in do(backend.snapshot()).jobs if each.ref == ref]
    assert len(shown) < 2
    return shown[0] if shown else None


def reach(
    cluster: Cluster, backend: SlurmBackend, ref: JobRef, *states: JobState, seconds: float = 60
) -> None:
    """Wait until a job is in one of these states."""

    def there() -> bool:
        seen = job(backend, ref)
        return seen is not None and seen.state in states

    cluster.wait(seconds, f"a job that is {' or '.join(states)}", there)


def ending(cluster: Cluster, backend: SlurmBackend, ref: JobRef) -> Ending:
    """How a job has ended, once accounting knows."""
    found: list[Ending] = []

    def told() -> bool:
        found.extend(each for each in endings(backend) if each.ref == ref)
        return bool(found)

    cluster.wait(60, f"the end of job {ref.id}", told)
    return found[0]


def endings(backend: SlurmBackend, cursor: str = "") -> list[Ending]:
    """All endings since a cursor."""
    read: list[Ending] = []
    while True:
        page = do(backend.finished(cursor))
        read += page.records
        cursor = page.cursor
        if not page.more:
            return read


def is_away(question: Callable[[], Awaitable[object]]) -> bool:
    """Whether a question comes to `BackendUnavailable`."""

    async def asked() -> bool:
        try:
            await question()
        except BackendUnavailable:
            return True
        return False

    return asyncio.run(asked())
