"""Compares a run of the benchmarks with the committed ratios, and fails where one has grown too much.

A ratio is the best time of one call, in steps of the plain loop that ran beside it: it says the same on a
fast machine and on a slow one. `gate.py --write` keeps the ratios of a run as what is expected.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.peers.entrants import ENTRANTS
from bench.table import Results, read, title

EXPECTED: Final = Path(__file__).with_name("expected.json")
LATEST: Final = Path(__file__).parents[2] / ".benchmarks" / "latest.json"
ALLOWED: Final = 25
"""By so many percent a ratio may be above what is expected: a shared machine is no more even than that."""

_OURS: Final = {entrant.name for entrant in ENTRANTS if entrant.package is None}


def ratios(results: Results) -> dict[str, float]:
    """The ratios of a run, by the name of the benchmark; not those of others' packages."""
    ours = [row for (name, _), row in results.cells.items() if name in _OURS]
    rows = [*results.rows.values(), *ours]
    return {row.name: round(row.best / row.loop, 3) for row in rows if row.loop}


def grown(found: dict[str, float], expected: dict[str, float], allowed: int) -> Iterator[str]:
    """What is wrong with the ratios found, a line each."""
    for name, before in expected.items():
        now = found.get(name)
        if now is None:
            yield f"{title(name)}: not measured any more"
        elif (more := (now / before - 1) * 100) > allowed:
            yield f"{title(name)}: {now:,.1f} loops, {more:.0f} % more than the {before:,.1f} expected"


def main() -> int:
    """0 where nothing has grown too much, 1 where something has, 2 where there is nothing to compare."""
    parser = ArgumentParser("gate.py", description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, default=LATEST, help="what pytest-benchmark wrote")
    parser.add_argument("--expected", type=Path, default=EXPECTED, metavar="FILE")
    parser.add_argument("--allowed", type=int, default=ALLOWED, metavar="PERCENT")
    parser.add_argument("--write", action="store_true", help="expect from now on what this run has measured")
    args = parser.parse_args()
    try:
        found = ratios(read(args.results))
        if args.write:
            args.expected.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
            sys.stdout.write(f"{args.expected}: {len(found)} ratios\n")
            return 0
        expected: dict[str, float] = json.loads(args.expected.read_text())
    except (OSError, ValueError) as error:
        sys.stderr.write(f"gate.py: {error}\n")
        return 2
    wrong = list(grown(found, expected, args.allowed))
    new = found.keys() - expected.keys()
    sys.stdout.write("".join(f"grown: {line}\n" for line in wrong))
    sys.stdout.write("".join(f"new, nothing expected of it yet: {title(name)}\n" for name in sorted(new)))
    sys.stdout.write(
        f"{len(expected)} ratios compared, {len(wrong)} have grown by more than {args.allowed} %\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
