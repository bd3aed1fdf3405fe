"""The request that shows what a finding tells, in the form that `eval` and policy tests read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from wnodes_engine.check import checked
from wnodes_engine.check.coverage import Known
from wnodes_engine.language.vocabulary import ATTRIBUTES, Trust, Type

_FIRST: Final[dict[str, Any]] = {"kind": "job", "origin": "local", "user": "somebody", "group": "anybody"}
_MACHINES: Final = frozenset({"vm", "pool", "vmjob"})


def as_request(known: Known, defaults: Sequence[checked.Default] = ()) -> str | None:
    """The request as YAML on one line, or None where what is known cannot be asked for.

    Not to be asked for are the state of the farm, the time, and what compares attributes with each other.
    `defaults` would fill in what the request must not have.
    """
    asked: dict[str, Any] = dict(_FIRST)
    for key, value in known.items():
        match key:
            case ("has", "image"):
                if value:
                    asked.setdefault("image", {"name": "other"})
            case ("has", str() as name):
                if not value and any(default.attribute == name for default in defaults):
                    return None
                if value:
                    _put(asked, name, asked.get(name, "other"))
            case ("member", str() as name, str() as element):
                if value and not _put(asked, name, element):
                    return None
            case ("value", str() as name):
                if not _put(asked, name, value):
                    return None
            case _:
                return None
    if asked["kind"] in _MACHINES:
        asked.setdefault("image", {"name": "other"}).setdefault("name", "other")
    if "at_least" in asked:
        asked.setdefault("count", asked["at_least"])
    return "{" + ", ".join(f"{name}: {_written(value)}" for name, value in asked.items()) + "}"


def _put(asked: dict[str, Any], name: str, value: object) -> bool:
    """Puts a value where the form of requests has it; whether it has a place there."""
    attribute = ATTRIBUTES.get(name)
    if attribute is None:
        asked.setdefault("attributes", {})[name] = value
        return True
    if attribute.trust is Trust.STATE or attribute.type is Type.SHARE:
        return False
    place = asked
    if name.startswith("image."):
        place, name = asked.setdefault("image", {}), name.removeprefix("image.")
    if attribute.type is Type.STRINGS:
        place.setdefault(name, []).append(value)
    elif attribute.type is Type.SIZE:
        place[name] = f"{value}MiB"
    elif attribute.type is Type.DURATION:
        place[name] = "unlimited" if value == checked.UNLIMITED else max(1, int(str(value)))
    else:
        place[name] = value
    return True


def _written(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_written(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    text = str(value)
    plain = isinstance(value, str) and text.replace("-", "").isalnum() and text[:1].isalpha()
    plain = plain and text.lower() not in ("true", "false", "null", "yes", "no", "on", "off")
    return text if plain else json.dumps(value, ensure_ascii=False)
