"""A simulation's report as text, for people: readable at 100 columns."""

from __future__ import annotations

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wnodes_engine.simulate.report import Report, Waits

_COLUMNS = 100
_MOST_GROUPS = 20
_MOST_DENIALS = 10


def show(report: Report, console: Console | None = None) -> None:
    """Print the whole report; on stdout, and 100 columns wide where that is no terminal."""
    if console is None:
        console = Console(width=None if sys.stdout.isatty() else _COLUMNS, highlight=False)
    days = _span(report.makespan)
    console.print(
        Text.assemble(
            (report.policy, "bold"), f" on {report.trace}: {report.nodes:,} nodes, {report.cores:,} cores, "
            f"{days} from {_moment(report.begin)}\n",
        )
    )  # fmt: skip
    _summary(report, console)
    _shares(report, console)
    _groups(report, console)
    _denials(report, console)
    run = report.run
    console.print(
        f"simulated in {run.seconds:.1f} s: {run.jobs_per_second:,.0f} jobs/s, {run.peak_memory_mib:,.0f} MiB"
    )


def _summary(report: Report, console: Console) -> None:
    jobs, waits = report.jobs, report.waits
    became = [
        f"{count:,} {what}"
        for count, what in (
            (jobs.finished, "finished"),
            (jobs.killed, "killed at their walltime"),
            (jobs.denied, "denied"),
            (jobs.unusable, "that never ran in the log"),
            (jobs.deleted, "deleted to make room"),
            (jobs.stranded, "never started"),
        )
        if count
    ]
    table = Table.grid(padding=(0, 2))
    table.add_row("jobs", f"{jobs.read:,} read: {', '.join(became) or 'none'}")
    table.add_row("utilisation", f"{report.utilisation:.1%}, at most {report.peak_cores:,} cores at once")
    if report.preempted.times:
        lost = f"{report.preempted.lost_core_hours:,.0f} core hours in vain"
        table.add_row("preempted", f"{report.preempted.times:,} times, {lost}")
    if waits:
        table.add_row(
            "waits",
            f"mean {_span(waits.mean)}, median {_span(waits.median)}, p95 {_span(waits.p95)}, "
            f"longest {_span(waits.max)}",
        )
    if report.peak_waiting:
        table.add_row("queue", f"at most {report.peak_waiting:,} waiting, {_moment(report.peak_waiting_at)}")
    if report.fairness is not None:
        table.add_row("fairness", f"{report.fairness:.2f} by Jain's index of the groups' speeds; 1 is equal")
    console.print(table)


def _shares(report: Report, console: Console) -> None:
    table = _table("share", "nominal", "used", "of it", "jobs", *_WAITS, "fairness")
    for row in report.shares:
        depth = 0 if row.path == "farm" else row.path.count(".") + 1
        name = f"{'  ' * depth}{row.path.rpartition('.')[2]}"
        used = f"{row.mean_cores / row.nominal_cores:.0%}" if row.nominal_cores else "–"
        table.add_row(
            Text(name),
            f"{row.nominal_cores:,.0f}",
            f"{row.mean_cores:,.0f}",
            used,
            f"{row.jobs:,}",
            *_wait_cells(row.waits),
            "–" if row.fairness is None else f"{row.fairness:.2f}",
        )
    console.print(table)


def _groups(report: Report, console: Console) -> None:
    if not report.groups:
        return
    table = _table("group", "share", "used", "jobs", *_WAITS, "speed")
    table.columns[1].justify = "left"
    largest = sorted(report.groups, key=lambda row: -row.core_hours)[:_MOST_GROUPS]
    for row in largest:
        cells = (f"{row.mean_cores:,.0f}", f"{row.jobs:,}", *_wait_cells(row.waits), f"{row.speed:.2f}")
        table.add_row(Text(row.group), row.share, *cells)
    console.print(table)
    if more := len(report.groups) - len(largest):
        console.print(f"  and {more:,} smaller; --format json has all\n")


def _denials(report: Report, console: Console) -> None:
    if not report.denials:
        return
    table = _table("denied", "by")
    table.columns[0].justify = "right"
    table.columns[1].justify = "left"
    for denial in report.denials[:_MOST_DENIALS]:
        where = f"{denial.file}:{denial.line}: " if denial.file else ""
        table.add_row(f"{denial.jobs:,}", Text(f"{where}{denial.example}"))
    console.print(table)


_WAITS = ("mean", "median", "p95", "longest")


def _table(first: str, *others: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True, overflow="ellipsis")
    for name in others:
        table.add_column(name, justify="right")
    return table


def _wait_cells(waits: Waits | None) -> tuple[str, ...]:
    if waits is None:
        return ("–",) * len(_WAITS)
    return tuple(map(_span, (waits.mean, waits.median, waits.p95, waits.max)))


def _span(seconds: float) -> str:
    """A span of time as one short number."""
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"


def _moment(text: str) -> str:
    return f"{text[:10]} {text[11:16]} UTC"
