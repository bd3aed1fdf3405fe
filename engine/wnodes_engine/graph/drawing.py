"""A picture drawn by Graphviz, in another process and within a time limit."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

from wnodes_engine.graph.picture import Picture

TIME_LIMIT: Final = 60
"""Seconds."""

_BOXES: Final = {
    "share": {"shape": "box", "style": "filled,rounded", "fillcolor": "#dbe9f6"},
    "quota": {"shape": "note", "style": "filled", "fillcolor": "#fdf3d0"},
    "rule": {"shape": "box", "style": "filled", "fillcolor": "#fbe0dc"},
    "route": {"shape": "box", "style": "filled", "fillcolor": "#e2f0d9"},
    "target": {"shape": "cylinder", "style": "filled", "fillcolor": "#eeeeee"},
}
_ARROWS: Final = {
    "holds": {"arrowhead": "none", "penwidth": "1.6"},
    "limits": {"arrowhead": "none", "style": "dashed", "color": "#a07d00"},
    "gives": {"style": "dashed", "color": "#b03a2e", "constraint": "false"},
    "takes": {"color": "#b03a2e", "dir": "back"},
    "carries": {"color": "#4a7d2c"},
}


class DrawingError(Exception):
    """Why nothing was drawn, and how to mend it."""


def as_dot(picture: Picture) -> str:
    """The picture in the language of Graphviz. Raises DrawingError where its library is not installed."""
    try:
        from graphviz import Digraph, escape
    except ImportError:
        raise DrawingError("the library graphviz is missing; install `wnodes[graph]`") from None
    graph = Digraph(
        graph_attr={
            "rankdir": "LR", "label": escape(picture.title), "labelloc": "t", "fontname": "Helvetica",
            "fontsize": "18", "nodesep": "0.15", "ranksep": "0.6",
        },
        node_attr={"fontname": "Helvetica", "fontsize": "11"},
        edge_attr={"fontname": "Helvetica", "fontsize": "10"},
    )  # fmt: skip
    for box in picture.boxes:
        graph.node(box.id, "".join(f"{escape(line)}\\l" for line in box.lines), **_BOXES[box.kind])
    for arrow in picture.arrows:
        ends = (arrow.start, arrow.end)
        if arrow.kind in {"limits", "takes"}:  # rules stand to the right of the shares they speak of
            ends = (arrow.end, arrow.start)
        graph.edge(*ends, escape(arrow.label) if arrow.label else None, **_ARROWS[arrow.kind])
    return str(graph.source)


def drawn(picture: Picture, form: str) -> bytes:
    """The picture as `svg` or `png`. Raises DrawingError where Graphviz is missing, fails or hangs."""
    source = as_dot(picture)
    dot = shutil.which("dot")
    if dot is None:
        raise DrawingError("the command `dot` is missing; install the system's package graphviz")
    try:
        done = subprocess.run(
            [dot, f"-T{form}"], input=source.encode(), capture_output=True, timeout=TIME_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        raise DrawingError(f"`dot` was stopped: it took more than {TIME_LIMIT} seconds") from None
    except OSError as error:
        raise DrawingError(f"`dot` cannot be run: {(error.strerror or str(error)).lower()}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise DrawingError(f"`dot` failed: {said[-1] if said else f'status {done.returncode}'}")
    return done.stdout
