"""The life of a bait, pure: from what is recorded and what is seen to what is to be recorded and done.

Two functions are all of it. `advance` takes a look at both schedulers in, `heed` the answer to one step. A
step whose answer was lost is found again by the next look; nothing here remembers more than is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from wnodes_engine.backend import ActionOutcome, JobState, Verdict
from wnodes_engine.executor import Gone, Server, ServerRef, ServerState

from wnodes_daemon.baits.records import HOLDING, Act, Bait, Move, Seen, Stage, Then

_LOST: Final = "the batch system has given the cores that were won for it to others"
_MOVED: Final = "its owner, or somebody else, has taken the server off the host that was won for it"


def advance(bait: Bait, seen: Seen, *, epilogue: bool) -> Move:
    """What follows from a look.

    `epilogue`: the batch system destroys a bait's machine before it gives the bait's cores to others.
    """
    rule = _RULES.get(bait.stage)
    if rule is None:
        return Move(bait)
    if seen.intruders and bait.stage in HOLDING:
        bait = _at(bait, bait.stage, blocks=True)
    move = rule(bait, seen, epilogue)
    if move.bait.drained and move.bait.stage in HOLDING:  # first of all, and at every look
        return Move(move.bait, (Act.DRAIN, *move.acts))
    return move


def heed(bait: Bait, act: Act, answer: ServerRef | ActionOutcome) -> Bait:
    """What is to be recorded after the answer to a step that was taken in the bait's stage."""
    if isinstance(answer, ServerRef):
        return _at(bait, bait.stage, server=answer) if bait.server is None else bait
    verdict = answer.verdict
    match bait.stage, act, verdict:
        case Stage.HOLE_OPEN, Act.OPEN, Verdict.DONE:
            return _at(bait, Stage.BOOTING)
        case Stage.HOLE_OPEN, Act.OPEN, Verdict.NO_ROOM | Verdict.REFUSED:
            return _at(bait, Stage.SERVER_GONE, then=Then.AGAIN, why=answer.message)
        case Stage.BOOTING, Act.BOOT, Verdict.REFUSED | Verdict.NO_ROOM:
            then = Then.FAILED if verdict is Verdict.REFUSED else Then.AGAIN
            return _at(bait, Stage.ENDING, then=then, why=answer.message)
        case Stage.SERVER_GONE, Act.CLOSE, Verdict.DONE:
            return _at(bait, Stage.BALLAST_RESTORED)
        case _, Act.UNDRAIN, Verdict.DONE:
            return _at(bait, bait.stage, drained=False)
    return bait


def runs(bait: Bait, seen: Seen) -> bool:
    """Whether the bait was just seen to run, and as it was first seen."""
    job = seen.job
    return job is not None and job.state is JobState.RUNNING and not _differs(bait, seen)


def is_lost(bait: Bait, seen: Seen) -> bool:
    """Whether its cores are not ours any more. That it is not shown says nothing."""
    return bait.lost or seen.over or _differs(bait, seen)


def is_gone(gone: Gone, *, epilogue: bool) -> bool:
    """Whether no machine is left on the host, or none will be when the bait's cores are given to others.

    The cloud forgets a server whose host is down at once, and the host has not been told.
    """
    return gone.confirmed or epilogue


def _differs(bait: Bait, seen: Seen) -> bool:
    job = seen.job
    if job is None:
        return False
    if job.state in {JobState.RUNNING, JobState.ENDING}:
        nodes = tuple(node for node, _ in job.nodes)
        moved = bool(nodes) and nodes != (bait.node,)
        return moved or job.started_at != bait.started or job.restarts != bait.restarts
    return job.state is not JobState.UNKNOWN  # suspended or waiting: its cores are lent to others


def _granted(bait: Bait, seen: Seen, _epilogue: bool) -> Move:
    if is_lost(bait, seen):
        return Move(_at(bait, Stage.BALLAST_RESTORED, lost=True, then=Then.AGAIN, why=_LOST), (Act.END,))
    if not bait.wanted:
        return Move(_at(bait, Stage.BALLAST_RESTORED), (Act.END,))
    if seen.unfit:
        return Move(_at(bait, Stage.BALLAST_RESTORED, then=Then.AGAIN, why=seen.unfit), (Act.END,))
    if not runs(bait, seen):
        return Move(bait)
    return Move(_at(bait, Stage.HOLE_OPEN), (Act.OPEN,))


def _hole_open(bait: Bait, seen: Seen, _epilogue: bool) -> Move:
    if is_lost(bait, seen):
        bait = _at(bait, Stage.SERVER_GONE, lost=True, drained=True, then=Then.AGAIN, why=_LOST)
        return Move(bait, (Act.CLOSE,))
    if not bait.wanted:
        return Move(_at(bait, Stage.SERVER_GONE), (Act.CLOSE,))
    return Move(bait, (Act.OPEN,)) if runs(bait, seen) else Move(bait)


def _booting(bait: Bait, seen: Seen, epilogue: bool) -> Move:
    server = seen.server
    if isinstance(server, Server) and bait.server is None:
        bait = _at(bait, bait.stage, server=server.ref)
    copies = (Act.DELETE_COPIES,) if seen.copies else ()
    if is_lost(bait, seen) or not bait.wanted:
        return _end(bait, seen, copies)
    if isinstance(server, Gone):
        return _vanished(bait, seen, server, epilogue)
    if server is None:  # the look by the key comes first: a crash may have come after the boot
        boots = seen.asked and bait.server is None and runs(bait, seen)
        return Move(bait, (Act.BOOT,)) if boots else Move(bait)
    if server.state is ServerState.ERROR:
        return Move(_at(bait, Stage.ENDING, then=Then.AGAIN, why=server.fault), (*copies, Act.DELETE))
    if server.state is ServerState.ACTIVE and runs(bait, seen):
        if server.host != bait.host:
            return Move(_at(bait, Stage.ENDING, then=Then.FAILED, why=_MOVED), (*copies, Act.DELETE))
        return Move(_at(bait, Stage.ACTIVE, addresses=server.addresses), copies)
    return Move(bait, copies)


def _active(bait: Bait, seen: Seen, epilogue: bool) -> Move:
    server = seen.server
    copies = (Act.DELETE_COPIES,) if seen.copies else ()
    if is_lost(bait, seen) or not bait.wanted:
        return _end(bait, seen, copies)
    if isinstance(server, Gone):
        return _vanished(bait, seen, server, epilogue)
    if server is None:
        return Move(bait, copies)
    if server.state is ServerState.SHELVED:
        return Move(_at(bait, Stage.SERVER_GONE, why="its owner has shelved it"), (*copies, Act.CLOSE))
    if server.state is ServerState.ERROR or (server.host and server.host != bait.host):
        bait = _at(bait, Stage.ENDING, then=Then.FAILED, why=server.fault or _MOVED)
        return Move(bait, (*copies, Act.DELETE))
    if server.addresses != bait.addresses:
        bait = _at(bait, bait.stage, addresses=server.addresses)
    return Move(bait, copies)


def _ending(bait: Bait, seen: Seen, epilogue: bool) -> Move:
    server = seen.server
    if is_lost(bait, seen) and not bait.lost:
        return _end(bait, seen, ())
    if isinstance(server, Gone):
        return _vanished(bait, seen, server, epilogue)
    if isinstance(server, Server):
        return Move(_at(bait, bait.stage, server=bait.server or server.ref), (Act.DELETE,))
    if bait.server is None and seen.asked:  # it has never been there
        return Move(_at(bait, Stage.SERVER_GONE), (Act.CLOSE,))
    return Move(bait)


def _server_gone(bait: Bait, seen: Seen, _epilogue: bool) -> Move:
    if is_lost(bait, seen) and not bait.lost:
        bait = _at(bait, bait.stage, lost=True, drained=True)
    return Move(bait, (Act.CLOSE,))


def _ballast_restored(bait: Bait, seen: Seen, _epilogue: bool) -> Move:
    if bait.blocks and not seen.steady:  # theirs may have been deleted, and the host not been told
        return Move(bait)
    if not seen.over:
        return Move(bait, (Act.END,))
    if bait.drained:  # it ends once the node is back
        return Move(bait, (Act.UNDRAIN,))
    return Move(_at(bait, Stage.BAIT_ENDED))


def _end(bait: Bait, seen: Seen, before: tuple[Act, ...]) -> Move:
    """The server has to go; with a bait that is lost nothing new may start on the node meanwhile."""
    lost = is_lost(bait, seen)
    then = {}
    if lost and bait.wanted:
        then = {"then": Then.FAILED if bait.stage is Stage.ACTIVE else Then.AGAIN, "why": _LOST}
    bait = _at(bait, Stage.ENDING, lost=lost, drained=bait.drained or lost, **then)
    return Move(bait, (*before, Act.DELETE) if bait.server is not None else before)


def _vanished(bait: Bait, seen: Seen, gone: Gone, epilogue: bool) -> Move:
    """The cloud does not know the server; whether its machine is gone is another matter.

    A bait that is lost has had its epilogue, or its node has not run one: then only the host's word counts,
    or that its compute service has been up for long enough to have put things in order.
    """
    if seen.steady or is_gone(gone, epilogue=epilogue and not bait.lost):
        return Move(_at(bait, Stage.SERVER_GONE), (Act.CLOSE,))
    why = f"nobody has confirmed that the machine is gone from {bait.host}"
    return Move(_at(bait, Stage.ENDING, drained=True, why=bait.why or why))


_RULES: Final[Mapping[Stage, Callable[[Bait, Seen, bool], Move]]] = {
    Stage.GRANTED: _granted,
    Stage.HOLE_OPEN: _hole_open,
    Stage.BOOTING: _booting,
    Stage.ACTIVE: _active,
    Stage.ENDING: _ending,
    Stage.SERVER_GONE: _server_gone,
    Stage.BALLAST_RESTORED: _ballast_restored,
}


def _at(bait: Bait, stage: Stage, **changes: Any) -> Bait:
    return msgspec.structs.replace(bait, stage=stage, **changes)
