"""`wnodes-policy explain`: one request against a policy and a state, rule by rule; or what a code means."""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentParser, Namespace
from typing import Final

import msgspec

from wnodes_engine.commands.eval import as_text as decision_text
from wnodes_engine.commands.inputs import add_inputs, complain, read_inputs
from wnodes_engine.documents import DocumentError
from wnodes_engine.explain.explanation import explain
from wnodes_engine.explain.show import as_text

_CODE: Final = re.compile(r"[EeWw][0-9]+")


def add_arguments(parser: ArgumentParser) -> None:
    """The command's arguments."""
    what = "a policy, with --state and --request; or the code of a finding, such as W104"
    parser.add_argument("policy", metavar="POLICY|CODE", help=what)
    add_inputs(parser, needed=False)
    parser.set_defaults(misused=parser.error)


def run(args: Namespace) -> int:
    """Any decision is 0, input that cannot be used 1."""
    if args.state is None and args.request is None and _CODE.fullmatch(args.policy):
        return _tell(args)
    if args.state is None or args.request is None:
        args.misused("a policy needs --state and --request; a code is written like W104")
    try:
        state, request, now = read_inputs(args)
    except DocumentError as error:
        return complain(error)
    explanation = explain(state, request, now)
    if args.format == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(explanation)).decode() + "\n")
        return 0
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    zone = state.policy.checked.time_zone
    sys.stdout.write(decision_text(explanation.decision, request, zone=zone, colour=colour))
    sys.stdout.write(
        as_text(explanation, lambda text, code: f"\x1b[{code}m{text}\x1b[0m" if colour else text)
    )
    return 0


def _tell(args: Namespace) -> int:
    """What a code means: why it is told, what is wrong and what is right."""
    from wnodes_engine import catalogue

    entry = catalogue.entries().get(args.policy.upper())
    if entry is None:
        args.misused(f"there is no code {args.policy.upper()}: docs/findings.md has them all")
    elif args.format == "json":
        told = {"code": entry.code, "severity": entry.severity.value, "title": entry.title, "why": entry.why}
        examples = {
            "of": entry.of,
            "wrong": entry.wrong,
            "right": entry.right,
            "needs_site": entry.at == "site",
        }
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(told | examples)).decode() + "\n")
    else:
        sys.stdout.write(catalogue.as_text(entry))
    return 0
