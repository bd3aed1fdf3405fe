"""What is recorded of a bait, what is seen of it, and the steps that follow: values alone."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec
from wnodes_engine.backend import Ending, Job, JobRef
from wnodes_engine.executor import Gone, Server, ServerRef


class Stage(StrEnum):
    """How far a bait has come. Each is recorded before its step is taken, and each step can be repeated.

    Until it is seen to run a bait is a dispatch as any other: queued, submitting, held, released. Then it is
    `GRANTED`: it runs on a node that is a host of the cloud. `HOLE_OPEN`: the ballast may lack its amounts.
    `BOOTING`: the hole is there, and the cloud may have the server. `ACTIVE`: both were seen to run.
    `ENDING`: the server is to go. `SERVER_GONE`: none of ours needs the hole, which is to be closed; while
    others are in it, the bait is their blocker. `BALLAST_RESTORED`: it is closed, and the bait may end.
    """

    GRANTED = "granted"
    HOLE_OPEN = "hole_open"
    BOOTING = "booting"
    ACTIVE = "active"
    ENDING = "ending"
    SERVER_GONE = "server_gone"
    BALLAST_RESTORED = "ballast_restored"
    BAIT_ENDED = "bait_ended"


HOLDING: Final = frozenset({Stage.HOLE_OPEN, Stage.BOOTING, Stage.ACTIVE, Stage.ENDING, Stage.SERVER_GONE})
"""The stages in which a bait has a grant: the ballast of its host lacks its amounts, or may."""


class Then(StrEnum):
    """What becomes of the request when its bait has ended."""

    DONE = "done"
    AGAIN = "again"
    FAILED = "failed"


class Bait(msgspec.Struct, frozen=True, gc=False):
    """Cores that were won for one machine; `key` is random and stands in both schedulers.

    `amounts` is what the machine holds by resource class: the hole is exactly this. `node`, `host`, `started`
    and `restarts` are as it was first seen to run: if one of them differs later it is `lost`. `wanted`: its
    request still waits for the machine, or has it. `blocks`: others were seen on its host, and may be in its
    hole. `drained`: its node was drained for its sake. `then` is what becomes of the request, and `why` says
    what went wrong. `ending` is how the job has ended by accounting.
    """

    key: str
    request: int
    amounts: dict[str, int]
    node: str
    host: str
    ref: JobRef
    executor: str = ""
    started: int | None = None
    restarts: int = 0
    stage: Stage = Stage.GRANTED
    server: ServerRef | None = None
    addresses: tuple[str, ...] = ()
    wanted: bool = True
    blocks: bool = False
    lost: bool = False
    drained: bool = False
    then: Then = Then.DONE
    why: str = ""
    ending: Ending | None = None


class Seen(msgspec.Struct, frozen=True, gc=False):
    """What was seen of one bait at one look at both schedulers.

    `job`: as the batch system shows it, None if it does not, which says nothing; `over`: accounting has told
    its end. `unfit` is why nothing may be booted on its host, empty if it may. `server`: the one with the
    recorded UUID, or before one is recorded the oldest with the key; None if there is none, or if the cloud
    was not asked. `copies`: others with the key. `asked`: the cloud was asked and has answered. `intruders`:
    servers are on the host that no bait there covers. `steady`: its host has been up for longer than the
    cloud takes to end machines there that it has forgotten.
    """

    job: Job | None = None
    over: bool = False
    unfit: str = ""
    asked: bool = False
    server: Server | Gone | None = None
    copies: tuple[ServerRef, ...] = ()
    intruders: bool = False
    steady: bool = False


class Act(StrEnum):
    """What is to be done about a bait. `OPEN` and `CLOSE` set the ballast of its host with and without it."""

    OPEN = "open the hole"
    BOOT = "boot"
    DELETE = "delete the server"
    DELETE_COPIES = "delete copies of the server"
    CLOSE = "close the hole"
    END = "end the bait"
    DRAIN = "drain the node"
    UNDRAIN = "take the node back"


class Move(msgspec.Struct, frozen=True, gc=False):
    """What is to be recorded, and what is to be done once it is, in this order."""

    bait: Bait
    acts: tuple[Act, ...] = ()
