"""Values held against the JSON Schemas of `schemas/`: what breaks them, told to those who wrote them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    import jsonschema

_MOST_FINDINGS: Final = 50

Keys = tuple[str | int, ...]
"""Where in a document: keys and indices from the top."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One way in which a value breaks its schema; `at_key` when the key itself is what is wrong."""

    path: Keys
    message: str
    help: str | None = None
    at_key: bool = False


def problems(value: object, schema: str) -> list[Problem]:
    """How `value` breaks `schemas/{schema}.json`: at most 50 problems, in the document's order."""
    found: list[Problem] = []
    for error in islice(_validator(schema).iter_errors(value), _MOST_FINDINGS):
        found += _say(error)
    return found[:_MOST_FINDINGS]


@lru_cache
def load_schema(name: str) -> Mapping[str, Any]:
    """The JSON Schema `name`, from the installed package or from the source tree it stands in."""
    here = Path(__file__).parent
    for folder in (here / "schemas", here.parent.parent / "schemas"):
        path = folder / f"{name}.json"
        if path.is_file():
            return cast("Mapping[str, Any]", json.loads(path.read_text("utf-8")))
    raise LookupError(f"no schema named {name!r}")


def schema_of(form: type, name: str, title: str) -> dict[str, Any]:
    """The JSON Schema of a form, as `schemas/{name}.json` holds it."""
    import msgspec

    made = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(form)))
    top = made["$defs"].pop(form.__name__)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{name}.json"}
    return {**head, **top, "title": title, "$defs": made["$defs"]}


@lru_cache
def _validator(schema: str) -> Any:
    import jsonschema.validators
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012, SchemaResource

    def retrieve(uri: str) -> SchemaResource:
        contents = dict(load_schema(uri.rsplit("/", 1)[-1].removesuffix(".json")))
        del contents["$schema"]  # what names its dialect is held against that, not against ours
        return DRAFT202012.create_resource(contents)

    # To JSON Schema 8.0 is an integer; to the types that documents are read as it is none.
    draft = jsonschema.Draft202012Validator
    whole = draft.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    ours: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
        draft, {"uniqueItems": _unique_items}, type_checker=whole
    )
    return ours(load_schema(schema), registry=Registry(retrieve=retrieve))  # type: ignore[call-arg]


def _unique_items(
    _validator: object, wanted: bool, items: object, _schema: object
) -> Iterator[jsonschema.ValidationError]:
    """The keyword `uniqueItems` in linear time: the library's own compares each entry with each other."""
    from jsonschema import ValidationError

    if wanted and isinstance(items, list):
        forms = {json.dumps(item, sort_keys=True) for item in items}
        if len(forms) < len(items):
            yield ValidationError("the same entry stands here twice")


def _say(error: jsonschema.ValidationError) -> list[Problem]:
    """What a schema's error means, in the words of whoever wrote the document."""
    from jsonschema.exceptions import best_match

    error = best_match(iter([error])) or error
    path: Keys = tuple(error.absolute_path)
    told = _description(error)
    wanted: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "additionalProperties":
            known = list(error.schema.get("properties", ())) if isinstance(error.schema, Mapping) else []
            extra = [key for key in value if key not in known]
            return [
                Problem((*path, key), f"unknown key '{key}'", _meant(key, known), at_key=True)
                for key in extra
            ]
        case "required":
            missing = next(key for key in wanted if error.message.startswith(repr(key)))
            return [Problem(path, f"the key '{missing}' is missing", f"add '{missing}: …'", at_key=True)]
        case "dependentRequired":
            wanting, missing = next(
                (key, name)
                for key, names in wanted.items()
                if key in value
                for name in names
                if name not in value
            )
            message = f"with '{wanting}' goes '{missing}', which is missing"
            return [Problem(path, message, f"add '{missing}: …'", at_key=True)]
        case "oneOf" if all("required" in branch for branch in wanted):
            keys = " or ".join(f"'{key}'" for branch in wanted for key in branch["required"])
            return [Problem(path, f"either {keys} has to be here, and not both")]
        case "type":
            names = [_TYPES.get(name, name) for name in ([wanted] if isinstance(wanted, str) else wanted)]
            return [Problem(path, f"this has to be {' or '.join(names)}, not {_shown(value)}", told)]
        case "enum":
            words = [str(word) for word in wanted]
            near = _meant(str(value), words)
            return [Problem(path, f"unknown value {_shown(value)}", near)]
        case "const":
            return [Problem(path, f"this has to be {_shown(wanted)}, not {_shown(value)}")]
        case "pattern":
            return [Problem(path, f"{_shown(value)} is not of the right form", told)]
        case "propertyNames":
            return [Problem(path, f"{_shown(value)} is not a usable key", None, at_key=True)]
        case "minimum" | "exclusiveMinimum":
            least = "at least" if error.validator == "minimum" else "more than"
            return [Problem(path, f"this has to be {least} {wanted}, not {_shown(value)}")]
        case "maximum" | "exclusiveMaximum":
            most = "at most" if error.validator == "maximum" else "less than"
            return [Problem(path, f"this has to be {most} {wanted}, not {_shown(value)}")]
        case "minLength" | "minItems" | "minProperties":
            return [
                Problem(path, "this must not be empty" if wanted == 1 else f"this needs at least {wanted}")
            ]
        case "maxLength" | "maxItems" | "maxProperties":
            return [Problem(path, f"this is too long: at most {wanted}")]
        case "uniqueItems":
            return [Problem(path, "the same entry stands here twice", "keep one of the two")]
        case "anyOf" | "oneOf":
            return [Problem(path, f"{_shown(value)} is not of the right form", told)]
        case _:
            return [Problem(path, uncapitalised(error.message))]


def _description(error: Any) -> str | None:
    """What the schema says the value should be; for a branch of `anyOf`, what it says of all branches."""
    while error is not None:
        if isinstance(error.schema, Mapping) and (told := error.schema.get("description")):
            return str(told)
        error = error.parent if error.parent is not None and not error.relative_path else None
    return None


_TYPES: Final = {
    "object": "a map",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}


def _shown(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}'" if len(value) <= 60 else f"'{value[:57]}…'"
        case list():
            return "a list"
        case dict():
            return "a map"
        case _:
            return str(value)


def _meant(word: str, known: list[str]) -> str | None:
    if near := get_close_matches(word, known, 1, 0.6):
        return f"did you mean '{near[0]}'?"
    return f"known here: {', '.join(known)}" if known and len(known) <= 24 else None


def uncapitalised(message: str) -> str:
    """The message as it stands behind a colon."""
    return message[:1].lower() + message[1:]
