"""Findings as CI systems read them: SARIF, GitHub's annotations, JUnit, GitLab's code quality report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from wnodes_engine import __version__, junit
from wnodes_engine.findings import CODES, Finding, Severity
from wnodes_engine.frames import safe
from wnodes_engine.language.source import Span


def as_sarif(findings: Sequence[Finding], files: Sequence[str]) -> str:
    """One run of SARIF 2.1.0; columns count code points from 1."""
    codes = sorted({found.code for found in findings})
    rules = [{"id": code, "shortDescription": {"text": CODES[code]}} for code in codes]
    driver = {"name": "wnodes-policy", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "artifacts": [{"location": {"uri": _uri(file)}} for file in files],
        "results": [_result(found) for found in findings],
    }
    return _json(
        {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    )


def as_github(findings: Sequence[Finding], files: Sequence[str]) -> str:
    """A workflow command for each finding: GitHub shows it at its line of the change."""
    del files  # what is sound has no annotation
    return "".join(_annotation(found) for found in findings)


def as_junit(findings: Sequence[Finding], files: Sequence[str]) -> str:
    """A test case for each file: it fails with its errors, and tells its warnings."""
    paths = list(dict.fromkeys([*files, *(found.span.path for found in findings)]))
    cases = [_case(path, [found for found in findings if found.span.path == path]) for path in paths]
    return junit.as_junit("wnodes-policy check", [("wnodes-policy check", cases)])


def as_codequality(findings: Sequence[Finding], files: Sequence[str]) -> str:
    """GitLab's code quality report; a fingerprint stays the same while the lines above it change."""
    del files
    seen: dict[str, int] = {}
    issues: list[dict[str, Any]] = []
    for found in findings:
        what = f"{found.code}\0{found.span.path}\0{found.message}"
        seen[what] = again = seen.get(what, 0) + 1
        issues.append(
            {
                "description": _said(found),
                "check_name": found.code,
                "fingerprint": sha256(f"{what}\0{again}".encode(errors="replace")).hexdigest(),
                "severity": "major" if found.severity is Severity.ERROR else "minor",
                "location": {
                    "path": PurePath(found.span.path).as_posix(),
                    "lines": {"begin": found.span.line, "end": found.span.end_line},
                },
            }
        )
    return _json(issues)


REPORTS: Final[dict[str, Callable[[Sequence[Finding], Sequence[str]], str]]] = {
    "sarif": as_sarif,
    "github": as_github,
    "junit": as_junit,
    "codequality": as_codequality,
}
"""By the word of `--format`. Each takes the findings, and the files that were checked."""


def _result(found: Finding) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": found.code,
        "level": found.severity.value,
        "message": {"text": _said(found)},
        "locations": [{"physicalLocation": _physical(found.span)}],
    }
    if found.notes:
        result["relatedLocations"] = [
            {"message": {"text": safe(note.message)}, "physicalLocation": _physical(note.span)}
            for note in found.notes
        ]
    return result


def _physical(span: Span) -> dict[str, Any]:
    region = {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
    return {"artifactLocation": {"uri": _uri(span.path)}, "region": region}


def _annotation(found: Finding) -> str:
    span = found.span
    where = f"file={_property(span.path)},line={span.line},endLine={span.end_line},col={span.column}"
    if span.end_line == span.line:  # GitHub refuses columns over several lines
        where += f",endColumn={max(span.column, span.end_column - 1)}"
    return f"::{found.severity} {where},title={_property(found.code)}::{_data(_said(found))}\n"


def _case(path: str, findings: Iterable[Finding]) -> junit.Case:
    told: dict[Severity, list[str]] = {severity: [] for severity in Severity}
    for found in findings:
        told[found.severity].append(
            f"{found.span.line}:{found.span.column}: {found.severity}[{found.code}]: {_said(found)}"
        )
    failures, warnings = tuple(told[Severity.ERROR]), tuple(told[Severity.WARNING])
    return junit.Case(safe(path), "check", safe(path), failures=failures, told=warnings)


def _said(found: Finding) -> str:
    shown = found.witness and f"shown by {found.witness}"
    return safe("; ".join(part for part in (found.message, found.help, shown) if part))


def _uri(path: str) -> str:
    pure = PurePath(path)
    return pure.as_uri() if pure.is_absolute() else quote(pure.as_posix(), errors="replace")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
