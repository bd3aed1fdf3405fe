"""`wnodes-policy explain`: one request against a policy and a state, rule by rule and limit by limit."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

import msgspec

from wnodes_engine.commands.eval import as_text as decision_text
from wnodes_engine.commands.inputs import add_inputs, complain, read_inputs
from wnodes_engine.documents import DocumentError
from wnodes_engine.explain.explanation import explain
from wnodes_engine.explain.show import as_text


def add_arguments(parser: ArgumentParser) -> None:
    """The command's arguments."""
    add_inputs(parser)


def run(args: Namespace) -> int:
    """Any decision is 0, input that cannot be used 1."""
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
