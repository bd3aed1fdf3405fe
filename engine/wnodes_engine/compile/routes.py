"""Routes as Python source: constants where nothing is to be filled in, else texts put together."""

from __future__ import annotations

import re
from typing import Final

from wnodes_engine.check.checked import CheckedPolicy

_FIELD: Final = re.compile(r"\{([a-z]+)\}")
_SOURCE: Final = {
    "share": "PATHS[c.leaf]",
    "leaf": "LEAVES[c.leaf]",
    "user": "r.user",
    "group": "r.group",
    "origin": "r.origin",
    "kind": "r.kind",
    "project": "c.project or ''",
    "queue": "c.queue or ''",
    "account": "c.account or ''",
}
"""Where each field of a template is found: in the request, or in the claim if a default may fill it in."""


def routes(policy: CheckedPolicy) -> list[str]:
    """The tables of share names, and `ROUTES`: for each route a function of the request and its claim."""
    lines = [
        "",
        f"PATHS = {tuple(share.path for share in policy.shares)!r}",
        f"LEAVES = {tuple(share.name for share in policy.shares)!r}",
        "",
        "ROUTES = (",
    ]
    for route in policy.routes:
        texts = (route.target, route.through, route.queue, route.account, route.image, route.flavour)
        made = f"Route({', '.join(map(_text, texts))})"
        if any("{" in text for text in texts if text):
            lines.append(f"    lambda r, c: {made},")
        else:
            lines.append(f"    lambda r, c, route={made}: route,")
    return [*lines, ")"]


def _text(template: str | None) -> str:
    """A template as an expression."""
    if template is None or "{" not in template:
        return repr(template)
    pieces = []
    for i, piece in enumerate(_FIELD.split(template)):
        if i % 2:
            pieces.append(f"({_SOURCE[piece]})")
        elif piece:
            pieces.append(repr(piece))
    return " + ".join(pieces)
