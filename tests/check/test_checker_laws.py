"""Laws of the checker: whatever parses is checked without failing, and findings lie in the text."""

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from wnodes_engine.check.policy import check_policy
from wnodes_engine.findings import has_errors
from wnodes_engine.language.load import load_text
from wnodes_engine.language.vocabulary import ATTRIBUTES, MEMBERS

TIER1 = (Path(__file__).parents[2] / "policies" / "tier1.policy").read_text()
TOKENS = re.findall(r'\s+|#[^\n]*|"[^"\n]*"|[A-Za-z_][\w.]*|\d+(?:\.\d+)?[\w%]*|[^\s]', TIER1)
WORDS = sorted(
    ATTRIBUTES.keys()
    | {word for words in MEMBERS.values() for word in words}
    | {"grid", "grid.lhc", "cloud.personal", "lhc", "nights", "v", "w", "nothing", "unlimited", "true"}
)

names = st.sampled_from(WORDS)
numbers = st.sampled_from(["0", "1", "8", "1.5", "50%", "12.5%", "7d", "30m", "4GiB", "999999999999999"])
texts = st.sampled_from(
    ['"cms"', '"x*"', '""', '"{share}"', '"{queue}"', '"Mon-Fri 20:00-08:00"', '"2026-02-30 06:00"']
)


def expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/"]), inner),
        st.builds("({} in {})".format, inner, names),
        st.builds("({} not in {{{}, {}}})".format, inner, inner, inner),
        st.builds("({} startswith {})".format, inner, texts),
        st.builds("({} like {})".format, inner, texts),
        st.builds("-{}".format, inner),
    )


atoms = st.one_of(
    names, numbers, texts, st.builds("(in {})".format, names), st.builds("(has {})".format, names)
)
expression = st.recursive(atoms, expressions, max_leaves=8)
statement = st.one_of(
    st.builds("let v = {}\n".format, expression),
    st.builds('deny "no" when {} unless {}\n'.format, expression, expression),
    st.builds("assign {} when {}\n".format, names, expression),
    st.builds("default {} {} when {}\n".format, names, expression, expression),
    st.builds("cap {} {}\n".format, names, expression),
    st.builds("quota for each {} in {}: {} <= {}\n".format, names, names, names, expression),
    st.builds("quota for {} {}: core_hours <= {} per {}\n".format, names, texts, expression, numbers),
    st.builds("priority {} when {}\n".format, numbers, expression),
    st.builds("share s {} {{ share t {} borrow {} lend {} }}\n".format, numbers, numbers, numbers, numbers),
    st.builds("window w = {}\nduring w {{ share {} {} }}\n".format, texts, names, numbers),
    st.builds("order {} by fairshare of {} half-life {}\n".format, names, names, numbers),
    st.builds("reclaim for {} when {} sparing {} by requeue\n".format, names, expression, expression),
    st.builds("preempt {} for {} when {} by delete\n".format, names, names, expression),
    st.builds("route {} to farm queue {} when {}\n".format, names, texts, expression),
    st.builds("place {} spread when {}\n".format, names, expression),
    st.builds("group g = nodes {}\nplace job pack over g, {}\n".format, texts, names),
    st.builds("downtime {} to {} on nodes {}\n".format, texts, texts, names),
)


def check(text: str) -> None:
    program = load_text(text, "t.policy")
    policy, findings = check_policy(program)
    assert (policy is None) == has_errors(findings)
    for finding in findings:
        for span in (finding.span, *(note.span for note in finding.notes)):
            assert 0 <= span.start <= span.end <= len(text)


@settings(deadline=None, max_examples=150)
@given(st.lists(statement, max_size=4))
def test_no_statement_makes_the_checker_fail(statements: list[str]) -> None:
    check("".join([TIER1, *statements]))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, len(TOKENS) - 1), st.one_of(names, numbers, texts)), max_size=3))
def test_no_change_of_a_word_makes_the_checker_fail(changes: list[tuple[int, str]]) -> None:
    tokens = list(TOKENS)
    for at, token in changes:
        if not tokens[at].isspace():
            tokens[at] = token
    check("".join(tokens))


def test_findings_are_the_same_in_every_run() -> None:
    broken = TIER1.replace("lhc", "lch", 1).replace("50%", "70%", 1).replace("walltime 12h", "walltime 12")
    program = load_text(broken, "t.policy")
    assert check_policy(program) == check_policy(program)
