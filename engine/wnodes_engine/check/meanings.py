"""What a name or a set means where a certain type is wanted: an attribute, a `let`, a word, a share."""

from __future__ import annotations

from msgspec.structs import replace

from wnodes_engine.check import checked
from wnodes_engine.check.literals import ENUMS, other_unit
from wnodes_engine.check.names import Names
from wnodes_engine.check.presence import Place
from wnodes_engine.check.report import an, listed
from wnodes_engine.check.types import fits
from wnodes_engine.language import syntax
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import ELEMENT_OF, MEMBERS, Attribute, Phase, Trust, Type


def meaning(name: syntax.Name, wanted: Type, place: Place, names: Names) -> checked.Expr | None:
    """What a name stands for where `wanted` is wanted; None, and a finding, where it is nothing such."""
    word = name.dotted
    attribute = names.attributes.get(word)
    if attribute is not None and attribute.type is wanted:
        return _read(attribute, name.span, place, names)
    if wanted in MEMBERS and word in MEMBERS[wanted]:
        return checked.Const(word, wanted, name.span)
    named = names.lets.get(word)
    if named is not None and (named.value is None or named.value.type is wanted):
        named.used = True
        return None if named.value is None else replace(named.value, span=name.span)
    if wanted is Type.SHARE and attribute is None:
        index = names.leaf(name)
        return None if index is None else checked.Const(index, Type.SHARE, name.span)
    if attribute is not None:
        made = _read(attribute, name.span, place, names)
        return None if made is None else fits(made, wanted, name, names.report)
    if named is not None and named.value is not None:
        named.used = True
        return fits(replace(named.value, span=name.span), wanted, name, names.report)
    unknown(name, wanted, names)
    return None


def _read(attribute: Attribute, span: Span, place: Place, names: Names) -> checked.Attr | None:
    """The attribute, if it can be read at this place."""
    if place.phase not in attribute.phases:
        too_early(attribute, place.phase, span, names)
        return None
    if attribute.guard not in names.present and not place.facts.allow(attribute):
        guard = attribute.guard
        kinds = f", or test the kind: `kind in {{{', '.join(attribute.kinds)}}}`" if attribute.kinds else ""
        names.report.add(
            "E114",
            f"`{attribute.name}` is read here, and a request may have no {guard}",
            span,
            f"write `has {guard} and …` before it{kinds}",
        )
        return None
    if place.wary and attribute.trust is Trust.CLAIMED and attribute.type in (Type.STRING, Type.STRINGS):
        names.report.add(
            "W101",
            f"`{attribute.name}` is whatever the requester writes, and here it decides {place.wary}",
            span,
            "use what the site vouches for: user, group, project, roles, origin or the image",
        )
    return checked.Attr(attribute.name, attribute.type, attribute.name in names.of_site, span)


def too_early(attribute: Attribute, phase: Phase, span: Span, names: Names) -> None:
    """Says that an attribute cannot be read in this phase, and where it can."""
    name = attribute.name
    if attribute.type is Type.SHARE:
        message, mend = f"the share is not known yet in `{phase}`", "it is `assign` that decides the share"
    elif name == "waited" and phase is Phase.PRIORITY:
        message, mend = "`waited` cannot be read here", "write `priority +10 per 1h waited`"
    else:
        why = ": it changes with the state of the farm" if attribute.trust is Trust.STATE else ""
        message = f"`{name}` cannot be read here{why}"
        mend = f"it can be read in {listed(sorted(attribute.phases))}"
    names.report.add("E113", message, span, mend)


def unknown(name: syntax.Name, wanted: Type | None, names: Names) -> None:
    """Says that a name stands for nothing of the wanted type, and what was probably meant."""
    word = name.dotted
    report = names.report
    lets = {
        let for let, named in names.lets.items() if named.value is None or wanted in (None, named.value.type)
    }
    known = lets | names.attributes.keys()
    if wanted in MEMBERS:
        words = MEMBERS[wanted]
        mend = report.meant(word, words, f"{an(wanted)} is one of {listed(words)}")
        report.add_missing("E101", f"there is no {wanted} `{word}`", name.span, mend)
    elif wanted is Type.STRING and len(name.parts) == 1:
        mend = report.meant(word, known, f'a text stands in quotes: `"{word}"`')
        report.add_missing("E101", f"unknown name `{word}`", name.span, mend)
    elif wanted is Type.STRINGS:
        sets = lets | {"roles", "tags", "image.tags"}
        mend = report.meant(word, sets, f'name it first: `let {name.parts[-1]} = {{"…"}}`')
        report.add_missing("E101", f"there is no set named `{word}`", name.span, mend)
    elif wanted is Type.TRUTH and word in names.paths:
        report.add("E110", f"`{word}` is a share, not a condition", name.span, f"write `in {word}`")
    elif len(name.parts) > 1:
        group = f"{name.parts[0]}."
        same = sorted(other.removeprefix(group) for other in names.attributes if other.startswith(group))
        mend = report.meant(word, known, f"`{name.parts[0]}` has {listed(same)}" if same else None)
        report.add_missing("E101", f"unknown name `{word}`", name.span, mend)
    elif word in ENUMS:
        mend = f"it is {an(ENUMS[word])} beside one, `{ENUMS[word]} == {word}`, or in a set: `{{{word}}}`"
        report.add("E110", f"nothing says here what `{word}` is", name.span, mend)
    else:
        otherwise = None if names.site else "what a site adds is declared in its file: check with --site"
        mend = report.meant(word, known | ENUMS.keys(), otherwise)
        report.add_missing("E101", f"unknown name `{word}`", name.span, mend)


def elements(literal: syntax.SetLiteral, wanted: Type, names: Names) -> checked.Const | None:
    """A set of the wanted type; None, and findings, where it holds something else."""
    report = names.report
    element = ELEMENT_OF.get(wanted)
    if element is None:
        report.add("E110", f"{an(wanted)} is wanted here, not a set", literal.span, "sets stand after `in`")
        return None
    values: set[str] = set()
    sound = True
    for item in literal.items:
        made = _element(item, element, names)
        if made is None:
            sound = False
        elif made in values:
            report.add("W110", "this is in the set twice", item.span, "leave one out")
        else:
            values.add(made)
    return checked.Const(frozenset(values), wanted, literal.span) if sound else None


def _element(item: syntax.Expr, element: Type, names: Names) -> str | None:
    match item:
        case syntax.Text() if element is Type.STRING:
            return item.value
        case syntax.Name() if element is not Type.STRING and item.dotted in MEMBERS[element]:
            return item.dotted
        case syntax.Name() if element is Type.STRING:
            return _text(item, names)
        case syntax.Name():
            unknown(item, element, names)
        case syntax.Text():
            words = MEMBERS[element]
            meant = f"`{item.value}`, without quotes" if item.value in words else f"one of {listed(words)}"
            names.report.add("E110", f"{an(element)} is a word, not a text", item.span, f"write {meant}")
        case _:
            what = "texts" if element is Type.STRING else f"words for {an(element)}"
            mend = other_unit(item, element) if isinstance(item, syntax.Number) else None
            names.report.add("E110", f"this set can only hold {what}", item.span, mend)
    return None


def _text(name: syntax.Name, names: Names) -> str | None:
    """A name of a text, inside a set of texts."""
    named = names.lets.get(name.dotted)
    if named is None:
        mend = f'a text stands in quotes: `"{name.dotted}"`'
        names.report.add_missing("E101", f"unknown name `{name.dotted}`", name.span, mend)
        return None
    named.used = True
    if named.value is None or named.value.type is Type.STRING:
        return None if named.value is None else str(named.value.value)
    message = f"`{name.dotted}` is {an(named.value.type)}, not a text"
    names.report.add("E110", message, name.span, "a set holds texts; test for two sets with `or`")
    return None
