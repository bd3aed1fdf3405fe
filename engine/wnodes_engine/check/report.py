"""What the checker has found so far, and how it words a suggestion."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from wnodes_engine.findings import Finding, Note
from wnodes_engine.language.source import Span


class Report:
    """Collects findings; the same thing is said once at one place."""

    def __init__(self) -> None:
        self._findings: dict[tuple[str, Span], Finding] = {}

    def add(
        self, code: str, message: str, span: Span, mend: str | None = None, notes: Iterable[Note] = ()
    ) -> None:
        """Adds a finding; `mend` is its help."""
        self._findings.setdefault((code, span), Finding(code, message, span, mend, tuple(notes)))

    @property
    def findings(self) -> list[Finding]:
        """Everything that was found, in the order in which it was."""
        return list(self._findings.values())


def did_you_mean(word: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """A help text that names the closest known word; else `otherwise`."""
    if near := closest(word, known):
        return f"did you mean `{near}`?"
    return otherwise


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    words = sorted(known)[:2000]  # every unknown name compares with all of them
    folded = {other.lower(): other for other in words}
    if (same := folded.get(word.lower())) is not None:
        return same
    near = get_close_matches(word[:80], words, 1, 0.6)
    return near[0] if near else None


def listed(words: Iterable[str], most: int = 12) -> str:
    """`a`, `b` and `c`; no more than `most` of them."""
    shown = [f"`{word}`" for word in words]
    if len(shown) > most:
        shown = [*shown[: most - 1], f"{len(shown) - most + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else "nothing"
