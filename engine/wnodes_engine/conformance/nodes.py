"""Laws of nodes: shown with what they have, drained and taken back."""

from __future__ import annotations

from typing import Final

from wnodes_engine.backend import Action, Capability, JobState, NodeAction, Verdict
from wnodes_engine.conformance.subject import Subject, expect


async def the_nodes_are_shown_with_what_they_have(farm: Subject) -> None:
    snapshot = await farm.backend.snapshot()
    names = [node.name for node in snapshot.nodes]
    expect(bool(names), "there are no nodes")
    expect(len(set(names)) == len(names), "a node is shown twice")
    expect(all(node.cores > 0 for node in snapshot.nodes if node.up), "a node that is up has no cores")
    if Capability.MEMORY in farm.backend.capabilities:
        expect(all(node.memory > 0 for node in snapshot.nodes if node.up), "a node that is up has no memory")


async def a_drained_node_keeps_its_jobs_and_takes_no_new_ones(farm: Subject) -> None:
    farm.needs(Capability.DRAIN, Capability.PIN)
    [node] = await farm.node(cores=2)
    old = await farm.run(nodes=((node.name, 1),))
    try:
        for _ in range(2):
            outcome = await farm.backend.set_node(node.name, NodeAction.DRAIN, "wnodes: conformance")
            expect(outcome.verdict is Verdict.DONE, f"to drain a node came to {outcome}")
        shown = {shown.name: shown.up for shown in (await farm.backend.snapshot()).nodes}
        expect(shown.get(node.name) is False, "a drained node is shown as up, or not at all")
        await farm.stays(old, JobState.RUNNING, looks=2)
        new = await farm.submit(nodes=((node.name, 1),))
        await farm.do(Action.RELEASE, new)
        await farm.stays(new, JobState.PENDING)
    finally:
        outcomes = [await farm.backend.set_node(node.name, NodeAction.UNDRAIN, "") for _ in range(2)]
    for outcome in outcomes:
        expect(outcome.verdict is Verdict.DONE, f"to take a node back came to {outcome}")
    await farm.reach(new, JobState.RUNNING)

    async def is_up() -> bool | None:
        return (
            node.name in {shown.name for shown in (await farm.backend.snapshot()).nodes if shown.up} or None
        )

    await farm.until(is_up, "a node that was taken back is not up")


async def a_node_that_is_not_there_is_refused(farm: Subject) -> None:
    farm.needs(Capability.DRAIN)
    for name in ("nosuchnode", "--help", "a b", "", "ALL", "x\ny"):
        for action in NodeAction:
            outcome = await farm.backend.set_node(name, action, "wnodes: conformance")
            expect(outcome.verdict is Verdict.REFUSED, f"to {action} {name!r} came to {outcome}")


LAWS: Final = (
    the_nodes_are_shown_with_what_they_have,
    a_drained_node_keeps_its_jobs_and_takes_no_new_ones,
    a_node_that_is_not_there_is_refused,
)
