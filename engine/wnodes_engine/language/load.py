"""A whole policy from its files: the main one, with what it includes merged in where it is included."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from msgspec import structs

from wnodes_engine.files import read_bytes
from wnodes_engine.findings import Finding, Note, in_order
from wnodes_engine.language.parser import LARGEST, parse
from wnodes_engine.language.source import Source, Span, span_at
from wnodes_engine.language.syntax import Include, Policy, Statement

MOST_FILES: Final = 100
"""How many files one policy may consist of."""

MOST_BYTES: Final = 4 * LARGEST
"""How large they may be together."""


@dataclass(frozen=True, slots=True)
class Program:
    """A policy of one file or more.

    `policy` has the statements of all files, in order and without `include`; it is None if there are
    errors. `sources` are the texts as read, the main file's first; every finding lies in one of them.
    """

    policy: Policy | None
    sources: tuple[Source, ...]
    findings: tuple[Finding, ...]

    @property
    def texts(self) -> dict[str, str]:
        """Each file's text by its path, as findings name it."""
        return {source.path: source.text for source in self.sources}


class _UnreadableError(Exception):
    """A file that cannot be read, or is not text; `source` is what there is of it, `span` where it fails."""

    def __init__(self, code: str, message: str, mend: str | None, source: Source, span: Span) -> None:
        super().__init__(message)
        self.finding = Finding(code, message, span, mend)
        self.source = source


def load(path: str | Path) -> Program:
    """Reads the policy at `path` and everything that it includes."""
    source, problem = read_source(path)
    return load_text(source.text, path) if problem is None else Program(None, (source,), (problem,))


def read_source(path: str | Path) -> tuple[Source, Finding | None]:
    """The text at `path`, of one file alone, or what there is of it and why it cannot be read."""
    try:
        return Source(str(path), _read(Path(path), str(path))), None
    except _UnreadableError as problem:
        return problem.source, problem.finding


def load_text(text: str, path: str | Path, at_hand: Mapping[Path, str] | None = None) -> Program:
    """Like `load`, with the main file's text at hand: `path` says where it belongs, and need not exist.

    What it includes and is `at_hand`, by its resolved path, is not read either.
    """
    return _loaded(_Loader(Path(path), at_hand), Source(str(path), text), Path(path).resolve())


def load_sources(sources: Sequence[Source]) -> Program:
    """Like `load`, with every text at hand, in the order in which a `Program` has them: no file is read."""
    main, *included = sources
    return _loaded(_AtHand(Path(main.path), included), main, Path(main.path))


def _loaded(loader: _Loader, source: Source, resolved: Path) -> Program:
    policy = loader.add(source, resolved)
    if policy is not None and policy.name is None:
        mend = 'begin the file with `policy NAME "what it is for"`'
        loader.findings.append(Finding("E034", "the policy has no name", span_at(source, 0, 0), mend))
    findings = tuple(in_order(loader.findings))
    return Program(None if findings else policy, tuple(loader.sources), findings)


class _Loader:
    """Follows includes, each file once, and never out of the main file's folder."""

    def __init__(self, main: Path, at_hand: Mapping[Path, str] | None = None) -> None:
        self._at_hand = at_hand or {}
        self.sources: list[Source] = []
        self.findings: list[Finding] = []
        self._root = main.resolve().parent
        self._included: dict[Path, Span | None] = {}  # by resolved path: the include that was first
        self._open: list[Path] = []
        self._bytes = 0

    def add(self, source: Source, resolved: Path, include: Include | None = None) -> Policy | None:
        """Parses one file and merges in what it includes."""
        self.sources.append(source)
        self._included[resolved] = include.path.span if include else None
        self._bytes += len(source.text.encode("utf-8", "replace"))
        result = parse(source)
        notes = (Note("included here", include.path.span),) if include else ()
        self.findings += [replace(finding, notes=finding.notes + notes) for finding in result.findings]
        if result.policy is None:
            return None
        self._open.append(resolved)
        statements: list[Statement] = []
        for statement in result.policy.statements:
            if isinstance(statement, Include):
                statements += self._follow(statement, source)
            else:
                statements.append(statement)
        self._open.pop()
        return structs.replace(result.policy, statements=tuple(statements))

    def _follow(self, include: Include, source: Source, /) -> tuple[Statement, ...]:
        """The statements of an included file; none where it cannot be used, which is a finding."""
        name, span = include.path.value, include.path.span
        folder = self._open[-1].parent  # a link to a policy includes what is beside the policy, not the link
        beside = Path(source.path).parent
        shown = os.path.normpath((beside if beside.resolve() == folder else folder) / name)
        try:
            resolved = (folder / name).resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of symbolic links, a name that is too long
            return self._refuse("E030", f"`{name}` cannot be read", span, "mend the name")
        if not name or Path(name).is_absolute() or not resolved.is_relative_to(self._root):
            mend = "include files in the main policy's folder, or below it, by their relative names"
            return self._refuse("E032", f"`{name}` lies outside of the policy's folder", span, mend)
        if resolved in self._open:
            return self._refuse(
                "E031", f"`{name}` includes itself, by this or by way of others", span, "remove it"
            )
        if resolved in self._included:
            first = self._included[resolved]
            notes = (Note("the first time is here", first),) if first else ()
            return self._refuse("E035", f"`{name}` is included twice", span, "include it once", *notes)
        if len(self.sources) >= MOST_FILES or self._bytes > MOST_BYTES:
            mend = f"a policy has at most {MOST_FILES} files, of {MOST_BYTES >> 20} MiB together"
            return self._refuse("E033", "too much is included", span, mend)
        try:
            text = self._at_hand.get(resolved)
            if text is None:
                text = _read(resolved, shown, regular=True)
        except _UnreadableError as problem:
            self.sources.append(problem.source)
            self._included[resolved] = span
            if not problem.source.text:
                return self._refuse("E030", str(problem), span, problem.finding.help)
            self.findings.append(replace(problem.finding, notes=(Note("included here", span),)))
            return ()
        return self._merge(Source(shown, text), resolved, include)

    def _merge(self, source: Source, resolved: Path, include: Include) -> tuple[Statement, ...]:
        policy = self.add(source, resolved, include)
        if policy is None:
            return ()
        if policy.name is not None and policy.name_span is not None:
            mend = "remove it: only the main file is named"
            return self._refuse("E034", "an included file has no `policy` of its own", policy.name_span, mend)
        return policy.statements

    def _refuse(self, code: str, message: str, span: Span, mend: str | None, *notes: Note) -> tuple[()]:
        self.findings.append(Finding(code, message, span, mend, notes))
        return ()


class _AtHand(_Loader):
    """Follows includes in texts that were read before: they come in the order in which they are included."""

    def __init__(self, main: Path, included: Sequence[Source]) -> None:
        super().__init__(main)
        self._next = iter(included)

    def _follow(self, include: Include, _: Source) -> tuple[Statement, ...]:
        text = next(self._next, None)
        if text is None:
            name, span = include.path.value, include.path.span
            return self._refuse("E030", f"the text of `{name}` is missing", span, "add it to the others")
        return self._merge(text, Path(text.path), include)


def _read(file: Path, shown: str, *, regular: bool = False) -> str:
    """The text of a file, at most LARGEST bytes of UTF-8; raises _UnreadableError."""
    nothing = Source(shown, "")
    try:
        if regular and file.exists() and not file.is_file():
            raise OSError("it is not a regular file")
        raw = read_bytes(file, LARGEST + 1)
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or str(problem)
        message = f"`{shown}` cannot be read: {why[:1].lower()}{why[1:]}"
        raise _UnreadableError(
            "E001", message, "look at its name and its permissions", nothing, span_at(nothing, 0, 0)
        ) from None
    if len(raw) > LARGEST:
        message, mend = f"`{shown}` is larger than {LARGEST >> 20} MiB", "divide it, and `include` its parts"
        raise _UnreadableError("E002", message, mend, nothing, span_at(nothing, 0, 0))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        before = raw[: problem.start].decode("utf-8-sig")
        source = Source(shown, before + raw[problem.start :].decode("utf-8", "replace"))
        span = span_at(source, len(before), len(before) + 1)
        message = f"the byte 0x{raw[problem.start]:02X} is not UTF-8"
        raise _UnreadableError("E001", message, "save the file as UTF-8", source, span) from None
