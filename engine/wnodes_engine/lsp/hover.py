"""What is under the cursor, in a few lines of Markdown."""

from __future__ import annotations

from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.core.farm import total
from wnodes_engine.core.tree import Worth
from wnodes_engine.core.wording import amount
from wnodes_engine.language.complaints import STATEMENTS
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import ATTRIBUTES, RESOURCES
from wnodes_engine.lsp.desk import Place, Reading
from wnodes_engine.lsp.symbols import Mention, Sort


def about(mention: Mention, reading: Reading) -> str:
    """What a name stands for; of a share also what it is worth on the site's nodes."""
    where = next((one for one in reading.mentions if _is(one, mention) and one.defines), None)
    said = [f"```wnodes-policy\n{_written(where.span, reading.texts)}\n```"] if where else []
    if mention.sort is Sort.SHARE and reading.policy is not None:
        said += _worth(mention.name, reading.policy, reading.place)
    return "\n\n".join(said)


def about_word(word: str, reading: Reading) -> str | None:
    """What an attribute or a statement's first word means; None for any other word."""
    if (attribute := ATTRIBUTES.get(word)) is not None:
        needs = f"\n\nIt may be absent: `has {attribute.guard}` guards it." if attribute.guard else ""
        return f"`{word}`: {attribute.type}, {attribute.trust}\n\n{attribute.doc}{needs}"
    for own in reading.place.site.attributes if reading.place.site else ():
        if own.name == word:
            needs = f"\n\nIt may be absent: `has {word}` guards it." if own.default is None else ""
            return f"`{word}`: {own.type}, {own.trust}\n\ndeclared by the site{needs}"
    form = STATEMENTS.get(word.upper()) if word.islower() else None
    return f"```wnodes-policy\n{form}\n```" if form else None


def _is(one: Mention, other: Mention) -> bool:
    return (one.sort, one.name) == (other.sort, other.name)


def _written(name: Span, texts: dict[str, str]) -> str:
    """The lines that define a name, up to where a block begins."""
    text = texts[name.path]
    start = text.rfind("\n", 0, name.start) + 1
    end = text.find("\n", name.end)
    return text[start : end if end >= 0 else len(text)].strip().removesuffix("{").rstrip()


def _worth(path: str, policy: CheckedPolicy, place: Place) -> list[str]:
    """What a share is worth, now and in each window, on all nodes of the site."""
    index = next((share.index for share in policy.shares if share.path == path), None)
    if index is None or not place.nodes:
        return ["" if index is None else "What it is worth is shown where `site.yaml` names a farm."]
    farm = total(place.nodes)
    own = _amounts(Worth(policy.shares, farm, {}), index)
    said = [f"Worth **{own}** of the farm's {amount('cores', farm[0])}"]
    for window in policy.windows:
        other = _amounts(Worth(policy.shares, farm, window.shares), index)
        if other != own:
            said.append(f"during `{window.name}`: {other}")
    return said


def _amounts(worth: Worth, index: int) -> str:
    """Amounts in words; of large ones of memory and disk whole GiB, rounded down."""
    said = []
    for r, resource in enumerate(RESOURCES):
        value = worth.amount[r][index]
        if resource in {"memory", "disk"} and value >= 10 << 10:
            value -= value % 1024
        if value and resource != "hs23":
            said.append(amount(resource, value))
    return ", ".join(said) or "nothing"
