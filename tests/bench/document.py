"""Pastes what the commands have printed into docs/performance.md, between the marks that name it.

A block stands between `<!-- NAME: how it was made -->` and `<!-- end of NAME -->`, and comes from
.benchmarks/NAME.md, or from NAME.txt, which is pasted as it is printed. What has not been measured is left.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "performance.md"
PRINTED: Final = ROOT / ".benchmarks"
BLOCK: Final = re.compile(r"(<!-- (\w+): .*? -->\n)(.*?)(<!-- end of \2 -->)", re.DOTALL)


def pasted(document: str, printed: Path) -> tuple[str, list[str]]:
    """The document with its blocks as they have been printed, and the names of those that have not been."""
    missing: list[str] = []

    def paste(block: re.Match[str]) -> str:
        head, name, before, end = block.groups()
        text = printed / f"{name}.txt"
        table = printed / f"{name}.md"
        if text.exists():
            return f"{head}```\n{text.read_text().strip()}\n```\n{end}"
        if table.exists():
            return f"{head}\n{table.read_text().strip()}\n\n{end}"
        missing.append(name)
        return f"{head}{before}{end}"

    return BLOCK.sub(paste, document), missing


def main() -> int:
    """0 with the document written; what was not measured is told."""
    document, missing = pasted(DOCUMENT.read_text(), PRINTED)
    DOCUMENT.write_text(document)
    for name in missing:
        sys.stderr.write(f"{name} has not been measured: what stands in the document is left\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
