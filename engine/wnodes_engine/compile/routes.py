"""Routes as Python source: constants where nothing is to be filled in, else texts put together."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.compile.tables import bound, fixed
from wnodes_engine.core.claim import Claim
from wnodes_engine.values import Request, Route

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


@dataclass(frozen=True, slots=True)
class Routes:
    """What makes the routes: the text of some functions, and for each route its function and constants.

    A route without a function has nothing to be filled in: its constants are its texts.
    """

    top: list[str]
    rows: list[tuple[str | None, tuple[str | None, ...]]]

    def load(self, module: Mapping[str, Any]) -> tuple[Callable[[Request, Claim], Route], ...]:
        """For each route a function of the request and its claim."""
        return tuple(
            fixed(*constants) if function is None else bound(module[function], constants)
            for function, constants in self.rows
        )


def routes(policy: CheckedPolicy) -> Routes:
    """Routes that differ in their own words alone share one function."""
    top = [
        "",
        f"PATHS = {tuple(share.path for share in policy.shares)!r}",
        f"LEAVES = {tuple(share.name for share in policy.shares)!r}",
    ]
    made = Routes(top, [])
    functions: dict[str, str] = {}
    for route in policy.routes:
        texts = (route.target, route.through, route.queue, route.account, route.image, route.flavour)
        if not any("{" in text for text in texts if text):
            made.rows.append((None, texts))
            continue
        constants: list[str | None] = []
        filled = ", ".join([_text(text, constants) for text in texts])
        text = f"({', '.join(['r', 'c', *(f'k{i}' for i in range(len(constants)))])}): return Route({filled})"
        if text not in functions:
            functions[text] = f"_route_{len(functions)}"
            top += ["", f"def {functions[text]}{text}"]
        made.rows.append((functions[text], tuple(constants)))
    return made


def _text(template: str | None, constants: list[str | None]) -> str:
    """A template as an expression; its own words join the constants."""
    if template is None:
        return "None"
    pieces = []
    for i, piece in enumerate(_FIELD.split(template)):
        if i % 2:
            pieces.append(_SOURCE[piece])
        elif piece:
            pieces.append(f"k{len(constants)}")
            constants.append(piece)
    if len(pieces) == 1:
        return pieces[0]
    return 'f"' + "".join(f"{{{piece}}}" for piece in pieces) + '"'
