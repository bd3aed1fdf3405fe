"""wnodes-policy check: whether a policy is sound, by itself and at a site."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from difflib import unified_diff
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wnodes_engine.check.policy import check_policy
from wnodes_engine.files import replace_text
from wnodes_engine.findings import CODES, Finding, Severity, has_errors
from wnodes_engine.frames import as_json, as_text, safe, summary
from wnodes_engine.language.load import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from wnodes_engine.language.load import Program
    from wnodes_engine.site import Site
    from wnodes_engine.values import Node

    At = tuple[Site | None, tuple[Node, ...]]


FORMATS: Final = ("text", "json", "sarif", "github", "junit", "codequality")


def add_arguments(parser: ArgumentParser) -> None:
    """The command line of `check`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a policy; what it includes is read too")
    parser.add_argument("--site", metavar="FILE", help="the site's description, to check names against it")
    parser.add_argument("--format", choices=FORMATS, default="text", help="how to show the findings")
    parser.add_argument(
        "--select",
        type=_codes,
        metavar="CODE,…",
        default=("",),
        help="only these warnings: W102, or W for all",
    )
    parser.add_argument("--ignore", type=_codes, metavar="CODE,…", default=(), help="not these warnings")
    parser.add_argument("--fix", action="store_true", help="take out what nothing needs, in the files")
    parser.add_argument("--diff", action="store_true", help="with --fix: only show what would change")
    parser.set_defaults(misused=parser.error)
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")


def run(args: Namespace) -> int:
    """0 if the policies can be used, 1 if not; with `--strict` warnings count too."""
    if args.diff and not args.fix:
        args.misused("--diff goes with --fix")
    wanted = partial(_wanted, select=args.select, ignore=args.ignore)
    findings, texts, at = _site(args.site)
    failed = False
    for file in dict.fromkeys(args.files):
        program = load(file)
        if args.fix and at is not None:
            program, ok = _fix(program, at, wanted, args.diff)
            failed |= not ok
        texts |= program.texts
        # Without the site its attributes would be unknown names: then only the texts are looked at.
        findings += program.findings if at is None else check_policy(program, *at)[1]
    findings = [finding for finding in findings if wanted(finding)]
    if args.fix and args.diff:  # what is left would hide the changes
        return int(failed)
    if args.format == "json":
        sys.stdout.write(as_json(findings))
    elif args.format != "text":
        from wnodes_engine.reports import REPORTS

        sys.stdout.write(REPORTS[args.format](findings, list(dict.fromkeys(args.files))))
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        if findings:
            sys.stdout.write(as_text(findings, texts, colour=colour) + "\n")
        what = args.files[0] if len(args.files) == 1 else f"{len(args.files)} policies"
        sys.stdout.write(f"{what}: {summary(findings)}\n")
    return 1 if failed or has_errors(findings) or (args.strict and findings) else 0


def _codes(text: str) -> tuple[str, ...]:
    """`W102,W105`, or the beginning of codes: `W1`."""
    codes = tuple(code.strip().upper() for code in text.split(","))
    for code in codes:
        if not code or not any(known.startswith(code) for known in CODES):
            raise ArgumentTypeError(f"there is no code `{code}`")
    return codes


def _wanted(finding: Finding, select: tuple[str, ...], ignore: tuple[str, ...]) -> bool:
    """Errors are always told: a policy with one cannot be used, whoever does not want to hear of it."""
    if finding.severity is Severity.ERROR:
        return True
    return finding.code.startswith(select) and not finding.code.startswith(ignore)


def _fix(program: Program, at: At, wanted: Callable[[Finding], bool], show: bool) -> tuple[Program, bool]:
    """The policy without what nothing needs, written to its files or shown; and whether that went well."""
    from wnodes_engine.check.mending import ChangedMeaningError, mended

    try:
        better, done = mended(program, *at, wanted)
    except ChangedMeaningError:
        path = program.sources[0].path
        sys.stderr.write(f"{path}: left as it is, --fix would break it: a defect; please report it\n")
        return program, False
    old = {source.path: source.text for source in program.sources}
    changed = [source for source in better.sources if source.text != old[source.path]]
    for source in changed:
        if show:
            before, after = (text.splitlines(keepends=True) for text in (old[source.path], source.text))
            sys.stdout.writelines(unified_diff(before, after, source.path, f"{source.path} (mended)"))
            continue
        try:
            replace_text(Path(source.path), source.text)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            sys.stderr.write(f"{source.path}: cannot be written: {reason}\n")
            return program, False
    if changed and not show:
        for finding in done:
            place = f"{finding.span.path}:{finding.span.line}"
            sys.stderr.write(f"mended: {safe(place)}: {finding.code} {safe(finding.message)}\n")
    return better, True


def _site(site_file: str | None) -> tuple[list[Finding], dict[str, str], At | None]:
    """The site and its nodes, or what is wrong with it; None where its policy cannot be held against it."""
    findings: list[Finding] = []
    texts: dict[str, str] = {}
    site: Site | None = None
    nodes: tuple[Node, ...] = ()
    if site_file is not None:
        from wnodes_engine.documents import DocumentError
        from wnodes_engine.site import load_site

        try:
            site = load_site(site_file)
            if site.farm is not None:
                from wnodes_engine.state_file import load_farm

                nodes = load_farm(site.farm)
        except DocumentError as error:
            findings += error.findings
            texts |= error.texts
            if site is None:
                return findings, texts, None
    return findings, texts, (site, nodes)
