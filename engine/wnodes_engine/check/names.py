"""The names of one policy: shares, sets and values, windows, node groups, and what the site declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from wnodes_engine.check import checked
from wnodes_engine.check.report import Report, listed
from wnodes_engine.findings import Note
from wnodes_engine.language import syntax
from wnodes_engine.language.source import Span
from wnodes_engine.language.vocabulary import ATTRIBUTES, Attribute
from wnodes_engine.values import Node

if TYPE_CHECKING:
    from wnodes_engine.site import Site

FARM: Final = 0
"""The index of the whole farm among the shares."""

Value = TypeVar("Value")


@dataclass(slots=True)
class ShareNode:
    """One share while it is being checked; `statement` is None for the farm."""

    index: int
    name: str
    path: str
    parent: int | None
    statement: syntax.Share | None
    children: list[int] = field(default_factory=list)
    leaves: frozenset[int] = frozenset()
    """All leaves of its subtree; of a leaf, itself."""


@dataclass(slots=True)
class Named(Generic[Value]):
    """Something that a statement gave a name to; `value` is None where that statement is wrong."""

    name: str
    span: Span
    value: Value | None
    used: bool = False


@dataclass(slots=True)
class Names:
    """Everything that a policy's expressions and statements may refer to."""

    report: Report
    site: Site | None
    nodes_of_site: tuple[Node, ...] = ()
    """The nodes that there are; none where nobody says so."""
    shares: list[ShareNode] = field(default_factory=list)
    paths: dict[str, int] = field(default_factory=dict)
    lets: dict[str, Named[checked.Const]] = field(default_factory=dict)
    windows: dict[str, Named[int]] = field(default_factory=dict)
    groups: dict[str, Named[checked.NodeSet]] = field(default_factory=dict)
    attributes: dict[str, Attribute] = field(default_factory=lambda: dict(ATTRIBUTES))
    of_site: frozenset[str] = frozenset()
    """The attributes that the site declares."""
    present: frozenset[str] = frozenset()
    """What an unconditional default always fills in."""

    def define(
        self, table: dict[str, Named[Value]], name: str, span: Span, value: Value | None, what: str
    ) -> None:
        """Puts a name into a table; a second one of the same name is a finding."""
        if (first := table.get(name)) is not None:
            self.report.add(
                "E103",
                f"there are two {what}s named `{name}`",
                span,
                "give one of them another name",
                [Note("the first one is here", first.span)],
            )
        else:
            table[name] = Named(name, span, value)

    def share(self, name: syntax.Name) -> int | None:
        """The index of the share with this path; None, and a finding, where there is none."""
        index = self.paths.get(name.dotted)
        if index is None and self.paths:
            self.report.add_missing(
                "E102", f"there is no share `{name.dotted}`", name.span, self._meant_share(name)
            )
        return index

    def leaf(self, name: syntax.Name) -> int | None:
        """The index of the leaf with this path; None, and a finding, where it is none."""
        index = self.share(name)
        if index is None or not self.shares[index].children:
            return index
        leaves = [self.shares[leaf].path for leaf in sorted(self.shares[index].leaves)]
        self.report.add(
            "E123",
            f"`{name.dotted}` has shares below it: a request belongs to one of those",
            name.span,
            f"name one of {listed(leaves)}",
        )
        return None

    def nodes(self, nodes: syntax.Nodes) -> checked.NodeSet | None:
        """The nodes that are meant, with the names of groups replaced by what they stand for."""
        patterns = [text.value for text in nodes.patterns]
        properties = [text.value for text in nodes.properties]
        for text in nodes.properties:
            self.known_at_site("property", text.value, text.span)
        everything = not nodes.patterns and not nodes.groups
        for name in nodes.groups:
            if (group := self.group(name)) is None:
                return None
            if group.properties and (nodes.patterns or len(nodes.groups) > 1):
                self.report.add(
                    "E175",
                    f"`{name.dotted}` asks for properties, so it cannot be joined with other nodes here",
                    name.span,
                    "write one statement for each",
                )
                return None
            everything = everything or not group.patterns
            patterns += group.patterns
            properties += group.properties
        return checked.NodeSet(
            () if everything else tuple(dict.fromkeys(patterns)), tuple(dict.fromkeys(properties))
        )

    def group(self, name: syntax.Name) -> checked.NodeSet | None:
        """What a group of nodes stands for; None, and a finding, where there is no such group."""
        named = self.groups.get(name.dotted)
        if named is None:
            mend = self.report.meant(
                name.dotted, self.groups, f'for nodes of that name write `"{name.dotted}"`, in quotes'
            )
            self.report.add_missing(
                "E106", f"there is no group of nodes named `{name.dotted}`", name.span, mend
            )
            return None
        named.used = True
        return named.value

    def known_at_site(self, what: str, value: str, span: Span) -> bool:
        """Whether the site knows the value; True too where the site does not say what there is."""
        known = self._at_site(what)
        if known is None or value in known:
            return True
        few = f"add it to `{_KEYS[what]}` in {self.site.path if self.site else ''}"
        self.report.add_missing(
            "E181", f"the site has no {what} `{value}`", span, self.report.meant(value, known, few)
        )
        return False

    def _at_site(self, what: str) -> frozenset[str] | Mapping[str, object] | None:
        if self.site is None:
            return None
        known: frozenset[str] | Mapping[str, object] | None = getattr(self.site, _KEYS[what])
        return known

    def _meant_share(self, name: syntax.Name) -> str | None:
        last = name.parts[-1]
        same = [path for path in self.paths if path.rsplit(".", 1)[-1] == last]
        if len(same) == 1:
            return f"write its whole path: `{same[0]}`"
        return self.report.meant(name.dotted, self.paths, f"the shares are {listed(self.paths)}")


_KEYS: Final = {
    "group": "groups",
    "user": "users",
    "project": "projects",
    "role": "roles",
    "queue": "queues",
    "account": "accounts",
    "image": "images",
    "flavour": "flavours",
    "property": "properties",
}
"""Where `site.yaml` lists what there is of a sort."""
