"""What a listing of requests can be asked for: its parameters, and the filter that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType
from wnodes_engine import wire
from wnodes_engine.values import Kind, Origin

from wnodes_daemon.access.identity import Identity
from wnodes_daemon.openapi import Parameter
from wnodes_daemon.problems import invalid
from wnodes_daemon.records import Filter, State

_Name = wire.Text | UnsetType


class _Query(msgspec.Struct, forbid_unknown_fields=True):
    """The parameters of a listing, as they are written."""

    state: Annotated[
        tuple[State, ...], Meta(description=f"one or several, with commas between: {', '.join(State)}")
    ] = ()
    share: Annotated[_Name, Meta(description="a share, with everything below it, such as grid.lhc")] = UNSET
    user: Annotated[_Name, Meta(description="who asked")] = UNSET
    group: Annotated[_Name, Meta(description="the group of who asked")] = UNSET
    kind: Annotated[Kind | UnsetType, Meta(description="job, vmjob, vm or pool")] = UNSET
    origin: Annotated[Origin | UnsetType, Meta(description="local, grid or cloud")] = UNSET
    cursor: Annotated[int, Meta(ge=0, le=1 << 60, description="the `next` of the page before")] = 0
    limit: Annotated[
        int, Meta(ge=1, le=1_000_000, description="how many at most, 100 if left out; fewer may come")
    ] = 100


def _parameters() -> tuple[Parameter, ...]:
    _, components = msgspec.json.schema_components([_Query], ref_template="#/components/schemas/{name}")
    told = msgspec.json.schema(_Query)["$defs"]
    return tuple(
        Parameter(name, "query", schema.pop("description"), _inline(schema, told))
        for name, schema in components["_Query"]["properties"].items()
    )


def _inline(schema: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Without references: parameters name no schemas of their own."""
    if isinstance(items := schema.get("items"), dict) and "$ref" in items:
        schema["items"] = known[items["$ref"].rpartition("/")[2]]
    return {key: value for key, value in schema.items() if key != "default"}


PARAMETERS: Final = _parameters()
"""What is told of them."""


def asked_for(given: Mapping[str, str], most: int, who: Identity) -> Filter:
    """The filter that the parameters ask for; ProblemError with the parameter's name."""
    asked: dict[str, Any] = dict(given)
    if "state" in asked:
        asked["state"] = [state for state in asked["state"].split(",") if state]
    try:
        query = msgspec.convert(asked, _Query, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(_wrong_parameter(error)) from None
    return Filter(
        states=query.state,
        share=query.share or None,
        user=query.user or None,
        group=query.group or None,
        kind=query.kind or None,
        origin=query.origin or None,
        after=query.cursor,
        limit=min(query.limit, most),
        visible=who.sees,
    )


def _wrong_parameter(error: msgspec.ValidationError) -> wire.WireError:
    message, _, where = str(error).partition(" - at `$")
    if message.startswith("Object contains unknown field"):
        message = message.replace("Object contains unknown field", "there is no parameter").replace("`", "'")
        return wire.WireError("?", message, f"known here: {', '.join(_Query.__struct_fields__)}")
    name = where.strip("`.").partition("[")[0]
    if message.startswith("Expected `int`"):
        known = next(one.schema for one in PARAMETERS if one.name == name)
        message = f"this has to be a whole number from {known['minimum']} to {known['maximum']}"
    elif "regex" in message or "length" in message:
        message = f"this is not {wire.TEXT_HELP}"
    else:
        message = message.replace("Invalid enum value", f"there is no {name}")
    told = next(one.description for one in PARAMETERS if one.name == name)
    return wire.WireError(f"?{name}", message, told)
