"""wnodes-policy: the tools for policies. Finds the subcommand, and loads that one alone."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Final

from wnodes_engine import __version__

COMMANDS: Final = {
    "check": "is this policy sound, by itself and at this site?",
    "eval": "one decision: a policy, a state of the farm, a request",
    "simulate": "replay a log of jobs under a policy",
    "workload": "make a log of jobs out of the Lublin-Feitelson model",
}
"""Each subcommand is the module of its name in `commands`."""

INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand; exits with 2 where the command line is wrong."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a policy's text may not fit the terminal's encoding
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Who read our output went away: nothing may be left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return status


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
