"""`wnodes-policy test`: runs policy tests, and says how much of each policy they cover."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wnodes_engine.commands.inputs import complain
from wnodes_engine.documents import DocumentError
from wnodes_engine.junit import Case, as_junit
from wnodes_engine.trial.coverage import Coverage
from wnodes_engine.trial.running import Result, run_file

PATTERN: Final = "*.test.yaml"


def add_arguments(parser: ArgumentParser) -> None:
    """The command line of `test`."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help=f"a file of tests, or a folder: all {PATTERN} in it and below",
    )
    parser.add_argument("--coverage", action="store_true", help="say what of each policy no test has shown")
    parser.add_argument(
        "--coverage-min",
        type=_percent,
        metavar="N",
        help="exit with 1 where less than N %% of a policy is covered",
    )
    parser.add_argument("--junit", metavar="FILE", help="write the results as JUnit XML, too")
    parser.add_argument("--verbose", "-v", action="store_true", help="name the tests that passed as well")


def _percent(text: str) -> int:
    if not text.isdecimal() or int(text) > 100:
        raise ArgumentTypeError(f"a whole number from 0 to 100 is wanted, not {text}")
    return int(text)


def run(args: Namespace) -> int:
    """0 if all tests passed and cover enough; 1 if not, or if a file cannot be used."""
    results: list[Result] = []
    coverage: dict[str, Coverage] | None = None
    if args.coverage or args.coverage_min is not None:
        coverage = {}
    unusable = False
    for path in _files(args.paths):
        try:
            found = run_file(path, coverage)
        except DocumentError as error:
            unusable = bool(complain(error))
            continue
        results += found
        _show(str(path), found, args.verbose)
    if not results and not unusable:
        sys.stderr.write(f"there are no tests: no file is named {PATTERN}\n")
        return 1
    failed = sum(bool(result.differences) for result in results)
    sys.stdout.write(f"{len(results) - failed} passed, {failed} failed\n")
    enough = True
    for covered in (coverage or {}).values():
        enough &= _cover(covered, args.coverage, args.coverage_min)
    if args.junit is not None and not _write(args.junit, as_junit("wnodes-policy test", _suites(results))):
        return 1
    return 1 if failed or unusable or not enough else 0


def _files(paths: list[str]) -> Iterator[Path]:
    for path in map(Path, dict.fromkeys(paths)):
        if path.is_dir():
            yield from sorted(path.rglob(PATTERN))
        else:
            yield path


def _show(file: str, results: list[Result], verbose: bool) -> None:
    if verbose or any(result.differences for result in results):
        sys.stdout.write(f"{file}\n")
    for result in results:
        if result.differences:
            sys.stdout.write(f"  ✗ line {result.line}: {result.name}\n")
            for each in result.differences:
                sys.stdout.write(f"      {each.what}: expected {each.expected}\n")
                sys.stdout.write(f"      {' ' * len(each.what)}  got      {each.got}\n")
        elif verbose:
            sys.stdout.write(f"  ✓ {result.name}\n")


def _cover(covered: Coverage, told: bool, least: int | None) -> bool:
    """Show how much of one policy is covered, and whether that is enough."""
    met, points = covered.count()
    enough = least is None or 100 * met >= least * points
    if told or not enough:
        name = covered.policy.checked.sources[0].path
        sys.stdout.write(f"{name}: {met} of {points} points covered, {100 * met // max(1, points)} %\n")
        for gap in covered.gaps():
            sys.stdout.write(f"  {gap.file}:{gap.line}: {gap.what}\n")
    return enough


def _suites(results: list[Result]) -> Iterator[tuple[str, list[Case]]]:
    """A suite for each file of tests."""
    for file in dict.fromkeys(result.file for result in results):
        yield file, [_case(result) for result in results if result.file == file]


def _case(result: Result) -> Case:
    failures = tuple(f"{each.what}: expected {each.expected}, got {each.got}" for each in result.differences)
    return Case(result.name, result.file, result.file, result.line, failures)


def _write(file: str, text: str) -> bool:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        sys.stderr.write(f"{file}: cannot be written: {(error.strerror or str(error)).lower()}\n")
        return False
    return True
