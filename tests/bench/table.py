"""Prints what the benchmarks measured: `python table.py RESULTS.json`, as pytest-benchmark wrote it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASELINE = "test_the_plain_loop"


@dataclass(frozen=True)
class Row:
    """One benchmark: times of one call in µs, and what it is shown in proportion to."""

    name: str
    median: float
    best: float
    rounds: int
    against: str | None


def read(path: Path) -> dict[str, Row]:
    """The benchmarks of one run, by name. Raises OSError and ValueError for a file that is no such thing."""
    try:
        return {row.name: row for row in map(_row, json.loads(path.read_text())["benchmarks"])}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not what pytest-benchmark writes: {error}") from None


def _row(entry: dict[str, Any]) -> Row:
    calls, stats = entry["extra_info"]["calls"], entry["stats"]
    return Row(
        entry["name"],
        stats["median"] / calls * 1e6,
        stats["min"] / calls * 1e6,
        stats["rounds"],
        entry["extra_info"]["against"],
    )


def table(rows: dict[str, Row]) -> str:
    """The rows as text; `loops` is the ratio to the same steps of plain Python, so to the machine's speed."""
    loop = rows[BASELINE].median if BASELINE in rows else None
    lines = [f"{'one call of':<46} {'median':>13} {'best':>13} {'rounds':>6} {'loops':>10}  in proportion"]
    for row in rows.values():
        loops = f"{row.median / loop:,.0f}" if loop else "–"
        other = rows.get(row.against or "")
        ratio = f"{row.median / other.median:,.2f} × {title(other.name)}" if other else ""
        times = f"{row.median:>10,.2f} µs {row.best:>10,.2f} µs"
        lines.append(f"{title(row.name):<46} {times} {row.rounds:>6} {loops:>10}  {ratio}".rstrip())
    return "\n".join(lines) + "\n"


def title(name: str) -> str:
    """A test's name as it reads."""
    words, _, parameter = name.removeprefix("test_").removesuffix("]").partition("[")
    return words.replace("_", " ") + (f" ({parameter})" if parameter else "")


def main() -> int:
    """0 with the table on stdout, 1 where there is none to print."""
    try:
        sys.stdout.write(table(read(Path(sys.argv[1]))))
    except (OSError, ValueError, IndexError) as error:
        sys.stderr.write(f"table.py: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
