"""What a syntax error says: what was expected, in the admin's words, and how to mend it.

`complain` asks each of a list of questions about the place of the error, from the most particular mistake
to the most general; the first that has an answer gives the finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from lark import Token

from wnodes_engine.findings import Finding
from wnodes_engine.language.expressions import token_span
from wnodes_engine.language.literals import SPELLED_OTHERWISE, UNITS

STATEMENTS: Final = {
    "POLICY": 'policy NAME "title"',
    "INCLUDE": 'include "file.policy"',
    "LET": "let NAME = VALUE",
    "SHARE": "share NAME AMOUNTS [borrow LIMIT] [lend LIMIT] [{ … }]",
    "DEFAULT": "default ATTRIBUTE VALUE [when CONDITION] [unless CONDITION]",
    "CAP": "cap ATTRIBUTE VALUE [when CONDITION] [unless CONDITION]",
    "ASSIGN": "assign SHARE when CONDITION, or assign SHARE otherwise",
    "DENY": 'deny "reason" [when CONDITION] [unless CONDITION]',
    "QUOTA": "quota for SCOPE [in SHARE] [when CONDITION]: RESOURCE <= BOUND, … [else wait|deny]",
    "PRIORITY": "priority [+|-]NUMBER [per DURATION waited] [when CONDITION]",
    "ORDER": "order SHARE|any by KEY, … [strict|best effort]",
    "RECLAIM": "reclaim for SHARE|any [when …] [sparing …] [taking …] [at most …] [by …] [after …]",
    "PREEMPT": "preempt SHARE for SHARE|self|fairly [when …] [taking …] [at most …] [by …]",
    "WINDOW": 'window NAME = "Mon-Fri 20:00-08:00"',
    "DURING": "during WINDOW { … }",
    "GROUP": 'group NAME = nodes "pattern*"',
    "NODES": 'nodes "pattern*" only|preferred when CONDITION',
    "PLACE": "place KIND, … spread|pack [over GROUP, …|in one of GROUP, …] [when CONDITION]",
    "DOWNTIME": 'downtime "2026-12-03 06:00" to "2026-12-04 18:00" on nodes "pattern*"',
    "ROUTE": "route KIND, … to TARGET [through BACKEND] [queue …] [account …] [when CONDITION]",
}
"""The words that begin a statement, and how each statement reads."""

_SIGNS: Final = {
    "_EQUAL": "=", "COLON": ":", "COMMA": ",", "LBRACE": "{", "RBRACE": "}", "LPAR": "(", "RPAR": ")",
    "LE": "<=", "PLUS": "+", "MINUS": "-",
}  # fmt: skip

_OPERATORS: Final = frozenset(
    {"COMPARE", "LE", "PLUS", "MINUS", "TIMES", "DIVIDED", "IN", "NOT", "STARTSWITH", "LIKE", "AND", "OR"}
)

_OTHER_WORDS: Final = {
    "is": "==", "equals": "==", "eq": "==", "ne": "!=", "if": "when", "where": "when", "while": "when",
    "except": "unless", "contains": "in", "matches": "like", "yes": "true", "no": "false",
    "infinite": "unlimited", "limit": "quota", "reject": "deny", "forbid": "deny", "refuse": "deny",
    "set": "let", "define": "let", "import": "include", "max": "cap", "maximum": "cap", "until": "to",
    "else": "otherwise", "via": "through", "using": "by",
}  # fmt: skip
"""What people write who know other languages, and the word that stands for it here."""

_QUOTES: Final = 'texts stand in double quotes: `"…"`'
_OTHER_CHARACTERS: Final = {
    "&&": "write `and`", "&": "write `and`", "||": "write `or`", "|": "write `or`", "!": "write `not`",
    "=<": "write `<=`", "=>": "write `>=`", "≤": "write `<=`", "≥": "write `>=`", "≠": "write `!=`",
    "[": "sets and blocks stand in braces: `{` and `}`", "]": "sets and blocks stand in braces: `{` and `}`",
    ";": "statements need nothing between them; remove it",
    "%": "write it right behind its number: `50%`",
    ".": "dotted names have no spaces: `image.approved`",
    "\N{NO-BREAK SPACE}": "this is a no-break space; write a plain one",
    "'": _QUOTES, "`": _QUOTES, "‘": _QUOTES, "’": _QUOTES, "“": _QUOTES, "”": _QUOTES, "„": _QUOTES,
    "–": "write a plain `-`", "—": "write a plain `-`", "−": "write a plain `-`",
    "\\": "only quoted texts have escapes",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where the parser could not go on.

    `statement` began the statement that it was in, `block` the one in whose braces that stands;
    `accepts` are the types of the tokens that it would have taken.
    """

    path: str
    found: Token
    before: Token | None
    statement: Token | None
    block: Token | None
    begins_line: bool
    accepts: frozenset[str]

    def finding(self, code: str, message: str, mend: str | None) -> Finding:
        """What is wrong with the token found."""
        return Finding(code, message, token_span(self.path, self.found), mend)

    @property
    def adjacent(self) -> bool:
        """Whether what was found follows on the same line as what is before it."""
        return self.before is not None and not self.begins_line

    @property
    def complete(self) -> bool:
        """Whether the statement could end here."""
        may = self.accepts
        return "$END" in may or ("RBRACE" in may and "SHARE" in may and "NAME" not in may)


def complain(place: Place) -> Finding:
    """The finding for a place where the parser could not go on."""
    for question in _QUESTIONS:
        if (finding := question(place)) is not None:
            return finding
    return place.finding("E010", f"expected {_expected(place)}, found {_shown(place.found)}", _form(place))


# ------------------------------------------------------------ characters, numbers


def _stray_character(place: Place) -> Finding | None:
    text = str(place.found)
    if place.found.type == "BAD_STRING":
        return place.finding("E012", "this quotation does not end on its line", 'close it with `"`')
    if place.found.type != "BAD":
        return None
    if len(text) > 1 and text[0] == "'":
        return place.finding("E003", "single quotes mean nothing here", f'write `"{text[1:-1]}"`')
    mend = _OTHER_CHARACTERS.get(text)
    if mend is None and text.isalpha():
        mend = "names are ASCII letters, digits and `_`; anything else goes into a quoted text"
    return place.finding("E003", f"{_shown(place.found)} does not belong here", mend or _form(place))


def _unit_apart(place: Place) -> Finding | None:
    unit, before = str(place.found), place.before
    if before is None or before.type != "NUMBER" or not place.adjacent or not before.isdigit():
        return None
    known = unit if unit in UNITS else SPELLED_OTHERWISE.get(unit.lower())
    if known is None:
        return None
    return place.finding("E013", f"`{unit}` stands apart from its number", f"write `{before}{known}`")


# --------------------------------------------------------------------- operators


def _equal_signs(place: Place) -> Finding | None:
    found, is_sign = place.found, place.found.type in {"_EQUAL", "COMPARE", "LE"}
    if is_sign and place.statement in {"default", "cap"} and "NUMBER" in place.accepts:
        mend = f"write `{place.statement} {place.before}` and then the value"
        return place.finding("E010", f"`{place.statement}` takes its value without `{found}`", mend)
    if found.type == "_EQUAL" and "COMPARE" in place.accepts:
        return place.finding("E010", "`=` gives a name to a value; it does not compare", "write `==`")
    if found == "==" and "_EQUAL" in place.accepts:
        return place.finding("E010", "`==` compares; it does not give a name", "write `=`")
    if is_sign and place.accepts & {"LE", "COMPARE"} == {"LE"}:
        return place.finding("E010", "a quota's limits are written with `<=`", "write `<=`")
    if is_sign and "AND" in place.accepts:
        return place.finding("E010", "comparisons do not chain", "write two and join them with `and`")
    return None


def _repeated_sign(place: Place) -> Finding | None:
    if (
        place.found.type in {"NOT", "MINUS"}
        and place.before is not None
        and place.before.type == place.found.type
    ):
        return place.finding("E010", f"`{place.found}` is written twice", "remove both, or use brackets")
    return None


def _second_condition(place: Place) -> Finding | None:
    if place.found.type not in {"WHEN", "UNLESS"} or "AND" not in place.accepts:
        return None
    if place.found.type == "WHEN" and "UNLESS" not in place.accepts:
        mend = "put `when …` before `unless …`, and join conditions with `and`"
        return place.finding("E010", "`when` does not follow `unless`", mend)
    return place.finding(
        "E014", f"`{place.found}` is written twice", "join the conditions with `and` or `or`"
    )


# -------------------------------------------------------------- words and names


def _misplaced_statement(place: Place) -> Finding | None:
    if place.found.type not in STATEMENTS or not (place.begins_line or "RBRACE" in place.accepts):
        return None
    if place.found.type == "POLICY" and place.complete:
        mend = "keep one, as the first statement of the main file"
        return place.finding("E034", "`policy` opens a file and stands nowhere else", mend)
    if place.block is not None and "RBRACE" in place.accepts:
        may = "shares" if place.block.type == "SHARE" else "shares, quotas, rules, priorities and preemption"
        message = f"`{place.found}` cannot stand inside `{place.block}`"
        return place.finding("E010", message, f"only {may} can; move it out of the braces")
    return None


def _incomplete(place: Place) -> Finding | None:
    found = place.found
    stops = found.type == "$END" or (found.type in STATEMENTS and place.begins_line) or found.type == "RBRACE"
    if not stops or place.before is None or place.statement is None:
        return None
    message = f"`{place.statement}` is not complete: expected {_expected(place)} after {_shown(place.before)}"
    return Finding("E016", message, token_span(place.path, place.before), _form(place))


def _reserved_word(place: Place) -> Finding | None:
    if "NAME" not in place.accepts or not place.found.isalpha() or place.found.type in {"NAME", "$END"}:
        return None
    if place.accepts & {"NUMBER", "STRING"} and place.found.type not in STATEMENTS:
        return None
    mend = f"choose another name, such as `my_{place.found}`"
    return place.finding("E010", f"`{place.found}` is a word of the language and cannot be a name", mend)


def _dotted_name(place: Place) -> Finding | None:
    if place.found.type != "DOTTED" or "NAME" not in place.accepts:
        return None
    if place.statement is not None and place.statement.type == "SHARE":
        parent, _, name = place.found.rpartition(".")
        mend = f"write `share {name}` inside the braces of `share {parent}`"
    else:
        mend = "use letters, digits and `_`"
    return place.finding("E010", "a name that is given here has no dots", mend)


def _misspelt(place: Place) -> Finding | None:
    if place.found.type not in {"NAME", "DOTTED"}:
        return None
    word, meant = str(place.found), None
    words = _words(place.accepts - STATEMENTS.keys()) if not place.begins_line else _words(place.accepts)
    if word.lower() in words:
        return place.finding("E015", f"`{word}` is written in small letters", f"write `{word.lower()}`")
    other = _OTHER_WORDS.get(word.lower())
    if other in words or (other in {"==", "!="} and "COMPARE" in place.accepts):
        meant = other
    elif close := get_close_matches(word, words, n=1, cutoff=0.7):
        meant = close[0]
    if meant is not None:
        return place.finding("E015", f"`{word}` is not known here", f"did you mean `{meant}`?")
    if word == "allow" and place.begins_line:
        return place.finding("E015", "there is no `allow`", "whatever no `deny` matches is admitted")
    if place.begins_line and place.complete:
        mend = f"statements begin with one of {', '.join(_words(STATEMENTS))}"
        return place.finding("E015", f"`{word}` does not begin a statement", mend)
    return None


def _unquoted(place: Place) -> Finding | None:
    if "STRING" not in place.accepts or "NAME" in place.accepts or not _is_name(place.found.type):
        return None
    mend = f'put it in double quotes: `"{place.found}"`'
    return place.finding("E010", f"expected {_expected(place)}, found {_shown(place.found)}", mend)


def _missing_comma(place: Place) -> Finding | None:
    if "COMMA" not in place.accepts or place.begins_line:
        return None
    if place.found.type not in {"NUMBER", "STRING"} and not _is_name(place.found.type):
        return None
    return place.finding("E010", f"a `,` is missing before {_shown(place.found)}", _form(place))


def _is_name(type_: str) -> bool:
    return type_ in {"NAME", "DOTTED"} or type_ in _SOFT


_QUESTIONS: Final[tuple[Callable[[Place], Finding | None], ...]] = (
    _stray_character,
    _unit_apart,
    _equal_signs,
    _repeated_sign,
    _second_condition,
    _misplaced_statement,
    _incomplete,
    _reserved_word,
    _dotted_name,
    _misspelt,
    _unquoted,
    _missing_comma,
)


# ------------------------------------------------------------------------- words


def _form(place: Place) -> str:
    if place.statement is None:
        return f"statements begin with one of {', '.join(_words(STATEMENTS))}"
    return f"it reads: {STATEMENTS[place.statement.type]}"


def _words(types: Iterable[str]) -> list[str]:
    """The keywords among the types, as they are written."""
    words = {"_HALF_LIFE": "half-life"}
    return [words.get(t, t.lower()) for t in sorted(types) if t not in _NO_KEYWORDS and t not in _SIGNS]


_NO_KEYWORDS: Final = frozenset(
    {"NUMBER", "STRING", "NAME", "DOTTED", "COMPARE", "TIMES", "DIVIDED", "BAD", "BAD_STRING", "$END"}
)


def _shown(token: Token) -> str:
    """A token as a message quotes it."""
    if token.type == "$END":
        return "the end of the file"
    text = str(token)
    return f"`{text}`" if len(text) <= 40 else f"`{text[:37]}…`"


def _expected(place: Place) -> str:
    """What could have stood there, as a phrase: `a number, or `weight``."""
    accepts = set(place.accepts)
    phrases: list[str] = []

    def gather(phrase: str, *types: str) -> None:
        phrases.append(phrase)
        accepts.difference_update(types)

    if place.complete:
        accepts -= STATEMENTS.keys() | {"$END"}
    if "NAME" in accepts:
        accepts -= _SOFT
    if "HAS" in accepts:
        phrase = "a value" if place.statement == "let" else "a condition"
        gather(phrase, *_PRIMARY, "MINUS", "NOT", "IN", "HAS")
    elif accepts >= {"NUMBER", "STRING", "NAME"}:
        gather("a value", *_PRIMARY, "MINUS")
    if "NUMBER" in accepts:
        gather("a number", "NUMBER")
    if "STRING" in accepts:
        gather("a text in quotes", "STRING")
    if "NAME" in accepts:
        gather("a name", "NAME", "DOTTED")
    if "AND" in accepts:
        gather("an operator" if "COMPARE" in accepts else "`and` or `or`", *_OPERATORS)
    elif accepts >= {"PLUS", "TIMES"}:
        accepts -= _OPERATORS - {"LE"}
    phrases += [f"`{_SIGNS[t]}`" for t in sorted(accepts & _SIGNS.keys())]
    phrases += [f"`{word}`" for word in _words(accepts)]
    if place.complete:
        phrases.append("the next statement")
    return " or ".join(phrases) if len(phrases) < 3 else f"{', '.join(phrases[:-1])} or {phrases[-1]}"


_PRIMARY: Final = frozenset(
    {"NUMBER", "STRING", "NAME", "DOTTED", "TRUE", "FALSE", "UNLIMITED", "LBRACE", "LPAR"}
)

_SOFT: Final = frozenset({
    "SHARE", "PRIORITY", "GROUP", "QUEUE", "IMAGE", "ACCOUNT", "FLAVOUR", "AGE", "SIZE", "WEIGHT",
    "WAITED", "CORES", "MEMORY", "GPUS", "DISK", "HS23", "WAIT", "STRICT", "BEST", "EFFORT", "SPREAD",
    "PACK", "OVER", "ONE", "PREFERRED", "NATIVE", "NOMINAL",
})  # fmt: skip
"""The words that are also names, as in the rule `name` of the grammar."""
