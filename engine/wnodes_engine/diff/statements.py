"""What two policies say otherwise, statement by statement. Layout and comments do not count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.graph.picture import promised
from wnodes_engine.language.source import Span
from wnodes_engine.language.written import as_written

KINDS = (
    ("default", "defaults"),
    ("assign", "assigns"),
    ("cap", "caps"),
    ("deny", "denies"),
    ("priority", "priorities"),
    ("quota", "quotas"),
    ("preempt", "preempts"),
    ("nodes", "node_rules"),
    ("place", "places"),
    ("downtime", "downtimes"),
    ("route", "routes"),
)
"""The kinds of statements, and where a policy has them. Of some the order counts: the first that matches."""

_FIRST_MATCHES = frozenset({"default", "assign", "route"})


class Changed(msgspec.Struct, frozen=True):
    """A statement of the old policy that is gone, one that is new, or, with both, one in place of another.

    `old` and `new` are the statements on one line. `moved`: the order counts, and
    these words now stand where those did.
    """

    kind: str
    old: str | None = None
    new: str | None = None
    moved: bool = False


def changed_shares(old: CheckedPolicy, new: CheckedPolicy) -> list[Changed]:
    """The shares that are gone, new, or promised something else, at some hour or at all."""
    before, after = _shares(old), _shares(new)
    return [
        Changed("share", _share(path, before.get(path)), _share(path, after.get(path)))
        for path in {**before, **after}
        if before.get(path) != after.get(path)
    ]


def changed_statements(old: CheckedPolicy, new: CheckedPolicy) -> list[Changed]:
    """All other statements that are gone, new, or in another order where that counts."""
    found: list[Changed] = []
    for kind, name in KINDS:
        before, after = (_written(policy, getattr(policy, name)) for policy in (old, new))
        gone, came = Counter(before) - Counter(after), Counter(after) - Counter(before)
        found += [Changed(kind, old=text) for text in gone.elements()]
        found += [Changed(kind, new=text) for text in came.elements()]
        if kind in _FIRST_MATCHES and not gone and not came:
            found += [Changed(kind, a, b, moved=True) for a, b in zip(before, after, strict=True) if a != b]
    return found


def _shares(policy: CheckedPolicy) -> dict[str, tuple[str, ...]]:
    return {share.path: tuple(promised(share, policy)) for share in policy.shares if share.index}


def _share(path: str, said: tuple[str, ...] | None) -> str | None:
    return None if said is None else f"{path} {', '.join(said)}"


def _written(policy: CheckedPolicy, statements: Iterable[object]) -> list[str]:
    texts = {source.path: source.text for source in policy.sources}
    windows = [window.name for window in policy.windows]

    def one(statement: object) -> str:
        span: Span = statement.span  # type: ignore[attr-defined]
        holder = getattr(statement, "taking", statement)
        window: int | None = getattr(getattr(holder, "condition", None), "window", None)
        during = "" if window is None else f"during {windows[window]}: "
        return during + as_written(texts[span.path][span.start : span.end])

    return [one(statement) for statement in statements]
