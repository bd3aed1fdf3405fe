"""Findings: what is wrong with a text, where, and how to mend it; and the table of all their codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wnodes_engine.language.source import Span


class Severity(StrEnum):
    """Errors stop a policy from being used; warnings do not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Note:
    """A second place that belongs to a finding, such as where a name was first given."""

    message: str
    span: Span


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend: `message` says what is wrong in the admin's words, `help` how to mend it."""

    code: str
    message: str
    span: Span
    help: str | None = None
    notes: tuple[Note, ...] = ()

    @property
    def severity(self) -> Severity:
        """An `E` code is an error, a `W` code a warning."""
        return Severity.ERROR if self.code.startswith("E") else Severity.WARNING


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Without repetitions, file by file as they first appear, and in each by position."""
    unique = list(dict.fromkeys(findings))
    rank = {path: at for at, path in enumerate(dict.fromkeys(found.span.path for found in unique))}
    return sorted(unique, key=lambda found: (rank[found.span.path], found.span.start, found.code))


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether one of them is an error."""
    return any(finding.severity is Severity.ERROR for finding in findings)


CODES: Final[dict[str, str]] = {
    # The text itself.
    "E001": "the file cannot be read",
    "E002": "the file is too large",
    "E003": "a character that does not belong in a policy",
    "E004": "the nesting is too deep",
    # Syntax.
    "E010": "something else is expected here",
    "E011": "a bracket without its partner",
    "E012": "a quotation that does not end",
    "E013": "a number with a wrong unit, or one that cannot be read",
    "E014": "a clause is written twice",
    "E015": "a word that is not known here",
    "E016": "a statement that is not complete",
    # Files.
    "E030": "an included file cannot be read",
    "E031": "an include leads back to its own file",
    "E032": "an include leaves the policy's folder",
    "E033": "too many included files",
    "E034": "a policy without its heading, or with a second one",
    # Documents: site.yaml and its like.
    "E190": "the document cannot be read",
    "E191": "the document is not YAML or JSON",
    "E192": "the document is not of the shape that is wanted here",
    "E193": "a value in the site's description that cannot be used",
    "E194": "a value in a farm, a state or a mapping that cannot be used",
    "E195": "a line of a job log that cannot be read",
}
"""Every code and what it stands for; codes never change their meaning."""
