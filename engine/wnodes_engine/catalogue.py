"""What each code means: the text of `wnodes-policy explain CODE`, and docs/findings.md."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wnodes_engine.findings import CODES, Severity

_TABLE: Final = Path(__file__).with_name("findings.toml")
_HEADING: Final = """\
# Findings

What `wnodes-policy` finds in policies and documents, by code; `wnodes-policy explain CODE` tells the
same. Codes with `E` are errors: the policy is not used. Codes with `W` are warnings: `check --ignore
CODE` leaves one out, with `--strict` they count as errors do. Where a finding is *shown by* a request,
`eval --request` takes that as it stands.

`check --fix` takes out of the files what W104, W105, W110 and W112 tell of. By that no decision changes; a
reason that another rule gives too is not given any more. Comments stay. With `--diff` it only shows it.

Each example is run by the tests: the wrong one has that finding and no other, the right one has none.
Examples that are not whole policies are read inside one with the shares `grid` (`lhc`, `small`), `local`
and `cloud` (`services`, `personal`). This page is made from the checker's own table, by `make findings`.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One code: `wrong` and `right` are None where the mistake does not lie in a text.

    `of` is what the examples are: a policy, or another document. `at` is `site` where that is needed.
    """

    code: str
    title: str
    why: str
    wrong: str | None = None
    right: str | None = None
    of: str = "policy"
    at: str | None = None

    @property
    def severity(self) -> Severity:
        """An `E` code is an error, a `W` code a warning."""
        return Severity.ERROR if self.code.startswith("E") else Severity.WARNING


def entries() -> dict[str, Entry]:
    """All codes, in the order of the table."""
    told = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return {code: Entry(code, title, **told[code]) for code, title in CODES.items()}


def as_text(entry: Entry) -> str:
    """One code for a terminal."""
    lines = [f"{entry.severity}[{entry.code}]: {entry.title}", "", *_wrapped(entry.why)]
    for name, text in (("wrong", entry.wrong), ("right", entry.right)):
        if text is not None:
            lines += ["", f"{name}:", *(f"    {line}" for line in text.splitlines())]
    if entry.at:
        lines += ["", "Told with `--site FILE` only."]
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """All codes as one page."""
    parts = [_HEADING]
    for entry in entries().values():
        parts.append(
            f"## {entry.code}\n\n*{entry.severity.value.capitalize()}*: {entry.title}. {entry.why}\n"
        )
        if entry.wrong is not None:
            at = " with `--site`" if entry.at else ""
            what = "" if entry.of == "policy" else f" ({entry.of})"
            parts.append(
                f"Wrong{what}{at}:\n\n```\n{entry.wrong}\n```\n\nRight:\n\n```\n{entry.right}\n```\n"
            )
    return "\n".join(parts)


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 96)


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
