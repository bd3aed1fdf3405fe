"""A container of Swift for a request: made, handed over, and done away with, with all that is in it."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from wnodes_engine.backend import ActionOutcome, Verdict
from wnodes_engine.executor import Scratch

from wnodes_openstack.connections import Link
from wnodes_openstack.errors import message_of, outcome_of

_QUOTA: Final = "X-Container-Meta-Quota-Bytes"
_PAGES: Final = 1000
_DONE: Final = ActionOutcome(Verdict.DONE)


def name_of(farm: str, key: str) -> str:
    """What a request's container is called."""
    return f"{farm}-scratch-{key}"


def make(link: Link, name: str, quota: int) -> Scratch | ActionOutcome:
    """Make it; to make it again is to set its quota again."""
    answer = link.ask("object_store", "PUT", f"/{name}", headers={_QUOTA: str(quota)})
    if not answer.well:
        return outcome_of(answer, f"the container {name}")
    return Scratch(name, f"{link.endpoint('object_store').rstrip('/')}/{name}", quota)


def drop(link: Link, name: str) -> ActionOutcome:
    """Delete what is in it, and then itself."""
    for _ in range(_PAGES):
        answer = link.ask("object_store", "GET", f"/{name}?format=json&limit=1000")
        if answer.status == 404:
            return _DONE
        if not answer.well:
            return outcome_of(answer, f"the container {name}")
        if not answer.body:
            break
        for each in answer.body:
            gone = link.ask("object_store", "DELETE", f"/{name}/{quote(each['name'])}")
            if not gone.well and gone.status != 404:
                return outcome_of(gone, f"an object of the container {name}")
    answer = link.ask("object_store", "DELETE", f"/{name}")
    if answer.status == 409:  # a listing may be behind what was deleted, or what was written since
        return ActionOutcome(
            Verdict.PASSING, f"the container {name}: {message_of(answer.body) or 'not empty'}"
        )
    return _DONE if answer.status == 404 else outcome_of(answer, f"the container {name}")
