"""Findings as people read them, with a frame of the text around each; and as JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from unicodedata import combining, east_asian_width

from wnodes_engine.findings import Finding, Severity
from wnodes_engine.language.source import Span

_Paint = Callable[[str, str], str]

_WIDEST: Final = 120
_UNSHOWN: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]"
)

_RESET, _BOLD, _BLUE, _CYAN = "\x1b[0m", "\x1b[1m", "\x1b[1;34m", "\x1b[1;36m"
_COLOURS: Final = {Severity.ERROR: "\x1b[1;31m", Severity.WARNING: "\x1b[1;33m"}


def as_text(findings: Iterable[Finding], texts: Mapping[str, str], *, colour: bool = False) -> str:
    """The findings one after the other, as compilers show them; `texts` has the files by their paths.

    What is quoted from files is made safe to show: no control character gets through.
    """
    return "\n".join(_one(finding, texts, colour) for finding in findings)


def summary(findings: Iterable[Finding]) -> str:
    """How many there are: `2 errors, 1 warning`, or `no findings`."""
    severities = [finding.severity for finding in findings]
    counts = [(severities.count(severity), severity) for severity in Severity]
    said = [f"{count} {severity}{'s' if count > 1 else ''}" for count, severity in counts if count]
    return ", ".join(said) or "no findings"


def as_json(findings: Iterable[Finding]) -> str:
    """`{"findings": [...], "errors": n, "warnings": n}`; lines and columns count from 1."""
    listed = list(findings)
    severities = [finding.severity for finding in listed]
    document = {
        "findings": [_plain(finding) for finding in listed],
        "errors": severities.count(Severity.ERROR),
        "warnings": severities.count(Severity.WARNING),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        **_position(finding.span),
        "help": finding.help,
        "witness": finding.witness,
        "notes": [{"message": note.message, **_position(note.span)} for note in finding.notes],
    }


def _position(span: Span) -> dict[str, Any]:
    return {
        "file": span.path,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def _one(finding: Finding, texts: Mapping[str, str], colour: bool) -> str:
    def paint(text: str, tone: str) -> str:
        return f"{tone}{text}{_RESET}" if colour else text

    tone = _COLOURS[finding.severity]
    width = len(str(max(finding.span.line, *(note.span.line for note in finding.notes), 0)))
    margin = f"{' ' * width} {paint('=', _BLUE)}"
    label = paint(f"{finding.severity}[{finding.code}]", tone)
    lines = [f"{paint(_place(finding.span), _BOLD)}: {label}: {paint(safe(finding.message), _BOLD)}"]
    lines += _frame(finding.span, texts, width, paint, tone)
    for note in finding.notes:
        lines.append(f"{margin} {paint('note:', _BLUE)} {safe(note.message)}: {_place(note.span)}")
        lines += _frame(note.span, texts, width, paint, _BLUE)
    if finding.witness:
        lines.append(f"{margin} {paint('shown by:', _BLUE)} {safe(finding.witness)}")
    if finding.help:
        lines.append(f"{margin} {paint('help:', _CYAN)} {safe(finding.help)}")
    return "\n".join(lines) + "\n"


def _frame(span: Span, texts: Mapping[str, str], width: int, paint: _Paint, tone: str) -> list[str]:
    """The line where the span begins, and below it the part that the span takes up."""
    text = texts.get(span.path)
    if not text or span.start > len(text):
        return []
    begin = text.rfind("\n", 0, span.start) + 1
    stop = text.find("\n", span.start)
    stop = len(text) if stop < 0 else stop
    left, right = max(begin, span.start - _WIDEST // 2), min(stop, span.start + _WIDEST // 2)
    before = ("…" if left > begin else "") + safe(text[left : span.start])
    inside = safe(text[span.start : min(span.end, right)])
    after = safe(text[min(span.end, right) : right]) + ("…" if right < stop else "")
    bar = paint("|", _BLUE)
    number = paint(f"{span.line:>{width}}", _BLUE)
    marks = " " * _columns(before) + paint("^" * (_columns(inside) or 1), tone)
    return [
        f"{' ' * width} {bar}",
        f"{number} {bar} {(before + inside + after).rstrip()}",
        f"{' ' * width} {bar} {marks}",
    ]


def _place(span: Span) -> str:
    return f"{safe(span.path)}:{span.line}:{span.column}"


def safe(text: str) -> str:
    """The text with tabs as spaces, and with a sign for every character that would move the cursor."""
    return _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", "    "))


def _columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)
