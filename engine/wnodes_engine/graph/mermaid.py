"""A picture as text of Mermaid, which GitHub, GitLab and many others draw inside of a README."""

from __future__ import annotations

import re
from typing import Final

from wnodes_engine.graph.picture import Picture

_FRAMES: Final = {
    "share": '["{}"]',
    "quota": '(["{}"])',
    "rule": '{{{{"{}"}}}}',
    "route": '[/"{}"/]',
    "target": '[("{}")]',
}
_LINES: Final = {"holds": "---", "limits": "-.-", "gives": "-->", "takes": "==>", "carries": "-->"}


def as_mermaid(picture: Picture) -> str:
    """A flowchart, from the left to the right."""
    frames = ((box.id, _FRAMES[box.kind], "<br/>".join(map(_safe, box.lines))) for box in picture.boxes)
    lines = ["flowchart LR", *(f"    {id_}{frame.format(text)}" for id_, frame, text in frames)]
    for arrow in picture.arrows:
        label = f'|"{_safe(arrow.label)}"|' if arrow.label else ""
        lines.append(f"    {arrow.start} {_LINES[arrow.kind]}{label} {arrow.end}")
    return "\n".join(lines) + "\n"


def _safe(text: str) -> str:
    """The text with what Mermaid or HTML would read as a sign of theirs written as its number."""
    return re.sub(r"[^\w ,.:%=+()-]", lambda sign: f"#{ord(sign[0])};", text)
