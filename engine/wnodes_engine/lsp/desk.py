"""What lies on the editor's desk: open texts, the site that they belong to, and what is found in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.check.policy import check_policy
from wnodes_engine.documents import DocumentError
from wnodes_engine.findings import Finding
from wnodes_engine.language.load import Program, load, load_text
from wnodes_engine.language.parser import tokens
from wnodes_engine.lsp.symbols import Mention, defined, mentions
from wnodes_engine.site import Site, load_site
from wnodes_engine.state_file import load_farm
from wnodes_engine.values import Node

SITE: Final = "site.yaml"
MOST_NEIGHBOURS: Final = 200
"""So many policies in the folders above are looked through for one that includes an open file."""


@dataclass(frozen=True, slots=True)
class Place:
    """The site of a policy, its nodes, and what is wrong with either."""

    site: Site | None = None
    nodes: tuple[Node, ...] = ()
    findings: tuple[Finding, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """One look at a policy; `policy` is the last that was sound."""

    main: str
    program: Program
    place: Place
    findings: tuple[Finding, ...]
    policy: CheckedPolicy | None

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        """Every mention of a name; of a policy that is not `sound` only what its files seem to define."""
        if self.program.policy is not None:
            return tuple(mentions(self.program.policy.statements))
        sources = self.program.sources
        return tuple(one for source in sources for one in defined(source.path, tokens(source.text)))

    @property
    def sound(self) -> bool:
        """Whether the syntax tree is that of the texts as they are now."""
        return self.program.policy is not None

    @property
    def texts(self) -> dict[str, str]:
        """All texts that a finding or a mention may lie in."""
        return self.program.texts | self.place.texts


class Desk:
    """The texts that an editor has open, by absolute path; `root` bounds where a site is looked for."""

    def __init__(self, root: Path | None = None, site: Path | None = None) -> None:
        self.root = root
        self._site = site
        self._open: dict[str, str] = {}
        self._readings: dict[str, Reading] = {}
        self._last: dict[str, CheckedPolicy] = {}
        self._places: dict[Path, tuple[tuple[tuple[Path, int], ...], Place]] = {}

    def put(self, path: str, text: str) -> None:
        """A text was opened, or changed."""
        self._open[path] = text
        self._readings.clear()

    def drop(self, path: str) -> None:
        """A text was closed: the file counts again."""
        self._open.pop(path, None)
        self._readings.clear()

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all open texts."""
        return tuple(self._open)

    def text(self, path: str) -> str:
        """The text of an open file."""
        return self._open[path]

    def read(self, path: str) -> Reading:
        """What the tools have to say of the policy that an open text is of, or is a part of."""
        main, program = self._program(path)
        place = self._place(Path(main))
        # Without the site its attributes would be unknown names: then only the texts are looked at.
        usable = place.site is not None or not place.findings
        policy, findings = (
            check_policy(program, place.site, place.nodes) if usable else (None, program.findings)
        )
        if policy is not None:
            self._last[main] = policy
        reading = Reading(main, program, place, (*place.findings, *findings), policy or self._last.get(main))
        self._readings[path] = reading
        return reading

    def last(self, path: str) -> Reading:
        """What `read` said last, if no text has changed since."""
        return self._readings.get(path) or self.read(path)

    def again(self, reading: Reading, texts: dict[str, str]) -> list[Finding]:
        """What would be found if some of a reading's files had other texts."""
        at_hand = {Path(path).resolve(): text for path, text in (self._open | texts).items()}
        main = texts.get(reading.main) or reading.program.sources[0].text
        return check_policy(load_text(main, reading.main, at_hand), reading.place.site, reading.place.nodes)[
            1
        ]

    # ------------------------------------------------------------- the main file

    def _program(self, path: str) -> tuple[str, Program]:
        """The policy of an open text: its own, or that of the file that includes it."""
        at_hand = {Path(name).resolve(): text for name, text in self._open.items()}
        own = load_text(self._open[path], path, at_hand)
        if any(token.type == "POLICY" for token in tokens(self._open[path][:10_000])):
            return path, own
        wanted = Path(path).resolve()
        for other in self._neighbours(wanted):
            text = at_hand.get(other)
            program = load(other) if text is None else load_text(text, other, at_hand)
            if any(Path(source.path).resolve() == wanted for source in program.sources[1:]):
                return str(other), load_text(program.sources[0].text, other, at_hand)
        return path, own

    def _neighbours(self, path: Path) -> Iterator[Path]:
        """Policies that may include a file: those in its folder and above it, up to the root."""
        seen = 0
        for folder in self._folders(path):
            for other in sorted(folder.glob("*.policy")):
                seen += 1
                if seen > MOST_NEIGHBOURS:
                    return
                if other != path:
                    yield other

    def _folders(self, path: Path) -> Iterator[Path]:
        for folder in path.parents:
            yield folder
            if self.root is None or folder == self.root or self.root not in folder.parents:
                return

    # ------------------------------------------------------------------ the site

    def _place(self, path: Path) -> Place:
        file = self._site or next(
            (folder / SITE for folder in self._folders(path) if (folder / SITE).is_file()), None
        )
        if file is None:
            return Place()
        known = self._places.get(file)
        if known is None or any(_changed(each) != when for each, when in known[0]):
            known = self._places[file] = _read_place(file)
        return known[1]


def _read_place(file: Path) -> tuple[tuple[tuple[Path, int], ...], Place]:
    """The site of a file with its nodes, and when the files that it was read from were changed last."""
    when = [(file, _changed(file))]
    site: Site | None = None
    try:
        site = load_site(str(file))
        nodes: tuple[Node, ...] = ()
        if site.farm is not None:
            when.append((site.farm, _changed(site.farm)))
            nodes = load_farm(site.farm)
        place = Place(site, nodes)
    except DocumentError as error:
        place = Place(site, (), tuple(error.findings), dict(error.texts))
    return tuple(when), place


def _changed(file: Path) -> int:
    """When a file was changed last, in ns; 0 where it is not there."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
