"""What a replay's changes go through: the state itself, or one that records or watches what is done to it."""

from __future__ import annotations

from typing import Protocol

from wnodes_engine.core.state import Moves
from wnodes_engine.values import Decision, Request


class Book(Protocol):
    """The changes of a `State`, each as it has them."""

    def submit(self, request: Request, now: int) -> Decision:
        """See `State.submit`."""
        ...

    def schedule(self, now: int) -> Moves:
        """See `State.schedule`."""
        ...

    def finish(self, id_: str, now: int) -> None:
        """See `State.finish`."""
        ...

    def requeue(self, id_: str, now: int) -> None:
        """See `State.requeue`."""
        ...

    def suspend(self, id_: str, now: int) -> None:
        """See `State.suspend`."""
        ...
