"""The backend that is put to the test, and what the laws do with it: submit, look, wait, tidy up."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, TypeVar

import msgspec

from wnodes_engine.backend import (
    Action,
    ActionOutcome,
    BatchBackend,
    Capability,
    Ending,
    Job,
    JobRef,
    JobState,
    SlotRequest,
    Verdict,
)
from wnodes_engine.values import Node

R = TypeVar("R")

LONG: Final = "#!/bin/sh\nsleep 600\n"
SHORT: Final = "#!/bin/sh\nsleep 1\n"
FAILING: Final = "#!/bin/sh\nexit 3\n"
HAS_STARTED: Final = frozenset({JobState.RUNNING, JobState.SUSPENDED, JobState.ENDING})


class Broken(Exception):  # noqa: N818 - it says what has become of a law
    """A law does not hold; the message says what was seen."""


class NotHere(Exception):  # noqa: N818 - it says why a law was left out
    """A law cannot be tried on this farm; the message says why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to use the farm: whom jobs run as, their queue and account, how long to wait for anything."""

    user: str = ""
    queue: str | None = None
    account: str | None = None
    patience: float = 60.0
    pause: float = 0.2


@dataclass(slots=True)
class Subject:
    """One backend under test, and the jobs and drained nodes that have to be undone afterwards."""

    backend: BatchBackend
    settings: Settings = Settings()
    cursor: str = ""
    told: dict[JobRef, Ending] = field(default_factory=dict)
    submitted: list[JobRef] = field(default_factory=list)

    # ------------------------------------------------------------- submitting

    def slot(self, **fields: Any) -> SlotRequest:
        """A job of one core that takes ten minutes, with these fields instead."""
        given: dict[str, Any] = {
            "key": secrets.token_hex(12),
            "name": "wnodes-conformance",
            "user": self.settings.user,
            "cores": 1,
            "memory": 64,
            "walltime": 900,
            "queue": self.settings.queue,
            "account": self.settings.account,
            "script": LONG,
        }
        return SlotRequest(**given | fields)

    async def submit(self, **fields: Any) -> JobRef:
        """Submit such a job, held unless told otherwise, trying again while it is turned away."""
        return await self.hand_in(self.slot(**fields))

    async def hand_in(self, slot: SlotRequest) -> JobRef:
        """Submit a slot, and be sure that it is there."""
        answer = await self.answer(slot)
        if isinstance(answer, JobRef):
            ref = answer
        else:
            expect(answer.verdict is Verdict.UNKNOWN, f"a submission came to {_shown(answer)}")

            async def there() -> JobRef | None:
                return (await self.backend.find({slot.key: slot.user})).get(slot.key)

            ref = await self.until(there, "a submission of unknown outcome never appeared")
            self.submitted.append(ref)
        expect(ref.key == slot.key, f"submitted under the key {slot.key}, and the reference says {ref.key!r}")
        expect(bool(ref.id), "the reference has no id")
        return ref

    async def run(self, **fields: Any) -> JobRef:
        """Submit, release, and wait until it was seen to run."""
        ref = await self.submit(**fields)
        await self.do(Action.RELEASE, ref)
        await self.reach(ref, JobState.RUNNING)
        return ref

    async def answer(self, slot: SlotRequest) -> JobRef | ActionOutcome:
        """What submitting a slot comes to; what is passing is tried again."""

        async def answered() -> JobRef | ActionOutcome | None:
            answer = await self.backend.submit(slot)
            passing = isinstance(answer, ActionOutcome) and answer.verdict is Verdict.PASSING
            return None if passing else answer

        answer: JobRef | ActionOutcome = await self.until(
            answered, "submissions are turned away again and again"
        )
        if isinstance(answer, JobRef):
            self.submitted.append(answer)
        return answer

    # ----------------------------------------------------------------- acting

    async def do(self, action: Action, ref: JobRef, **more: Any) -> None:
        """Do one thing to one job, which has to succeed."""
        outcome = await self.outcome(action, ref, **more)
        expect(outcome.verdict is Verdict.DONE, f"to {action} a job came to {_shown(outcome)}")

    async def outcome(self, action: Action, ref: JobRef, **more: Any) -> ActionOutcome:
        """What doing one thing to one job comes to; what is passing is tried again."""

        async def answered() -> ActionOutcome | None:
            outcomes = await self.backend.act(action, [ref], **more)
            expect(set(outcomes) == {ref}, f"asked about {ref}, and was told of {list(outcomes)}")
            return outcomes[ref] if outcomes[ref].verdict is not Verdict.PASSING else None

        return await self.until(answered, f"{action} is turned away again and again")

    # ---------------------------------------------------------------- looking

    async def job(self, ref: JobRef) -> Job | None:
        """The job as the batch system shows it; None if it does not."""
        shown = [job for job in (await self.backend.snapshot()).jobs if job.ref == ref]
        expect(len(shown) < 2, f"job {ref.id} is shown {len(shown)} times")
        return shown[0] if shown else None

    async def reach(self, ref: JobRef, *states: JobState) -> Job:
        """Wait until the job is shown in one of these states."""
        last: list[str] = ["nothing"]

        async def there() -> Job | None:
            job = await self.job(ref)
            last[0] = f"{job.state} ({job.native_state}, {job.reason})" if job is not None else "nothing"
            return job if job is not None and job.state in states else None

        return await self.until(there, lambda: f"wanted {' or '.join(states)}, last seen: {last[0]}")

    async def stays(self, ref: JobRef, *states: JobState, looks: int = 5) -> None:
        """Look several times: the job is always in one of these states."""
        for _ in range(looks):
            job = await self.job(ref)
            seen = job.state if job is not None else None
            expect(seen in states, f"the job was to stay {' or '.join(states)}, and is {seen}")
            await asyncio.sleep(self.settings.pause)

    async def ending(self, ref: JobRef) -> Ending:
        """Wait until accounting tells how the job has ended."""

        async def there() -> Ending | None:
            await self.read_on()
            return self.told.get(ref)

        return await self.until(there, f"accounting never told how job {ref.id} has ended")

    async def read_on(self) -> list[Ending]:
        """Read accounting from where it was left; what it tells, once for each time it does."""
        read: list[Ending] = []
        while True:
            endings = await self.backend.finished(self.cursor)
            read += endings.records
            self.told |= {ending.ref: ending for ending in endings.records}
            self.cursor = endings.cursor
            if not endings.more:
                return read

    async def node(self, cores: int = 1, count: int = 1) -> list[Node]:
        """Nodes that take work, the largest first; raises NotHere if there are too few."""
        nodes = [node for node in (await self.backend.snapshot()).nodes if node.up and node.cores >= cores]
        if len(nodes) < count:
            raise NotHere(f"it takes {count} nodes that are up, of {cores} cores")
        return sorted(nodes, key=lambda node: -node.cores)[:count]

    def needs(self, *capabilities: Capability) -> None:
        """Raises NotHere if the backend cannot do one of these."""
        if lacking := set(capabilities) - self.backend.capabilities:
            raise NotHere(f"this backend has no {', '.join(sorted(lacking))}")

    # ---------------------------------------------------------------- waiting

    async def until(self, look: Callable[[], Awaitable[R | None]], failing: str | Callable[[], str]) -> R:
        """What `look` comes to, once it is something. Raises Broken after the settings' patience."""
        deadline = monotonic() + self.settings.patience
        while (seen := await look()) is None:
            if monotonic() > deadline:
                raise Broken(failing if isinstance(failing, str) else failing())
            await asyncio.sleep(self.settings.pause)
        return seen

    async def tidy(self) -> None:
        """Cancel whatever is left of the jobs that were submitted."""
        if self.submitted:
            await self.backend.act(Action.CANCEL, self.submitted)
            self.submitted = []


def expect(holds: bool, seen: str) -> None:
    """Raises Broken, with what was seen, unless it holds."""
    if not holds:
        raise Broken(seen)


def others(ref: JobRef) -> Sequence[JobRef]:
    """References that are almost this one, and must not be taken for it."""
    return (
        msgspec.structs.replace(ref, key=secrets.token_hex(12)),
        msgspec.structs.replace(ref, submitted_at=ref.submitted_at + 1),
        msgspec.structs.replace(ref, submitted_at=ref.submitted_at - 1),
        msgspec.structs.replace(ref, cluster=f"{ref.cluster}-other"),
    )


def _shown(outcome: ActionOutcome) -> str:
    return f"{outcome.verdict}: {outcome.message or 'no message'}"
