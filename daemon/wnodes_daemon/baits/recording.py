"""What of baits stands in the memory and in the store: commands, as those of `dispatching`."""

from __future__ import annotations

import msgspec
from wnodes_engine.backend import Ending

from wnodes_daemon.baits.records import Bait
from wnodes_daemon.memory import Changes, Memory
from wnodes_daemon.records import BaitChange, Entry


def executor_of(memory: Memory, entry: Entry) -> str:
    """The executor that boots a request's machine once its cores are won; empty if there is none to boot."""
    route = entry.decision.route if entry.decision is not None else None
    if route is None or route.through is None or route.target not in memory.executors:
        return ""
    return route.target


def record(memory: Memory, bait: Bait, changes: Changes) -> None:
    """A bait is like this now."""
    memory.baits[bait.key] = bait
    changes.append(BaitChange(bait))


def how_far(memory: Memory, entry: Entry) -> str:
    """How far it is with the machine of a request; empty as long as its bait has not run."""
    bait = memory.baits.get(memory.dispatch_of.get(entry.id, ""))
    if bait is None:
        return ""
    said = f"cores are won on {bait.node}, and its machine is at: {bait.stage.replace('_', ' ')}"
    return f"{said} ({bait.why})" if bait.why else said


def note_ending(memory: Memory, ending: Ending, changes: Changes) -> bool:
    """The job of a bait is over; its request is not, until its machine is gone. False if it is no bait."""
    bait = memory.baits.get(ending.ref.key)
    if bait is None:
        return False
    if bait.ending is None:
        record(memory, msgspec.structs.replace(bait, ending=ending), changes)
    return True
