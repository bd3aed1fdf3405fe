"""Prints what the benchmarks measured: `python table.py RESULTS.json`, as pytest-benchmark wrote it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

COLUMN: Final = 11


@dataclass(frozen=True)
class Single:
    """Single calls in µs: the median, and what 99 of 100 did not exceed."""

    median: float
    p99: float


@dataclass(frozen=True)
class Row:
    """One benchmark: times of one call in µs, and what it is shown in proportion to.

    `loop` is what one step of the plain loop took beside it, median and best, in µs, and None where nobody
    looked. `cell` is the row and the number of rules of those that make up the table of everybody's rules.
    `where` is how pytest finds it. `singly` are single calls, and the plain loop's beside them.
    """

    name: str
    where: str
    median: float
    best: float
    rounds: int
    against: str | None
    loop: tuple[float, float] | None = None
    cell: tuple[str, int] | None = None
    singly: tuple[Single, Single] | None = None

    @property
    def loops(self) -> float | None:
        """How many steps of plain Python take as long: the median in proportion to the median."""
        return self.median / self.loop[0] if self.loop else None


@dataclass(frozen=True)
class Entrant:
    """Who was to be compared; `version` is None where the package was not installed."""

    name: str
    package: str
    version: str | None


@dataclass(frozen=True)
class Results:
    """One run of the benchmarks: those by themselves by name, those of everybody's rules, and who that is."""

    rows: dict[str, Row]
    cells: dict[tuple[str, int], Row]
    entrants: tuple[Entrant, ...]


def read(path: Path) -> Results:
    """The benchmarks of one run. Raises OSError and ValueError for a file that is no such thing."""
    try:
        document = json.loads(path.read_text())
        rows = [_row(entry) for entry in document["benchmarks"]]
        entrants = [Entrant(name, **found) for name, found in document.get("entrants", {}).items()]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not what pytest-benchmark writes: {error}") from None
    return Results(
        {row.name: row for row in rows if row.cell is None},
        {row.cell: row for row in rows if row.cell is not None},
        tuple(entrants),
    )


def _row(entry: dict[str, Any]) -> Row:
    info, stats = entry["extra_info"], entry["stats"]
    calls, step, cell = info["calls"], info.get("loop"), info.get("cell")
    return Row(
        entry["name"],
        entry["fullname"],
        stats["median"] / calls * 1e6,
        stats["min"] / calls * 1e6,
        stats["rounds"],
        info["against"],
        None if step is None else (step["median"] * 1e6, step["min"] * 1e6),
        None if cell is None else (cell[0], cell[1]),
        _singly(info.get("singly")),
    )


def _singly(found: dict[str, Any] | None) -> tuple[Single, Single] | None:
    if found is None:
        return None
    one, loop = (Single(of["median"], of["p99"]) for of in (found, found["loop"]))
    return one, loop


def table(rows: dict[str, Row]) -> str:
    """The rows as text; `loops` is the ratio to a step of plain Python at that moment."""
    head = f"{'one call of':<46} {'median':>13} {'best':>13} {'rounds':>6} {'loops':>10} {'99 of 100':>13}"
    lines = [f"{head}  in proportion"]
    for row in rows.values():
        loops = f"{row.loops:,.0f}" if row.loops else "–"
        other = rows.get(row.against or "")
        ratio = f"{row.median / other.median:,.2f} × {title(other.name)}" if other else ""
        times = f"{row.median:>10,.2f} µs {row.best:>10,.2f} µs"
        p99 = f"{row.singly[0].p99:>10,.1f} µs" if row.singly else ""
        lines.append(f"{title(row.name):<46} {times} {row.rounds:>6} {loops:>10} {p99:>13}  {ratio}".rstrip())
    return "\n".join(lines) + "\n"


def matrix(results: Results) -> str:
    """What everybody takes for the rules of one request, in µs: a row each, a column for each size."""
    sizes = sorted({count for _, count in results.cells})
    head = "".join(f"{count:>{COLUMN},}" for count in sizes)
    lines = [f"{'µs for one request, by the number of rules':<46}{head}  package"]
    for entrant in results.entrants:
        if entrant.version is None:
            lines.append(f"{entrant.name:<46}  not measured: {entrant.package} is not installed")
            continue
        found = [results.cells.get((entrant.name, count)) for count in sizes]
        times = "".join(f"{'–' if row is None else _short(row.median):>{COLUMN}}" for row in found)
        lines.append(f"{entrant.name:<46}{times}  {entrant.package} {entrant.version}")
    return "\n".join(lines) + "\n"


def _short(amount: float) -> str:
    return f"{amount:,.2f}" if amount < 10 else f"{amount:,.1f}" if amount < 100 else f"{amount:,.0f}"


def title(name: str) -> str:
    """A test's name as it reads."""
    words, _, parameter = name.removeprefix("test_").removesuffix("]").partition("[")
    return words.replace("_", " ") + (f" ({parameter})" if parameter else "")


def main() -> int:
    """0 with the tables on stdout, 1 where there is none to print."""
    try:
        results = read(Path(sys.argv[1]))
    except (OSError, ValueError, IndexError) as error:
        sys.stderr.write(f"table.py: {error}\n")
        return 1
    sys.stdout.write(table(results.rows))
    if results.cells:
        sys.stdout.write(f"\n{matrix(results)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
