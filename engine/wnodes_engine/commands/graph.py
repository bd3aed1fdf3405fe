"""`wnodes-policy graph`: share tree, quotas, who makes room for whom, and routes, as a picture."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from wnodes_engine.commands.inputs import complain, read_policy, read_site
from wnodes_engine.core import State
from wnodes_engine.documents import DocumentError
from wnodes_engine.frames import safe
from wnodes_engine.graph.drawing import DrawingError, as_dot, drawn
from wnodes_engine.graph.mermaid import as_mermaid
from wnodes_engine.graph.picture import Picture, picture_of
from wnodes_engine.state_file import load_farm


def add_arguments(parser: ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("policy", metavar="POLICY", help="the policy")
    parser.add_argument("--farm", metavar="FILE", help="the nodes: each share is shown with what it is worth")
    parser.add_argument("--site", metavar="FILE", help="site.yaml: attributes and time zone of the policy")
    parser.add_argument(
        "--format",
        choices=("mermaid", "dot", "svg", "png"),
        default="mermaid",
        help="text of Mermaid or of Graphviz, or a picture that Graphviz draws",
    )
    parser.add_argument("--output", metavar="FILE", help="where to write it; standard output if left out")


def run(args: Namespace) -> int:
    """0 with a picture, 1 for input that cannot be used or where nothing can be drawn, 2 for misuse."""
    if args.format == "png" and args.output is None and sys.stdout.isatty():
        sys.stderr.write("wnodes-policy graph: a PNG is not for terminals; say where to: --output FILE\n")
        return 2
    try:
        policy = read_policy(args.policy, read_site(args.site))
        capacity = None
        if args.farm:
            capacity = tuple(State(policy, load_farm(args.farm)).farm.configured())
        content = _content(picture_of(policy.checked, capacity), args.format)
    except DocumentError as error:
        return complain(error)
    except DrawingError as error:
        sys.stderr.write(f"wnodes-policy graph: {safe(str(error))}\n")
        return 1
    if args.output is None:
        sys.stdout.buffer.write(content)
        return 0
    try:
        Path(args.output).write_bytes(content)
    except OSError as error:
        sys.stderr.write(
            f"{safe(args.output)}: cannot be written: {(error.strerror or str(error)).lower()}\n"
        )
        return 1
    return 0


def _content(picture: Picture, form: str) -> bytes:
    if form in {"svg", "png"}:
        return drawn(picture, form)
    return (as_mermaid(picture) if form == "mermaid" else as_dot(picture)).encode()
