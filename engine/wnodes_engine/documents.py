"""YAML and JSON documents: read within bounds, validated by a schema, every finding at its line and column.

The YAML is that of configuration files: plain maps, lists and scalars. `no` is a text and `20:00` is one
too (YAML 1.2's core types); anchors, aliases and tags are refused: no small file becomes a large value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from wnodes_engine.findings import Finding
from wnodes_engine.language.source import Span

if TYPE_CHECKING:
    import jsonschema

LARGEST: Final = 16 << 20
"""The largest document that is read, in bytes, unless the caller allows more."""

_DEEPEST: Final = 50
_MOST_VALUES: Final = 500_000
_MOST_FINDINGS: Final = 50
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: Final = {"": None, "~": None, "null": None, "true": True, "false": False}

Keys = tuple[str | int, ...]
"""Where in a document: keys and indices from the top."""


class DocumentError(Exception):
    """A document that cannot be used: `findings` says why and where, `texts` has what was read, by path."""

    def __init__(self, findings: list[Finding], texts: Mapping[str, str] | None = None) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings
        self.texts = dict(texts or {})


@dataclass(slots=True)
class Positions:
    """Where each value of one document stands; looked up only when something has to be said about it."""

    path: str
    text: str
    _values: dict[Keys, Span] | None = field(default=None, repr=False)
    _keys: dict[Keys, Span] = field(default_factory=dict, repr=False)

    def of(self, *keys: str | int) -> Span:
        """The span of the value at `keys`; of the nearest thing around it where there is none."""
        values = self._locate()
        for length in range(len(keys), 0, -1):
            if (span := values.get(keys[:length])) is not None:
                return span
        return values.get((), _start_of(self.path))

    def of_key(self, *keys: str | int) -> Span:
        """The span of the last of `keys` itself, as it is written in its map."""
        self._locate()
        return self._keys.get(keys) or self.of(*keys)

    def _locate(self) -> dict[Keys, Span]:
        if self._values is None:
            self._values = {}
            with suppress(DocumentError):  # what was located up to a mistake is what can be pointed at
                _Reader(self.path, self.text, self._values, self._keys).document()
        return self._values


@dataclass(frozen=True, slots=True)
class Problem:
    """One way in which a value breaks its schema; `at_key` when the key itself is what is wrong."""

    path: Keys
    message: str
    help: str | None = None
    at_key: bool = False


def read_document(path: str | Path, schema: str, *, largest: int = LARGEST) -> tuple[Any, Positions]:
    """The value of the document at `path`, valid by `schemas/{schema}.json`, and where its parts stand.

    Maps, lists, str, int, float, bool and None. Raises DocumentError.
    """
    text = read_text(path, largest=largest)
    name = str(path)
    positions = Positions(name, text)
    try:
        value = (
            _read_json(name, text, positions) if name.endswith(".json") else _Reader(name, text).document()
        )
    except DocumentError as error:
        raise DocumentError(error.findings, {name: text}) from None
    findings = [
        Finding(
            "E192",
            problem.message,
            positions.of_key(*problem.path) if problem.at_key else positions.of(*problem.path),
            help=problem.help,
        )
        for problem in problems(value, schema)
    ]
    if findings:
        raise DocumentError(sorted(findings, key=lambda finding: finding.span.start), {name: text})
    return value, positions


def read_text(path: str | Path, *, largest: int = LARGEST) -> str:
    """The text of a UTF-8 file of at most `largest` bytes. Raises DocumentError."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(largest + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from None
    if len(data) > largest:
        raise _unreadable(path, f"it is larger than {largest >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        span = _at(str(path), before.count("\n"), len(before) - before.rfind("\n") - 1, len(before))
        raise _refused(
            "E190", f"byte {data[error.start]:#04x} is not UTF-8 text", span, "save the file as UTF-8"
        ) from None


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


@lru_cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    import jsonschema
    from referencing import Registry, Resource

    def retrieve(uri: str) -> Resource[Any]:
        return Resource.from_contents(load_schema(uri.rsplit("/", 1)[-1].removesuffix(".json")))

    return jsonschema.Draft202012Validator(load_schema(schema), registry=Registry(retrieve=retrieve))  # type: ignore[call-arg]


# ------------------------------------------------------------------- reading


def _read_json(path: str, text: str, positions: Positions) -> object:
    def whole(pairs: list[tuple[str, object]]) -> dict[str, object]:
        value = dict(pairs)
        if len(value) != len(pairs):
            raise _Repeated
        return value

    def finite(digits: str) -> float:
        if (number := float(digits)) in (float("inf"), float("-inf")):
            raise ValueError(f"{digits} is too large a number")
        return number

    def refuse(word: str) -> object:
        raise ValueError(f"{word} is not a number that can be used")

    try:
        value = json.loads(text, object_pairs_hook=whole, parse_float=finite, parse_constant=refuse)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except _Repeated:
        _Reader(path, text).document()  # says which key, and where
        raise _refused("E191", "a key is written twice in one object", positions.of(), None) from None
    except json.JSONDecodeError as error:
        span = _at(path, error.lineno - 1, error.colno - 1, error.pos)
        raise _refused("E191", f"this is not JSON: {_lower(error.msg)}", span, None) from None
    except UnicodeEncodeError:
        raise _refused("E191", "a text holds half a surrogate pair", positions.of(), None) from None
    except RecursionError:
        raise _refused("E191", "this is nested too deep", positions.of(), None) from None
    except ValueError as error:
        raise _refused("E191", f"this is not JSON that can be used: {error}", positions.of(), None) from None
    return value


class _Repeated(Exception):  # noqa: N818
    """An object holds a key twice."""


class _Reader:
    """Builds one value from the stream of YAML events, and notes where its parts are when asked to."""

    def __init__(
        self,
        path: str,
        text: str,
        values: dict[Keys, Span] | None = None,
        keys: dict[Keys, Span] | None = None,
    ) -> None:
        import yaml

        self._yaml = yaml
        self._path = path
        self._text = text
        self._values = values
        self._keys = keys
        self._count = 0
        self._events: Iterator[Any] = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))

    def document(self) -> object:
        """The one document of the text; None where the text is empty."""
        yaml = self._yaml
        try:
            next(self._events)
            if isinstance(next(self._events), yaml.StreamEndEvent):
                return None
            value = self._value(next(self._events), ())
            next(self._events)
            if not isinstance(event := next(self._events), yaml.StreamEndEvent):
                raise self._refused(event, "a second document begins here", "keep one document in a file")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            span = _at(self._path, mark.line, mark.column, mark.index) if mark else _start_of(self._path)
            wrong = error.problem or error.context or "it breaks off"
            raise _refused("E191", f"this is not YAML: {wrong}", span, None) from None
        except yaml.reader.ReaderError as error:
            before = self._text[: error.position]
            line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
            span = _at(self._path, line, column, len(before))
            raise _refused("E191", "a control character stands in the text", span, "remove it") from None
        return value

    def _value(self, event: Any, path: Keys) -> object:
        yaml = self._yaml
        self._count += 1
        if self._count > _MOST_VALUES:
            raise self._refused(event, f"there are more than {_MOST_VALUES:,} values", "split the file")
        if len(path) > _DEEPEST:
            raise self._refused(event, f"this is nested more than {_DEEPEST} deep", "flatten it")
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._refused(event, "anchors and aliases are not used here", "write the value out")
        if event.tag is not None and event.tag != "!":
            raise self._refused(event, f"the tag {event.tag} is not used here", "write the plain value")
        if isinstance(event, yaml.MappingStartEvent):
            self._note(event, path, container=True)
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            self._note(event, path, container=True)
            items: list[object] = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self._value(event, (*path, len(items))))
            return items
        self._note(event, path, container=False)
        return event.value if event.style else self._plain(event)

    def _mapping(self, path: Keys) -> dict[str, object]:
        yaml = self._yaml
        mapping: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.anchor is not None:
                raise self._refused(event, "a key has to be a plain word", None)
            key = event.value
            if key in mapping:
                raise self._refused(event, f"the key '{key}' is written twice", "keep one of the two")
            if self._keys is not None:
                self._keys[(*path, key)] = self._span(event)
            mapping[key] = self._value(next(self._events), (*path, key))
        return mapping

    def _plain(self, event: Any) -> object:
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            number = float(text)
            if len(text) > 300 or number in (float("inf"), float("-inf")):
                raise self._refused(event, "this number is too large", None)
            return number
        return text

    def _note(self, event: Any, path: Keys, *, container: bool) -> None:
        """A container is pointed at by its key, or by its first character: whole blocks say nothing."""
        if self._values is None or self._keys is None:
            return
        if container:
            start = event.start_mark
            at = _at(self._path, start.line, start.column, start.index)
            self._values[path] = self._keys.get(path, at)
        else:
            self._values[path] = self._span(event)

    def _span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        if start.index == end.index or start.line != end.line:
            return _at(self._path, start.line, start.column, start.index)
        return Span(
            self._path, start.line + 1, start.column + 1, end.line + 1, end.column + 1, start.index, end.index
        )

    def _refused(self, event: Any, message: str, mend: str | None) -> DocumentError:
        return _refused("E191", message, self._span(event), mend)


# ------------------------------------------------------------------- wording


def _say(error: jsonschema.ValidationError) -> list[Problem]:
    """What a schema's error means, in the words of whoever wrote the document."""
    from jsonschema.exceptions import best_match

    error = best_match(iter([error])) or error
    path: Keys = tuple(error.absolute_path)
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
        case "type":
            names = [_TYPES.get(name, name) for name in ([wanted] if isinstance(wanted, str) else wanted)]
            return [Problem(path, f"this has to be {' or '.join(names)}, not {_shown(value)}")]
        case "enum":
            words = [str(word) for word in wanted]
            near = _meant(str(value), words)
            return [Problem(path, f"unknown value {_shown(value)}", near)]
        case "const":
            return [Problem(path, f"this has to be {_shown(wanted)}, not {_shown(value)}")]
        case "pattern":
            told = error.schema.get("description") if isinstance(error.schema, Mapping) else None
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
        case _:
            return [Problem(path, _lower(error.message))]


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


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _at(path: str, line: int, column: int, index: int) -> Span:
    return Span(path, line + 1, column + 1, line + 1, column + 2, index, index + 1)


def _start_of(path: str) -> Span:
    return _at(path, 0, 0, 0)


def _refused(code: str, message: str, span: Span, mend: str | None) -> DocumentError:
    return DocumentError([Finding(code, message, span, help=mend)])


def _unreadable(path: str | Path, why: str) -> DocumentError:
    return _refused("E190", f"cannot read {path}: {_lower(why)}", _start_of(str(path)), None)
