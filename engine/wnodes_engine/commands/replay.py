"""`wnodes-policy replay`: a decision log, run again and confirmed record by record."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from wnodes_engine import __version__
from wnodes_engine.commands.inputs import complain
from wnodes_engine.decision_log.confirm import Confirmation, Difference, confirm
from wnodes_engine.decision_log.reading import LogReader
from wnodes_engine.documents import DocumentError
from wnodes_engine.frames import safe

_LONGEST = 300


def add_arguments(parser: ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "logs",
        nargs="+",
        metavar="LOG",
        help="a decision log (.jsonl, .jsonl.gz); several that follow each other",
    )
    parser.add_argument("--limit", type=_count, metavar="N", help="only the first N records of each log")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(args: Namespace) -> int:
    """0 if everything came out as it stands there, 1 if not, or for a log that cannot be read."""
    told: list[tuple[str, Confirmation]] = []
    try:
        for path in args.logs:
            log = LogReader(path)
            with _progress(log, args.limit) as watch:
                one = confirm(log, args.limit, watch)
            told.append((path, one))
            if one.difference is None and len(told) > 1:
                one.difference = _gap(told[-2][1], one)
            if one.difference is not None:
                break
    except DocumentError as error:
        if args.format == "text" and told:
            sys.stdout.write(as_text(told, colour=False))
        return complain(error)
    if args.format == "json":
        sys.stdout.write(json.dumps(as_json(told), indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(as_text(told, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    for note in _notes(told):
        sys.stderr.write(f"note: {note}\n")
    return 1 if told[-1][1].difference is not None else 0


def as_text(told: list[tuple[str, Confirmation]], *, colour: bool) -> str:
    """What was confirmed, and what was not, for people."""
    path, last = told[-1]
    records = sum(one.records for _, one in told)
    what = "1 record" if records == 1 else f"{records:,} records"
    if last.difference is None:
        return f"{what} confirmed: the same decisions, the same states\n"
    lines = _differs(path, last.difference, "\x1b[1;31m" if colour else "", "\x1b[0m" if colour else "")
    lines.append(f"{what} before it confirmed")
    return "\n".join(lines) + "\n"


def as_json(told: list[tuple[str, Confirmation]]) -> dict[str, Any]:
    """The same for programs; see `schemas/replay.json`."""
    path, last = told[-1]
    return {
        "confirmed": last.difference is None,
        "records": sum(one.records for _, one in told),
        "decisions": sum(one.decisions for _, one in told),
        "engine": __version__,
        "logs": [
            {
                "log": name,
                "engine": one.engine,
                "records": one.records,
                "kinds": one.by_kind,
                "states": one.states,
                "lines": one.lines,
                "end": "limit" if one.limited else "end" if one.ended else "cut" if one.cut else "open",
                "sum": one.sum,
            }
            for name, one in told
        ],
        "difference": None if last.difference is None else _plain(path, last.difference),
    }


def _plain(path: str, difference: Difference) -> dict[str, Any]:
    return {
        "log": path,
        "line": difference.line,
        "do": difference.do,
        "id": difference.id,
        "now": difference.now,
        "message": difference.message,
        "fields": [{"field": name, "log": said, "now": now} for name, said, now in difference.fields],
    }


def _differs(path: str, difference: Difference, red: str, plain: str) -> list[str]:
    about = f" of {safe(difference.id)}" if difference.id else ""
    when = ""
    if difference.now is not None:
        when = f" at {datetime.fromtimestamp(difference.now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    message = f": {safe(difference.message)}" if difference.message else ""
    place = f"{safe(path)}:{difference.line}"
    lines = [f"{place}: {red}{difference.do}{about}{when} differs{plain}{message}"]
    for name, said, now in difference.fields:
        lines += [
            f"  {safe(name)}",
            f"    the log says    {_shown(said)}",
            f"    comes out now   {_shown(now)}",
        ]
    return lines


def _shown(value: Any) -> str:
    text = safe(json.dumps(value, ensure_ascii=False)) if value is not None else "nothing"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _gap(before: Confirmation, after: Confirmation) -> Difference | None:
    """What is wrong where one log should carry on another; any does that was not read to its end."""
    if before.limited or after.follows == before.sum:
        return None
    fields = (("follows", after.follows, before.sum),)
    return Difference(1, "head", None, None, fields, "this log does not carry on the one before it")


def _notes(told: list[tuple[str, Confirmation]]) -> Iterator[str]:
    for path, one in told:
        if one.engine != __version__:
            yield f"{path} was written by version {one.engine}; this is version {__version__}"
        if one.difference is not None or one.limited or one.ended:
            continue
        if one.cut:
            yield f"{path} breaks off behind line {one.lines:,}, as it does when its writer is killed"
        else:
            yield f"{path} has no end: it is still written to, its writer was killed, or its end was cut off"


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:12]) == int(text[:13]):
        raise ArgumentTypeError(f"'{text[:40]}' is not a number of records")
    return int(text)


@contextmanager
def _progress(log: LogReader, most: int | None) -> Iterator[Callable[[Confirmation], None] | None]:
    """A bar on stderr, where that is a terminal: how much of the log has been confirmed."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    words = "{task.fields[records]:>11,} records confirmed"
    columns = (BarColumn(20), TextColumn("{task.percentage:>3.0f}%"), TextColumn(words), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0, records=0)

        def watch(told: Confirmation) -> None:
            progress.update(task, completed=told.records / most if most else log.read, records=told.records)

        yield watch
