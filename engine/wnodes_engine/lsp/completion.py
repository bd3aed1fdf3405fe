"""What can be written at the cursor: words that the grammar takes, and names that mean something there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lark import Token

from wnodes_engine.language.complaints import STATEMENTS
from wnodes_engine.language.parser import expected, keywords, tokens
from wnodes_engine.language.recovery import with_line_starts
from wnodes_engine.language.vocabulary import (
    ATTRIBUTES,
    CAPPABLE,
    DEFAULTABLE,
    FAIRSHARE_OF,
    MEMBERS,
    QUOTA_RESOURCES,
    SCOPE_KEYS,
    TEMPLATE_FIELDS,
    Phase,
)
from wnodes_engine.lsp.desk import Place
from wnodes_engine.lsp.symbols import Mention, Sort


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be written; `kind` is keyword, attribute, word, site or the sort of a name."""

    text: str
    kind: str
    about: str = ""


_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_OPEN_TEXT: Final = re.compile(r'(?:[^"\\#\n]|"(?:[^"\\\n]|\\[^\n])*")*"((?:[^"\\\n]|\\[^\n])*)\Z')
_AFTER_IN_CONDITION: Final = frozenset(
    {"WHEN", "UNLESS", "AND", "OR", "NOT", "SPARING", "LPAR", "COMPARE", "LE", "PLUS", "MINUS", "TIMES"}
)
_SITE: Final = {
    "group": "groups", "user": "users", "project": "projects", "role": "roles", "roles": "roles",
    "queue": "queues", "account": "accounts", "image": "images", "image.name": "images",
    "flavour": "flavours", "with": "properties",
}  # fmt: skip
"""Which set of `site.yaml` has what a text may say, by the word that the text belongs to."""

_MEMBERS: Final = {
    attribute.name: attribute.type for attribute in ATTRIBUTES.values() if attribute.type in MEMBERS
}
_PHASES: Final = {
    "DEFAULT": Phase.DEFAULT, "ASSIGN": Phase.ASSIGN, "CAP": Phase.CAP, "DENY": Phase.DENY,
    "PRIORITY": Phase.PRIORITY, "QUOTA": Phase.QUOTA, "NODES": Phase.NODES, "PLACE": Phase.PLACE,
    "ROUTE": Phase.ROUTE, "RECLAIM": Phase.PREEMPT, "PREEMPT": Phase.PREEMPT,
}  # fmt: skip


def choices(text: str, names: Sequence[Mention], place: Place) -> list[Choice]:
    """What can be written behind this text, which may end in the middle of a word or of a quoted text.

    `names` are the policy's own. A dotted name that was begun counts as one word.
    """
    line = text[text.rfind("\n") + 1 :]
    if quoted := _OPEN_TEXT.match(line):
        return list(_texts(_statement(text[: len(text) - len(quoted[1]) - 1])[1], quoted[1], place))
    probe = tokens(f"{text}_")
    if not probe or probe[-1].end_pos != len(text) + 1:  # a comment
        return []
    begun = begun_word(text)
    blocks, statement = _statement(text[: len(text) - len(begun)])
    found = [*_names(statement, names, place), *_words([*blocks, *statement])]
    return list({choice.text: choice for choice in reversed(found)}.values())[::-1]


def begun_word(text: str) -> str:
    """The word, or the dotted name, that a text ends in the middle of."""
    found = _WORD.search(text[text.rfind("\n") + 1 :])
    return found[0] if found else ""


def _statement(text: str) -> tuple[list[Token], list[Token]]:
    """The tokens that open the blocks around the end of a text, and those of its unfinished statement."""
    blocks: list[list[Token]] = []
    current: list[Token] = []
    for token, is_first in with_line_starts(tokens(text)):
        if token.type == "RBRACE" and not _in_set(current):
            current = []
            if blocks:
                blocks.pop()
            continue
        starts = token.type in STATEMENTS and (is_first or (not current and bool(blocks)))
        if starts and not _in_set(current):
            current = []
        current.append(token)
        if token.type == "LBRACE" and current[0].type in {"SHARE", "DURING"} and not _in_condition(current):
            blocks.append(current)
            current = []
    return [token for block in blocks for token in block], current


def _in_set(statement: Sequence[Token]) -> bool:
    """Whether a brace of the statement is open: that of a set."""
    types = [token.type for token in statement]
    return types.count("LBRACE") > types.count("RBRACE")


def _in_condition(statement: Sequence[Token]) -> bool:
    return any(token.type in {"WHEN", "UNLESS"} for token in statement)


# ------------------------------------------------------------------------ words


def _words(before: Sequence[Token]) -> Iterator[Choice]:
    """The keywords that the grammar takes behind these tokens."""
    types, known = expected(before), keywords()
    for type_ in sorted(types & known.keys()):
        # A name may be any of the soft keywords; those mean something only where no name is wanted.
        if "NAME" not in types or type_ in _HARD:
            yield Choice(known[type_], "keyword", STATEMENTS.get(type_, ""))
    if "_HALF_LIFE" in types:
        yield Choice("half-life", "keyword")


_HARD: Final = frozenset(
    {
        "HAS",
        "IN",
        "NOT",
        "TRUE",
        "FALSE",
        "UNLIMITED",
        "ANY",
        "NODES",
        "EACH",
        "ALL",
        "WITH",
        "SELF",
        "FAIRLY",
    }
)


# ------------------------------------------------------------------------ names


def _names(statement: Sequence[Token], names: Sequence[Mention], place: Place) -> Iterator[Choice]:
    """The names that mean something behind the tokens of a statement."""
    if not statement:
        return
    first, last = statement[0].type, statement[-1]
    earlier = statement[-2] if len(statement) > 1 else last
    match first, last.type:
        case ("DEFAULT", "DEFAULT") | ("CAP", "CAP"):
            yield from _plain(DEFAULTABLE if first == "DEFAULT" else CAPPABLE, "attribute")
        case ("ASSIGN", "ASSIGN") | ("ORDER", "ORDER") | ("PREEMPT", "PREEMPT" | "FOR") | ("RECLAIM", "FOR"):
            yield from _defined(names, Sort.SHARE)
        case "SHARE", "SHARE":
            return  # a new name
        case "DURING", "DURING":
            yield from _defined(names, Sort.WINDOW)
        case "QUOTA", "FOR" | "EACH":
            yield from _plain(SCOPE_KEYS, "keyword")
        case "QUOTA", "SHARE":
            yield from _defined(names, Sort.SHARE)
        case "QUOTA", "COLON" | "COMMA":
            yield from _plain(QUOTA_RESOURCES, "keyword")
        case "QUOTA" | "PREEMPT", "IN" if not _in_condition(statement):
            yield from _defined(names, Sort.SHARE)
        case "ORDER", "OF":
            yield from _plain(FAIRSHARE_OF, "keyword")
        case ("ROUTE" | "PLACE", "ROUTE" | "PLACE") | ("ROUTE", "COMMA"):
            yield from _plain(MEMBERS[ATTRIBUTES["kind"].type], "word")
        case "ROUTE", "TO" | "THROUGH" if place.site is not None:
            yield from _plain([*place.site.backends, *place.site.executors], "site")
        case ("PLACE", "OVER" | "OF" | "COMMA") | ("NODES" | "GROUP" | "DOWNTIME", "NODES" | "COMMA"):
            yield from _defined(names, Sort.GROUP)
        case _ if _wants_value(statement):
            yield from _values(statement, last, earlier, names, place)


def _wants_value(statement: Sequence[Token]) -> bool:
    """Whether an operand stands next, of a condition or of an amount."""
    last = statement[-1].type
    if _in_condition(statement) or any(token.type == "SPARING" for token in statement):
        return last in _AFTER_IN_CONDITION | {"IN", "HAS", "LBRACE", "COMMA"}
    return statement[0].type in {"DEFAULT", "CAP", "LET", "QUOTA"} and (
        last in {"LE", "_EQUAL", "PLUS", "MINUS", "TIMES"} or len(statement) == 2
    )


def _values(
    statement: Sequence[Token], last: Token, earlier: Token, names: Sequence[Mention], place: Place
) -> Iterator[Choice]:
    compared = _compared(statement)
    if last.type == "HAS":
        absent = {attribute.guard for attribute in ATTRIBUTES.values() if attribute.guard}
        own = [one.name for one in (place.site.attributes if place.site else ()) if one.default is None]
        yield from _plain([*sorted(absent), *own], "attribute")
    elif last.type == "IN" and earlier.type in _AFTER_IN_CONDITION:
        yield from _defined(names, Sort.SHARE)
    elif compared in _MEMBERS and last.type in {"COMPARE", "LBRACE", "COMMA"}:
        yield from _plain(MEMBERS[_MEMBERS[compared]], "word")
    elif compared == "share" and last.type in {"COMPARE", "LBRACE", "COMMA"}:
        yield from _defined(names, Sort.SHARE)
    elif last.type not in {"LBRACE", "COMMA"}:
        phase = _PHASES.get(statement[0].type, Phase.DENY)
        if last.type != "IN":
            for attribute in ATTRIBUTES.values():
                if phase in attribute.phases:
                    yield Choice(attribute.name, "attribute", f"{attribute.type}: {attribute.doc}")
            for one in place.site.attributes if place.site else ():
                yield Choice(one.name, "attribute", f"{one.type}, declared by the site")
        yield from _defined(names, Sort.VALUE)


def _compared(statement: Sequence[Token]) -> str | None:
    """The attribute that an operand at the end is compared with: `kind ==`, `origin in {grid,`."""
    for at in range(len(statement) - 1, 0, -1):
        type_ = statement[at].type
        if type_ in {"COMPARE", "IN"}:
            before = statement[at - 1]
            return str(statement[at - 2] if before.type == "NOT" and at > 1 else before)
        if type_ in {"AND", "OR", "WHEN", "UNLESS"}:
            return None
    return None


def _defined(names: Iterable[Mention], sort: Sort) -> Iterator[Choice]:
    for one in names:
        if one.defines and one.sort is sort:
            yield Choice(one.name, str(sort))


def _plain(words: Iterable[str], kind: str) -> Iterator[Choice]:
    for word in words:
        yield Choice(word, kind)


# ----------------------------------------------------------------- inside of quotes


def _texts(statement: Sequence[Token], begun: str, place: Place) -> Iterator[Choice]:
    """What the site has that a quoted text may name, or the fields of a route's texts."""
    if not statement:
        return
    if begun.rfind("{") > begun.rfind("}") and statement[0].type == "ROUTE":
        yield from _plain(TEMPLATE_FIELDS, "word")
        return
    last = str(statement[-1])
    if (compared := _compared(statement)) in _SITE:
        word = compared
    elif last in _SITE:
        word = last
    else:  # `"operator" in roles`: what it belongs to stands behind it
        word = "role" if statement[-1].type in {"WHEN", "UNLESS", "AND", "OR", "NOT", "LPAR"} else ""
    if place.site is not None and word in _SITE:
        yield from _plain(sorted(getattr(place.site, _SITE[word]) or ()), "site")
