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
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from wnodes_engine.files import read_bytes
from wnodes_engine.findings import Finding
from wnodes_engine.language.source import Span
from wnodes_engine.validation import Keys, problems, uncapitalised

T = TypeVar("T")

LARGEST: Final = 16 << 20
"""The largest document that is read, in bytes, unless the caller allows more."""

_DEEPEST: Final = 50
_MOST_VALUES: Final = 500_000
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: Final = {"": None, "~": None, "null": None, "true": True, "false": False}


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


def read_document(path: str | Path, schema: str, *, largest: int = LARGEST) -> tuple[Any, Positions]:
    """The value of the document at `path`, valid by `schemas/{schema}.json`, and where its parts stand.

    Maps, lists, str, int, float, bool and None. Raises DocumentError.
    """
    value, positions = _read(path, largest)
    if findings := _findings(value, schema, positions):
        raise DocumentError(findings, {positions.path: positions.text})
    return value, positions


def read_form(path: str | Path, schema: str, form: type[T]) -> tuple[T, Positions]:
    """The document at `path` as a value of `form`, and where its parts stand. Raises DocumentError.

    `schemas/{schema}.json` has to accept the same documents as `form`: it is asked only to say what is wrong,
    since holding a large document against a schema takes a hundred times longer than reading it.
    """
    value, positions = _read(path, LARGEST)
    try:
        return msgspec.convert(value, form), positions
    except msgspec.ValidationError as error:
        findings = _findings(value, schema, positions)
        if not findings:  # the type says more than the schema
            findings = [form_finding(error, positions)]
        raise DocumentError(findings, {positions.path: positions.text}) from None


def form_finding(error: msgspec.ValidationError, positions: Positions, *where: str | int) -> Finding:
    """What is wrong with the value at `where` that is not of its form."""
    message, _, path = str(error).partition(" - at ")
    span = positions.of(*where, *keys_of(path.strip("`")))
    return Finding("E192", uncapitalised(message.replace("`", "'")), span)


def keys_of(path: str) -> Keys:
    """The keys of a path as errors write it: `$.queue[3].id`."""
    return tuple(int(at) if at else name for name, at in re.findall(r"\.([^.\[]+)|\[([0-9]+)\]", path))


def _read(path: str | Path, largest: int) -> tuple[object, Positions]:
    name, text = str(path), read_text(path, largest=largest)
    positions = Positions(name, text)
    try:
        if name.endswith(".json"):
            return _read_json(name, text, positions), positions
        return _Reader(name, text).document(), positions
    except DocumentError as error:
        raise DocumentError(error.findings, {name: text}) from None


def _findings(value: object, schema: str, positions: Positions) -> list[Finding]:
    """How the value breaks its schema, in the document's order."""
    found = [
        Finding(
            "E192",
            problem.message,
            positions.of_key(*problem.path) if problem.at_key else positions.of(*problem.path),
            help=problem.help,
        )
        for problem in problems(value, schema)
    ]
    return sorted(found, key=lambda finding: finding.span.start)


def read_text(path: str | Path, *, largest: int = LARGEST) -> str:
    """The text of a UTF-8 file of at most `largest` bytes. Raises DocumentError."""
    try:
        data = read_bytes(Path(path), largest + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise _unreadable(path, why, "look at its name and its permissions") from None
    if len(data) > largest:
        raise _unreadable(path, f"it is larger than {largest >> 20} MiB", "is it the file that you meant?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        span = _at(str(path), before.count("\n"), len(before) - before.rfind("\n") - 1, len(before))
        raise _refused(
            "E190", f"byte {data[error.start]:#04x} is not UTF-8 text", span, "save the file as UTF-8"
        ) from None


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
        raise _refused("E191", f"this is not JSON: {uncapitalised(error.msg)}", span, None) from None
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


def _at(path: str, line: int, column: int, index: int) -> Span:
    return Span(path, line + 1, column + 1, line + 1, column + 2, index, index + 1)


def _start_of(path: str) -> Span:
    return _at(path, 0, 0, 0)


def _refused(code: str, message: str, span: Span, mend: str | None) -> DocumentError:
    return DocumentError([Finding(code, message, span, help=mend)])


def _unreadable(path: str | Path, why: str, mend: str) -> DocumentError:
    return _refused("E190", f"cannot read {path}: {uncapitalised(why)}", _start_of(str(path)), mend)
