"""wnodes-policy: the tools for policies. Finds the subcommand, and loads that one alone."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from wnodes_engine import __version__
from wnodes_engine.commands.guard import guarded

COMMANDS: Final = {
    "check": "is this policy sound, by itself and at this site?",
    "fmt": "put policies into the one canonical layout",
    "eval": "one decision: a policy, a state of the farm, a request",
    "test": "run policy tests, and say how much of a policy they cover",
    "explain": "the same with every rule, every limit, and what would help; or what a code means",
    "graph": "draw the share tree, quotas, who makes room for whom, and routes",
    "cost": "how many rules one request can meet, and which of them no index serves",
    "diff": "what a new policy means otherwise than an old one, with requests that show it",
    "lsp": "the language server for editors, over standard input and output",
    "simulate": "replay a log of jobs under a policy",
    "replay": "run a decision log again, and confirm it record by record",
    "workload": "make a log of jobs out of the Lublin-Feitelson model",
}
"""Each subcommand is the module of its name in `commands`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand; exits with 2 where the command line is wrong."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guarded("wnodes-policy", lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    parser = ArgumentParser(prog="wnodes-policy", description="Tools for the policies of a WNoDeS farm.")
    parser.add_argument("--version", action="version", version=f"wnodes-policy {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    run = None
    for name, purpose in COMMANDS.items():
        subparser = commands.add_parser(name, help=purpose, description=purpose)
        if name == chosen:
            module = import_module(f"wnodes_engine.commands.{name}")
            module.add_arguments(subparser)
            run = module.run
    args = parser.parse_args(arguments)
    assert run is not None  # noqa: S101 - argparse has refused every other word
    return int(run(args))


if __name__ == "__main__":
    raise SystemExit(main())
