"""What holds for every text whatsoever; a broken law is an exception."""

from __future__ import annotations

from wnodes_engine.check.mending import mended
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.compile.cost import cost
from wnodes_engine.findings import CODES, Finding, has_errors
from wnodes_engine.format import formatted
from wnodes_engine.frames import as_json, as_text
from wnodes_engine.language.load import Program, load_sources
from wnodes_engine.language.source import Source, span_at


def keep(text: str) -> None:
    """The text is read, checked, formatted, mended and compiled, as far as it is sound; nothing fails."""
    source = Source("x.policy", text)
    program = load_sources([source])
    told(program.findings, source)
    if program.policy is not None:
        checked_laws(program, source)
    first = formatted(source)
    if first.text is not None:
        assert formatted(Source("x.policy", first.text)).text == first.text


def checked_laws(program: Program, source: Source) -> None:
    """What was read is checked, and what is sound is compiled and can be mended."""
    policy, findings = check_policy(program)
    told(findings, source)
    assert (policy is None) == has_errors(findings)
    if policy is None:
        return
    cost(policy)
    compile_policy(policy)
    better, _ = mended(program)
    assert mended(better) == (better, [])


def told(findings: list[Finding] | tuple[Finding, ...], source: Source) -> None:
    """Every finding has a code of the table, and lies inside of the text."""
    for finding in findings:
        assert finding.code in CODES
        assert finding.message
        for span in (finding.span, *(note.span for note in finding.notes)):
            assert 0 <= span.start <= span.end <= len(source.text)
            assert span == span_at(source, span.start, span.end)
    as_text(findings, {source.path: source.text})
    as_json(findings)
