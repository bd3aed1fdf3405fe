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
    """One thing to mend: `message` says what is wrong in the admin's words, `help` how to mend it.

    `witness` is a request that shows it, as `eval --request` reads it: YAML on one line.
    """

    code: str
    message: str
    span: Span
    help: str | None = None
    notes: tuple[Note, ...] = ()
    witness: str | None = None

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
    "E035": "a file is included twice",
    # Names.
    "E101": "a name that nothing has",
    "E102": "a share that is not there",
    "E103": "the same thing is given twice",
    "E104": "a name that cannot stand here",
    "E105": "a window that is not there",
    "E106": "a group of nodes that is not there",
    "E107": "a name or a text that cannot be used",
    # Types.
    "E110": "types that do not fit each other",
    "E111": "a number with the wrong unit, or without one",
    "E112": "a number that cannot be used here",
    "E113": "something that cannot be read at this point",
    "E114": "something that a request may not have",
    "E115": "a constant is wanted",
    "E116": "a division that could fail",
    # Shares.
    "E120": "a share without an amount",
    "E121": "shares that add up to more than there is",
    "E122": "a limit of borrowing or lending that means nothing",
    "E123": "a share that has shares below it, where a leaf is wanted",
    "E124": "a share is changed twice in one window",
    # Holes.
    "E130": "requests that no assignment takes",
    "E131": "requests that have no route",
    # Quotas, orders, priorities, preemption.
    "E140": "a quota for something that cannot be counted",
    "E141": "a limit that a quota cannot set",
    "E150": "an order that is not known",
    "E151": "a priority that means nothing",
    "E160": "a clause of preemption that means nothing",
    "E161": "shares that cannot preempt each other so",
    # Time and nodes.
    "E170": "a time that cannot be read",
    "E171": "windows that overlap and change the same shares",
    "E172": "more windows than can be kept apart",
    "E173": "groups of nodes that overlap where they may not",
    "E175": "nodes that cannot be named so",
    # Routes, and what the site has.
    "E180": "a text with a field that cannot be filled in",
    "E181": "something that the site does not have",
    "E182": "a route that cannot carry this",
    # Documents: site.yaml and its like.
    "E190": "the document cannot be read",
    "E191": "the document is not YAML or JSON",
    "E192": "the document is not of the shape that is wanted here",
    "E193": "a value in the site's description that cannot be used",
    "E194": "a value in a farm, a state or a mapping that cannot be used",
    "E195": "a line of a job log that cannot be read",
    "E196": "a line of a decision log that cannot be read",
    # What is allowed, and probably not meant.
    "W101": "a claim of the requester decides something that it should not",
    "W102": "a rule that never applies",
    "W103": "a condition that always holds",
    "W104": "a rule that is never reached",
    "W105": "a name that nothing uses",
    "W106": "a share that nothing gets into",
    "W107": "shares that push out each other",
    "W108": "a limit that never binds",
    "W109": "a default that a cap denies",
    "W110": "the same thing stands in a list twice",
    "W111": "nodes that are not there",
    "W112": "a rule that others make needless",
    "W113": "a limit that no request can meet",
    "W114": "shares that are promised more than the farm has",
    "W115": "a share that can start nothing",
}
"""Every code and what it stands for; codes never change their meaning."""
