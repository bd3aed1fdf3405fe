"""wnodes-policy fmt: puts policies into the canonical layout, or says which are not in it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from difflib import unified_diff
from pathlib import Path
from typing import Final

from wnodes_engine.files import replace_text
from wnodes_engine.findings import Finding
from wnodes_engine.format import ChangedMeaningError, formatted
from wnodes_engine.frames import as_text
from wnodes_engine.language.load import read_source
from wnodes_engine.language.source import Source

STDIN: Final = "-"


def add_arguments(parser: ArgumentParser) -> None:
    """The command line of `fmt`."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a policy, or - for standard input; what it includes is left"
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where fmt would")
    parser.add_argument("--diff", action="store_true", help="change nothing; show what would change")


def run(args: Namespace) -> int:
    """0 if every file is in the canonical layout now; 1 for one that is not, or that cannot be read."""
    return max([_one(file, args) for file in dict.fromkeys(args.files)])


def _one(file: str, args: Namespace) -> int:
    source, problem = read_source("/dev/stdin" if file == STDIN else file)
    if problem is not None:
        return _refuse(source, problem)
    try:
        result = formatted(source)
    except ChangedMeaningError:
        sys.stderr.write(
            f"{file}: left as it is, it would not mean the same any more: a defect of fmt; please report it\n"
        )
        return 1
    if result.text is None:
        return _refuse(source, *result.findings)
    changes = result.text != source.text
    if args.diff and changes:
        before, after = (text.splitlines(keepends=True) for text in (source.text, result.text))
        sys.stdout.writelines(unified_diff(before, after, file, f"{file} (canonical)"))
    if args.check and changes:
        sys.stdout.write(f"{file}: is not in the canonical layout; `wnodes-policy fmt {file}` mends it\n")
    if args.diff or args.check:
        return int(changes)
    if file == STDIN:
        sys.stdout.write(result.text)
        return 0
    return _replace(Path(file), result.text) if changes else 0


def _refuse(source: Source, *findings: Finding) -> int:
    sys.stderr.write(as_text(findings, {source.path: source.text}) + "\n")
    return 1


def _replace(file: Path, text: str) -> int:
    """Write the file anew; 1 where that fails."""
    try:
        replace_text(file, text)
    except OSError as error:
        sys.stderr.write(f"{file}: cannot be written: {(error.strerror or str(error)).lower()}\n")
        return 1
    sys.stdout.write(f"{file}: formatted\n")
    return 0
