"""Draws the growth curves into docs/performance/, from what `make bench` and `growth.py` have measured."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from bench import growth
from bench.growth import Point
from bench.table import Results, read
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

ROOT: Final = Path(__file__).parents[2]
LATEST: Final = ROOT / ".benchmarks" / "latest.json"
PICTURES: Final = ROOT / "docs" / "performance"
FULL: Final = 10_000
"""After so many jobs the farm is full."""

_OURS: Final = "#b2182b"
_OTHERS: Final = (
    "#2166ac",
    "#1b7837",
    "#762a83",
    "#8c510a",
    "#01665e",
    "#e08214",
    "#5aae61",
    "#4393c3",
    "#c51b7d",
)
_PLAIN: Final = ("#000000", "#7f7f7f")
_SETTINGS: Final[dict[str, Any]] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "wnodes",  # the same picture is the same file
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "figure.constrained_layout.use": True,
}


def spoken(seconds: float, _: int = 0) -> str:
    """A tick of a logarithmic axis of time."""
    return growth.spoken(seconds)


def counted(number: float, _: int = 0) -> str:
    """A tick of a logarithmic axis of numbers."""
    return f"{number:,.0f}"


def both_logarithmic(axes: Axes, horizontal: str, vertical: str) -> None:
    """Axes for growth: a straight line at 45° is linear, a level one constant."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(counted))
    axes.yaxis.set_major_formatter(FuncFormatter(spoken))
    axes.minorticks_off()
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)


def rules(results: Results, axes: Axes) -> None:
    """Everybody's time for the rules of one request, by the number of rules."""
    both_logarithmic(axes, "rules", "processor time for one request")
    others, plain = iter(_OTHERS), iter(_PLAIN)
    ends: list[tuple[float, float, str, str]] = []
    for entrant in results.entrants:
        line = [
            (count, row.median / 1e6) for (name, count), row in results.cells.items() if name == entrant.name
        ]
        if not line:
            continue
        ours = entrant.name == results.entrants[0].name
        color = _OURS if ours else next(plain if entrant.package == "wnodes" else others)
        dashes = "-" if ours or entrant.package != "wnodes" else "--"
        counts, times = zip(*sorted(line), strict=True)
        axes.plot(
            counts, times, dashes, color=color, marker="o", markersize=4, linewidth=2.4 if ours else 1.4
        )
        ends.append((times[-1], counts[-1], entrant.name, color))
    name_ends(axes, ends)


def name_ends(axes: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Names at the right of all lines, moved apart where they would cover each other."""
    axes.set_xlim(right=max(count for _, count, _, _ in ends) * 1.2)
    lowest = 0.0
    for time, count, name, color in sorted(ends):
        at = max(time, lowest)
        lowest = at * 1.75
        axes.annotate(
            name,
            (count, time),
            (1.02, at),
            textcoords=("axes fraction", "data"),
            color=color,
            va="center",
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.5, "alpha": 0.5},
            annotation_clip=False,
        )


def lines(points: Sequence[Point], axes: Axes, names: Sequence[str]) -> None:
    """One line for each thing, with a legend."""
    colors = (_OURS, *_OTHERS)
    for name, color in zip(names, colors, strict=False):
        line = sorted((point.size, point.seconds) for point in points if point.what == name)
        if line:
            sizes, seconds = zip(*line, strict=True)
            axes.plot(sizes, seconds, "-o", color=color, markersize=4, linewidth=2, label=name)


def crowds(points: Sequence[Point], axes: Axes) -> None:
    """Decisions and passes, by what waits and runs."""
    both_logarithmic(axes, "requests waiting (half as many run, on a tenth as many nodes)", "processor time")
    lines(points, axes, (growth.STILL, growth.CHANGED, growth.PASS))
    axes.legend(frameon=False)


def simulations(points: Sequence[Point], axes: Axes) -> None:
    """Simulations, by their jobs; beside it what it would be if all jobs took as long.

    Linear growth is drawn from where the farm is full: the first few thousand jobs find it empty.
    """
    both_logarithmic(axes, "jobs of the workload model, on 24,000 cores", "processor time of the simulation")
    lines(points, axes, (growth.SIMULATION,))
    found = sorted((point.size, point.seconds) for point in points if point.what == growth.SIMULATION)
    size, seconds = next((point for point in found if point[0] >= FULL), found[0])
    reach = [found[0][0], found[-1][0]]
    axes.plot(reach, [seconds * n / size for n in reach], ":", color=_PLAIN[1], label="if growth were linear")
    axes.legend(frameon=False)


def main() -> int:
    """0 with the pictures drawn, 1 where there is nothing to draw from."""
    parser = ArgumentParser("pictures.py", description=__doc__)
    parser.add_argument("--into", type=Path, default=PICTURES, metavar="FOLDER")
    parser.add_argument("--format", default="svg", metavar="svg|png")
    args = parser.parse_args()
    try:
        results = read(LATEST)
        points = [Point(**point) for point in json.loads(growth.RESULTS.read_text())]
    except (OSError, ValueError, TypeError) as error:
        sys.stderr.write(f"pictures.py: {error}; make bench growth measures what is drawn\n")
        return 1
    pictures: dict[str, tuple[tuple[float, float], Callable[[Axes], None]]] = {
        "rules": ((9, 5.5), lambda axes: rules(results, axes)),
        "crowds": ((7, 4), lambda axes: crowds(points, axes)),
        "simulations": ((7, 4), lambda axes: simulations(points, axes)),
    }
    args.into.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_SETTINGS):
        for name, (size, draw) in pictures.items():
            figure = Figure(figsize=size)
            draw(figure.add_subplot())
            path = args.into / f"{name}.{args.format}"
            figure.savefig(path, metadata={"Date": None} if args.format == "svg" else None, dpi=110)
            sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
