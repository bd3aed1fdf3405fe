"""wnodes-policy check: whether a policy is sound, by itself and at a site."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from wnodes_engine.check.policy import check_policy
from wnodes_engine.findings import Finding, has_errors
from wnodes_engine.frames import as_json, as_text, summary
from wnodes_engine.language.load import load

if TYPE_CHECKING:
    from wnodes_engine.site import Site
    from wnodes_engine.values import Node


def add_arguments(parser: ArgumentParser) -> None:
    """The command line of `check`."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a policy; what it includes is read too")
    parser.add_argument("--site", metavar="FILE", help="the site's description, to check names against it")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to show the findings")
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")


def run(args: Namespace) -> int:
    """0 if the policies can be used, 1 if not; with `--strict` warnings count too."""
    findings, texts = _check(args.files, args.site)
    if args.format == "json":
        sys.stdout.write(as_json(findings))
    else:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        if findings:
            sys.stdout.write(as_text(findings, texts, colour=colour) + "\n")
        what = args.files[0] if len(args.files) == 1 else f"{len(args.files)} policies"
        sys.stdout.write(f"{what}: {summary(findings)}\n")
    return 1 if has_errors(findings) or (args.strict and findings) else 0


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
