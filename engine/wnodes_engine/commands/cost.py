"""`wnodes-policy cost`: how many rules one request can meet, and which of them no index serves."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Final

import msgspec

from wnodes_engine.check.policy import check_policy
from wnodes_engine.commands.inputs import complain, read_site
from wnodes_engine.compile.cost import Cost, cost
from wnodes_engine.compile.plan import INDEXES
from wnodes_engine.documents import DocumentError
from wnodes_engine.findings import Severity
from wnodes_engine.frames import safe
from wnodes_engine.language.load import Program, load

_SHOWN: Final = 20


def add_arguments(parser: ArgumentParser) -> None:
    """The command line of `cost`."""
    parser.add_argument("policy", metavar="POLICY", help="the policy")
    parser.add_argument("--site", metavar="FILE", help="site.yaml, for the attributes that it declares")
    parser.add_argument(
        "--budget", type=_count, metavar="N", help="exit with 1 where a request can meet more than N rules"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(args: Namespace) -> int:
    """0 within the budget; 1 above it, and for a policy that cannot be used."""
    try:
        program = load(args.policy)
        policy, findings = check_policy(program, read_site(args.site))
        if policy is None:
            errors = [finding for finding in findings if finding.severity is Severity.ERROR]
            raise DocumentError(errors, program.texts)
    except DocumentError as error:
        return complain(error)
    found = cost(policy)
    over = args.budget is not None and found.most > args.budget
    if args.format == "json":
        told = {"most": found.most, "rules": found.rules, "budget": args.budget, "sections": found.sections}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(told)).decode() + "\n")
    else:
        sys.stdout.write(_as_text(found, program))
    if over:
        sys.stderr.write(
            f"{args.policy}: a request can meet {found.most} rules, the budget is {args.budget}\n"
        )
    return int(over)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"a whole number is wanted, not {text}")
    return int(text)


def _as_text(found: Cost, program: Program) -> str:
    lines = [f"{'':14} {'rules':>6} {'at most':>8}  looked up by"]
    for section in found.sections:
        by = ", ".join(f"{attribute} {count}" for attribute, count in section.looked_up.items())
        lines.append(f"{section.name.replace('_', ' '):14} {section.rules:>6} {section.most:>8}  {by or '-'}")
    lines += ["", f"One request is held against {found.most} of {found.rules} rules at most."]
    unserved = [place for section in found.sections for place in section.unserved]
    if unserved:
        lines += ["", f"No index serves {len(unserved)}, each is tried for every request:"]
        lines += [f"    {place}: {_line(place, program)}" for place in unserved[:_SHOWN]]
        lines += [f"    … and {len(unserved) - _SHOWN} more"] if len(unserved) > _SHOWN else []
        named = ", ".join("share" if name == "leaf" else name for name in INDEXES)
        lines += ["", f"A rule is looked up by what `and` joins: a test for some values of {named}."]
    return "\n".join(lines) + "\n"


def _line(place: str, program: Program) -> str:
    path, _, number = place.rpartition(":")
    text = program.texts.get(path)  # a path that is not ASCII is escaped in the module
    return "" if text is None else safe(text.split("\n")[int(number) - 1].strip()[:80])
