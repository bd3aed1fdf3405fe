"""Laws of identity: only the job that is meant is found and touched."""

from __future__ import annotations

from typing import Final

import msgspec

from wnodes_engine.backend import Action, Capability, JobState, Verdict
from wnodes_engine.conformance.subject import Subject, expect, others

_NEEDS: Final = {
    Action.REQUEUE: Capability.REQUEUE,
    Action.SUSPEND: Capability.SUSPEND,
    Action.RESUME: Capability.SUSPEND,
    Action.EXTEND: Capability.EXTEND,
}


async def a_job_is_found_by_its_key_and_user_alone(farm: Subject) -> None:
    slot = farm.slot()
    ref = await farm.hand_in(slot)
    absent = farm.slot().key
    found = await farm.backend.find({slot.key: slot.user, absent: slot.user})
    expect(found == {slot.key: ref}, f"looked for {ref}, and found {found}")
    strangers = await farm.backend.find({slot.key: "somebody-else"})
    expect(not strangers, "a job is found under the name of a user whom it does not belong to")
    none = await farm.backend.find({})
    expect(not none, f"looked for nothing, and found {none}")


async def a_reference_stays_the_same_in_all_that_is_told_of_the_job(farm: Subject) -> None:
    slot = farm.slot()
    ref = await farm.hand_in(slot)
    await farm.do(Action.RELEASE, ref)
    await farm.reach(ref, JobState.RUNNING)
    found = await farm.backend.find({slot.key: slot.user})
    expect(found.get(slot.key) == ref, f"submitted as {ref}, found as {found.get(slot.key)}")
    await farm.do(Action.CANCEL, ref)
    await farm.ending(ref)


async def a_job_that_is_not_the_one_meant_is_not_touched(farm: Subject) -> None:
    ref = await farm.run()
    for other in others(ref):
        for action in Action:
            if _NEEDS.get(action) in {None, *farm.backend.capabilities}:
                outcome = await farm.outcome(
                    action, other, walltime=1800 if action is Action.EXTEND else None
                )
                expect(outcome.verdict is Verdict.CONFLICT, f"to {action} {other} came to {outcome.verdict}")
    await farm.stays(ref, JobState.RUNNING)


async def a_job_that_is_not_there_is_a_conflict(farm: Subject) -> None:
    ref = await farm.submit()
    for id_ in ("999999999", "-1", "x y", "", "1,2", "all"):
        missing = msgspec.structs.replace(ref, id=id_)
        for action in (Action.CANCEL, Action.RELEASE, Action.HOLD):
            outcome = await farm.outcome(action, missing)
            expect(outcome.verdict is Verdict.CONFLICT, f"to {action} job {id_!r} came to {outcome.verdict}")
    await farm.stays(ref, JobState.HELD)


async def one_wrong_reference_among_many_spoils_nothing(farm: Subject) -> None:
    refs = [await farm.submit() for _ in range(3)]
    wrong = others(refs[0])[0]
    outcomes = await farm.backend.act(Action.RELEASE, [refs[0], wrong, *refs[1:]])
    expect(outcomes[wrong].verdict is Verdict.CONFLICT, f"the wrong one came to {outcomes[wrong].verdict}")
    for ref in refs:
        expect(outcomes[ref].verdict is Verdict.DONE, f"a right one came to {outcomes[ref]}")
        await farm.reach(ref, JobState.RUNNING)


async def nothing_is_done_to_nobody(farm: Subject) -> None:
    for action in Action:
        outcomes = await farm.backend.act(action, [])
        expect(not outcomes, f"to {action} nothing came to {outcomes}")


LAWS: Final = (
    a_job_is_found_by_its_key_and_user_alone,
    a_reference_stays_the_same_in_all_that_is_told_of_the_job,
    a_job_that_is_not_the_one_meant_is_not_touched,
    a_job_that_is_not_there_is_a_conflict,
    one_wrong_reference_among_many_spoils_nothing,
    nothing_is_done_to_nobody,
)
