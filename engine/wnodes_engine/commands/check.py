"""wnodes-policy check: whether a policy is sound, by itself and at a site."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, Final

from wnodes_engine.check.policy import check_policy
from wnodes_engine.findings import CODES, Finding, Severity, has_errors
from wnodes_engine.frames import as_json, as_text, summary
from wnodes_engine.language.load import load

if TYPE_CHECKING:
    from wnodes_engine.site import Site
    from wnodes_engine.values import Node


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
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")


def run(args: Namespace) -> int:
    """0 if the policies can be used, 1 if not; with `--strict` warnings count too."""
    findings, texts = _check(args.files, args.site)
    findings = [finding for finding in findings if _wanted(finding, args.select, args.ignore)]
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
    return 1 if has_errors(findings) or (args.strict and findings) else 0


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


def _check(files: list[str], site_file: str | None) -> tuple[list[Finding], dict[str, str]]:
    """The findings of all files, and the texts that they lie in."""
    findings: list[Finding] = []
    texts: dict[str, str] = {}
    site: Site | None = None
    nodes: tuple[Node, ...] = ()
    usable = True
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
            usable = site is not None
    for file in dict.fromkeys(files):
        program = load(file)
        texts |= program.texts
        # Without the site its attributes would be unknown names: then only the texts are looked at.
        findings += check_policy(program, site, nodes)[1] if usable else program.findings
    return findings, texts
