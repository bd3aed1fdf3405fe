"""Compares a run of the benchmarks with the committed ratios, and fails where one has grown too much.

A ratio is the time of one call in steps of the plain loop that ran beside it: it says the same on a fast
machine and on a slow one. What seems to have grown is measured again before it is believed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Final

from bench.peers.entrants import ENTRANTS
from bench.table import Results, Row, read, title

ROOT: Final = Path(__file__).parents[2]
EXPECTED: Final = Path(__file__).with_name("expected.json")
LATEST: Final = ROOT / ".benchmarks" / "latest.json"
ALLOWED: Final = 25
"""By so many percent a ratio may be above what is expected: a shared machine is no more even than that."""

_OURS: Final = {entrant.name for entrant in ENTRANTS if entrant.package is None}


def ours(results: Results) -> list[Row]:
    """The benchmarks of what is in this repository."""
    return [*results.rows.values(), *(row for (name, _), row in results.cells.items() if name in _OURS)]


def ratios(results: Results) -> dict[str, float]:
    """The ratios of a run, by the name of the benchmark; not those of others' packages."""
    return {row.name: round(ratio(row, row.loop), 3) for row in ours(results) if row.loop}


def ratio(row: Row, loop: tuple[float, float]) -> float:
    """How many steps of the loop a call takes.

    Best to best is good where rounds are short, so that one of them finds the machine quiet; median to median
    where they are long. What disturbs makes either too large, hardly ever too small.
    """
    return min(row.median / loop[0], row.best / loop[1])


def grown(found: dict[str, float], expected: dict[str, float], allowed: int) -> dict[str, str]:
    """What is wrong with the ratios found: a line for each benchmark, by its name."""
    wrong = {}
    for name, before in expected.items():
        now = found.get(name)
        if now is None:
            wrong[name] = f"{title(name)}: not measured any more"
        elif (more := (now / before - 1) * 100) > allowed:
            wrong[name] = (
                f"{title(name)}: {now:,.1f} loops, {more:.0f} % more than the {before:,.1f} expected"
            )
    return wrong


def again(rows: list[Row]) -> dict[str, float]:
    """The ratios of these benchmarks, measured once more. Raises OSError and ValueError where it fails."""
    with tempfile.TemporaryDirectory(prefix="wnodes-") as folder:
        results = Path(folder) / "again.json"
        words = ["--benchmark-enable", "--benchmark-only", "--benchmark-timer=time.process_time"]
        words += [f"--benchmark-json={results}", *(row.where for row in rows)]
        subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, check=False)
        return ratios(read(results))


def main() -> int:
    """0 where nothing has grown too much, 1 where something has, 2 where there is nothing to compare."""
    parser = ArgumentParser("gate.py", description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, default=LATEST, help="what pytest-benchmark wrote")
    parser.add_argument("--expected", type=Path, default=EXPECTED, metavar="FILE")
    parser.add_argument("--allowed", type=int, default=ALLOWED, metavar="PERCENT")
    parser.add_argument("--again", type=int, default=2, metavar="N", help="times to measure again (2)")
    parser.add_argument("--write", action="store_true", help="expect from now on what this run has measured")
    args = parser.parse_args()
    try:
        results = read(args.results)
        found = ratios(results)
        if args.write:
            args.expected.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
            sys.stdout.write(f"{args.expected}: {len(found)} ratios\n")
            return 0
        expected: dict[str, float] = json.loads(args.expected.read_text())
        wrong = grown(found, expected, args.allowed)
        for _ in range(args.again):
            if rows := [row for row in ours(results) if row.name in wrong]:
                found |= {name: min(ratio, found[name]) for name, ratio in again(rows).items()}
                wrong = grown(found, expected, args.allowed)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"gate.py: {error}\n")
        return 2
    new = found.keys() - expected.keys()
    sys.stdout.write("".join(f"grown: {line}\n" for line in wrong.values()))
    sys.stdout.write("".join(f"new, nothing expected of it yet: {title(name)}\n" for name in sorted(new)))
    sys.stdout.write(
        f"{len(expected)} ratios compared, {len(wrong)} have grown by more than {args.allowed} %\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
