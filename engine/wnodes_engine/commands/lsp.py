"""wnodes-policy lsp: the language server that editors start."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """The command line of `lsp`."""
    parser.add_argument(
        "--stdio", action="store_true", help="the default, which some editors say all the same"
    )


def run(_: Namespace) -> int:
    """0 when the editor has ended it, 1 where its library is missing."""
    try:
        from wnodes_engine.lsp.server import server
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"pygls", "lsprotocol"}:
            raise
        sys.stderr.write("wnodes-policy lsp: the library pygls is missing; install `wnodes[lsp]`\n")
        return 1
    server.start_io()
    return 0
