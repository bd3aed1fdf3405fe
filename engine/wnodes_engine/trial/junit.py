"""Results of policy tests as JUnit's XML, which CI systems show."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from wnodes_engine.trial.running import Result


def as_junit(results: Sequence[Result]) -> str:
    """One suite for each file of tests, one case for each test."""
    suites = Xml.Element("testsuites", name="wnodes-policy test")
    for file in dict.fromkeys(result.file for result in results):
        of_file = [result for result in results if result.file == file]
        failed = sum(bool(result.differences) for result in of_file)
        suite = Xml.SubElement(suites, "testsuite", name=file, tests=str(len(of_file)), failures=str(failed))
        for result in of_file:
            case = Xml.SubElement(
                suite, "testcase", name=result.name, classname=file, file=file, line=str(result.line)
            )
            if result.differences:
                said = "\n".join(
                    f"{each.what}: expected {each.expected}, got {each.got}" for each in result.differences
                )
                Xml.SubElement(case, "failure", message=said.split("\n")[0]).text = said
    Xml.indent(suites)
    return Xml.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
