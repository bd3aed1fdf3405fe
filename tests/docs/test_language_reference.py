"""The language reference: every example means what it says, and its tables are those of the vocabulary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from wnodes_engine.check.policy import check_policy
from wnodes_engine.check.preemption import FITTING
from wnodes_engine.core.tree import empty_tree
from wnodes_engine.findings import Finding
from wnodes_engine.frames import as_text
from wnodes_engine.language import syntax
from wnodes_engine.language.complaints import STATEMENTS
from wnodes_engine.language.load import load_text
from wnodes_engine.language.vocabulary import (
    AFTER_ASSIGN,
    ATTRIBUTES,
    CAPPABLE,
    DEFAULTABLE,
    FAIRSHARE_OF,
    REQUEST_PHASES,
    SCOPE_KEYS,
    STATE_PHASES,
    TEMPLATE_FIELDS,
    Phase,
)

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "language.md").read_text()
GRAMMAR = (ROOT / "engine" / "wnodes_engine" / "language" / "grammar.lark").read_text()

EXAMPLES = re.findall(r"^```policy(.*)\n((?:.*\n)*?)```$", REFERENCE, re.MULTILINE)
WHOLE = [text for mark, text in EXAMPLES if not mark]
FRAGMENTS = [text for mark, text in EXAMPLES if mark.strip() == "fragment"]
WRONG = [(mark.split()[1], text) for mark, text in EXAMPLES if mark.startswith(" wrong ")]

SHARES = """
share grid 50% { share lhc 80%  share small 20% }
share local 30%
share cloud 20% { share services 25%  share personal 75% }
"""
ASSIGNS = """
assign cloud.services when kind == vm and "service-operator" in roles
assign cloud.personal when kind in {vm, pool}
assign grid.lhc when origin == grid and group == "cms"
assign grid.small when origin == grid
assign local otherwise
"""
ROUTES = "\nroute job, vmjob, vm, pool to slurm\n"
UNUSED = {"W105", "W106"}
"""What a fragment may leave unsaid: a value that it does not use, a share that it assigns nothing to."""


def whole(fragment: str, folder: Path) -> str:
    """A fragment with the least that makes it a policy."""
    statements = load_text("policy p\n" + fragment, folder / "p.policy").policy
    assert statements is not None
    has = {type(statement) for statement in statements.statements}
    rest = [(syntax.Share, SHARES), (syntax.Assign, ASSIGNS), (syntax.Route, ROUTES)]
    return "policy p\n" + fragment + "".join(text for sort, text in rest if sort not in has)


def findings_of(text: str, folder: Path) -> Sequence[Finding]:
    program = load_text(text, folder / "p.policy")
    findings = check_policy(program)[1]
    for finding in findings:
        print(as_text([finding], program.texts))  # noqa: T201 - shown where the test fails
    return findings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "quotas.policy").write_text("quota for each user: running <= 5000\n")
    return tmp_path


@pytest.mark.parametrize("text", WHOLE, ids=lambda text: text.split()[1])
def test_a_whole_policy_has_no_findings(text: str, tmp_path: Path) -> None:
    assert not findings_of(text, tmp_path)


@pytest.mark.parametrize("text", FRAGMENTS, ids=lambda text: " ".join(text.split()[:3]))
def test_a_fragment_is_sound(text: str, folder: Path) -> None:
    assert not [found for found in findings_of(whole(text, folder), folder) if found.code not in UNUSED]


@pytest.mark.parametrize(("code", "text"), WRONG)
def test_what_is_shown_as_wrong_is_told_so(code: str, text: str, folder: Path) -> None:
    assert [found.code for found in findings_of(whole(text, folder), folder)] == [code]


def test_every_word_of_the_language_is_shown_in_an_example() -> None:
    rules = GRAMMAR[: GRAMMAR.index("?name: NAME")] + GRAMMAR[GRAMMAR.index("_EQUAL:") :]
    keywords = set(re.findall(r'"([a-z][a-z0-9]+)"', rules)) | {"half-life"}
    shown = set(re.findall(r"[a-z][a-z0-9_-]*", " ".join(text for _, text in EXAMPLES)))
    assert keywords - shown == set()


# --------------------------------------------------------------------- tables


def where(phases: frozenset[Phase]) -> str:
    """The phases in which an attribute can be read, as the reference calls them."""
    named = {
        REQUEST_PHASES: "everywhere",
        AFTER_ASSIGN: "after `assign`",
        STATE_PHASES: "`cap`, `deny`, preemption",
        STATE_PHASES | {Phase.BOUND}: "`cap`, `deny`, preemption, a quota's limit",
        frozenset({Phase.PREEMPT}): "preemption",
        frozenset({Phase.SPARE}): "`sparing`",
        frozenset({Phase.PREEMPT, Phase.SPARE}): "preemption, `sparing`",
    }
    return named[phases]


def attribute_table() -> str:
    """Every attribute of the vocabulary, as the reference has to show it."""
    rows = ["| attribute | type | who says so | needs | read in | |", "|---|---|---|---|---|---|"]
    for attribute in ATTRIBUTES.values():
        guard = f"`has {attribute.guard}`" if attribute.guard else ""
        trust = attribute.trust.name.lower()
        rows.append(
            f"| `{attribute.name}` | {attribute.type} | {trust} | {guard} | {where(attribute.phases)} "
            f"| {attribute.doc} |"
        )
    return "\n".join(rows)


def test_the_attributes_are_those_of_the_vocabulary() -> None:
    assert attribute_table() in REFERENCE, f"write this there:\n{attribute_table()}"


@pytest.mark.parametrize(
    "words", [DEFAULTABLE, CAPPABLE, SCOPE_KEYS, FAIRSHARE_OF, TEMPLATE_FIELDS], ids=lambda words: words[0]
)
def test_the_lists_of_words_are_those_of_the_vocabulary(words: Sequence[str]) -> None:
    assert listed(words) in " ".join(REFERENCE.split()), f"write this there:\n{listed(words)}"


def listed(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def test_the_actions_are_for_the_kinds_that_they_fit() -> None:
    for action, kinds in FITTING.items():
        assert f"| `{action}` | {listed(sorted(kinds))} |" in REFERENCE


def worked_table() -> str:
    """What the share tree of the worked example comes to, on 1,000 cores."""
    text = next(text for text in WHOLE if text.startswith("policy worked"))
    policy, _ = check_policy(load_text(text, "worked.policy"))
    assert policy is not None
    capacity = (1000, 0, 0, 0, 0)
    tree = empty_tree(policy.shares, capacity, capacity)
    worth = tree.live
    idle = [tree.free(share.index, 0) for share in policy.shares]
    lhc = next(share.index for share in policy.shares if share.path == "grid.lhc")
    tree.charge(lhc, ((0, 600),), 1)
    rows = ["| share | N | S | local | most | free, idle | free, 600 used |", "|---|--:|--:|--:|--:|--:|--:|"]
    for share in policy.shares:
        n = share.index
        numbers = (worth.amount[0][n], worth.s[0][n], worth.local[0][n], worth.most[0][n], idle[n])
        rows.append(f"| `{share.path}` | {' | '.join(map(str, (*numbers, tree.free(n, 0))))} |")
    return "\n".join(rows)


def test_the_worked_example_is_worked_by_the_engine() -> None:
    assert worked_table() in REFERENCE, f"write this there:\n{worked_table()}"


def test_every_statement_is_shown_as_the_tools_show_it() -> None:
    assert "\n".join(STATEMENTS.values()) in REFERENCE
