"""What the checker has found so far, and how it words a suggestion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from typing import Final

from wnodes_engine.findings import Finding, Note, has_errors
from wnodes_engine.language.source import Span

_MOST_PLACES: Final = 4
_MOST_GUESSES: Final = 100  # each compares a word with all that are known


class Report:
    """Collects findings. What is missing is told once, with the other places that miss it as notes."""

    def __init__(self) -> None:
        self._findings: dict[tuple[str, Span], Finding] = {}
        self._missing: dict[str, tuple[str, Span]] = {}
        self._guesses = _MOST_GUESSES

    def add(
        self,
        code: str,
        message: str,
        span: Span,
        mend: str | None = None,
        notes: Iterable[Note] = (),
        witness: str | None = None,
    ) -> None:
        """Adds a finding; `mend` is its help, `witness` a request that shows it."""
        self._findings.setdefault((code, span), Finding(code, message, span, mend, tuple(notes), witness))

    def add_missing(self, code: str, message: str, span: Span, mend: str | None = None) -> None:
        """Adds a finding about a name that nothing has; the message names it."""
        first = self._missing.setdefault(message, (code, span))
        if first[1] == span:
            self.add(code, message, span, mend)
            return
        finding = self._findings[first]
        if len(finding.notes) < _MOST_PLACES and all(note.span != span for note in finding.notes):
            self._findings[first] = replace(finding, notes=(*finding.notes, Note("and here", span)))

    def meant(self, word: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
        """A help text that names the closest known word; else `otherwise`."""
        words = sorted(known)
        folded = {other.lower(): other for other in words}
        near = folded.get(word.lower())
        if near is None and self._guesses > 0:
            self._guesses -= 1
            near = next(iter(get_close_matches(word[:80], words[:2000], 1, 0.6)), None)
        return otherwise if near is None else f"did you mean `{near}`?"

    @property
    def findings(self) -> list[Finding]:
        """Everything that was found, in the order in which it was."""
        return list(self._findings.values())

    @property
    def has_errors(self) -> bool:
        """Whether an error was found so far."""
        return has_errors(self._findings.values())


def an(word: str) -> str:
    """The word with its article: `a kind`, `an origin`."""
    return f"an {word}" if word[:1] in "aeiou" else f"a {word}"


def listed(words: Iterable[str], most: int = 12) -> str:
    """`a`, `b` and `c`; no more than `most` of them."""
    shown = [f"`{word}`" for word in words]
    if len(shown) > most:
        shown = [*shown[: most - 1], f"{len(shown) - most + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else "nothing"
