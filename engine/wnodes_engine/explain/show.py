"""An explanation for people: phase by phase, with marks for what held and what did not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from wnodes_engine.core.wording import amount, size
from wnodes_engine.explain.explanation import Explanation, QuotaRow, RuleRow, ShareRow

Paint = Callable[[str, str], str]

_PHASES: Final = {
    "default": "what it leaves out",
    "assign": "which share it belongs to",
    "cap": "what it may ask",
    "deny": "what refuses it",
    "priority": "its priority",
    "nodes": "which nodes take it",
    "place": "how its parts are placed",
    "route": "who carries it out",
    "quota": "which quotas count it",
}
_MARKS: Final = {"holds": ("●", "1"), "fails": ("○", "2"), "not asked": ("·", "2"), "closed": ("◌", "2")}
"""Of rules: whether they apply. That is good news or bad, as the rule may be."""


def as_text(explanation: Explanation, paint: Paint) -> str:
    """What led to the decision; the decision itself is shown as `eval` shows it."""
    lines: list[str] = []
    for phase, title in _PHASES.items():
        rows = [row for row in explanation.rules if row.phase == phase]
        if rows:
            lines += ["", paint(title, "1"), *(line for row in rows for line in _rule(row, paint))]
    if explanation.quotas:
        lines += ["", paint("what its quotas say", "1"), *(_quota(row, paint) for row in explanation.quotas)]
    if explanation.shares:
        lines += ["", paint("what its shares have", "1"), *(_share(row, paint) for row in explanation.shares)]
    if explanation.parts is not None:
        enough = explanation.room == explanation.parts
        room = f"room for {explanation.room} of its {explanation.parts} parts now"
        if explanation.parts == 1:
            room = "room for it now" if enough else "no room for it now"
        lines += ["", paint("what the nodes have", "1"), f"  {_mark(enough, paint)} {room}"]
    if explanation.helps:
        lines += ["", paint("what would help", "1"), *(f"  {row.text}" for row in explanation.helps)]
    return "\n".join(lines) + "\n"


def _rule(row: RuleRow, paint: Paint) -> Iterator[str]:
    mark, code = _MARKS[row.came]
    yield f"  {paint(mark, code)} {row.file}:{row.line}: {row.rule}"
    if row.came == "holds" and row.condition is not None:
        yield paint(f"      since {row.condition}", "2")
    elif row.came == "fails" and row.failed is not None:
        was = f": {row.was}" if row.was else ""
        yield paint(f"      but for {row.failed}{was}", "2")
        if row.near is not None and row.near.change is not None:
            yield f"      nearly: {row.near.change}"
    elif row.came == "closed":
        yield paint("      its window is closed now", "2")


def _quota(row: QuotaRow, paint: Paint) -> str:
    short = f", {_bare(row.resource, row.short)} too much" if row.short else ""
    numbers = (
        f"{_bare(row.resource, row.held)} of {_bare(row.resource, row.limit)} held, it asks "
        f"{_bare(row.resource, row.asks)}{short}"
    )
    return f"  {_mark(not row.short, paint)} {row.file}:{row.line}: {row.resource} of {row.key}: {numbers}"


def _share(row: ShareRow, paint: Paint) -> str:
    short = f", {_bare(row.resource, row.short)} short" if row.short else ""
    return (
        f"  {_mark(not row.short, paint)} {row.share}: {amount(row.resource, row.nominal)} of its own, "
        f"{_bare(row.resource, row.used)} used, {_bare(row.resource, max(0, row.free))} free{short}"
    )


def _mark(fine: bool, paint: Paint) -> str:
    return paint("✓", "32") if fine else paint("✗", "31")


def _bare(resource: str, value: int) -> str:
    return size(value) if resource in ("memory", "disk") else str(value)
