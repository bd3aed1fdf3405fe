"""JUnit's XML, which CI systems show: suites of cases that passed or failed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as Xml

_NOT_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a suite: it failed where `failures` says why; `told` is what it says all the same."""

    name: str
    group: str
    file: str
    line: int | None = None
    failures: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def as_junit(name: str, suites: Iterable[tuple[str, Sequence[Case]]]) -> str:
    """A document of that name with these suites, by theirs. What XML has no characters for is replaced."""
    top = Xml.Element("testsuites", {"name": name})
    for title, cases in suites:
        failed = sum(bool(case.failures) for case in cases)
        counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0"}
        suite = Xml.SubElement(top, "testsuite", {"name": _xml(title), **counts})
        for case in cases:
            names = {"name": _xml(case.name), "classname": _xml(case.group), "file": _xml(case.file)}
            line = {} if case.line is None else {"line": str(case.line)}
            made = Xml.SubElement(suite, "testcase", {**names, **line})
            if case.failures:
                failure = Xml.SubElement(made, "failure", {"message": _xml(case.failures[0])})
                failure.text = _xml("\n".join(case.failures))
            if case.told:
                Xml.SubElement(made, "system-out").text = _xml("\n".join(case.told))
    Xml.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(top, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
