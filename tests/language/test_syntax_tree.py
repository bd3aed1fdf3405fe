"""What is written, and the tree that it becomes; every node knows where it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields
from wnodes_engine.language import literals
from wnodes_engine.language import syntax as tree
from wnodes_engine.language.parser import parse
from wnodes_engine.language.source import Source, Span, span_at

POLICIES = Path(__file__).parents[2] / "policies"

CONSTRUCTS = {
    'include "a.policy"': 'Include(path="a.policy")',
    "let a = 5": "Let(name=a value=5)",
    'let lhc = {"alice", "cms",}': 'Let(name=lhc value=SetLiteral(items=["alice", "cms"]))',
    "let none_of_them = {}": "Let(name=none_of_them value=SetLiteral())",
    # Shares.
    "share a 50%": "Share(name=a path=a amounts=[Amount(value=50%)])",
    "share a 50%, 10% gpus, 20TiB memory borrow 20%, 0 gpus lend none": (
        "Share(name=a path=a amounts=[Amount(value=50%), Amount(value=10% resource=gpus),"
        " Amount(value=20TiB resource=memory)] borrow=Limit(amounts=[Amount(value=20%),"
        " Amount(value=0 resource=gpus)]) lend=Limit(word=none))"
    ),
    "share a weight 3 lend any borrow none": (
        "Share(name=a path=a amounts=[Amount(value=3 is_weight)]"
        " borrow=Limit(word=none) lend=Limit(word=any))"
    ),
    "share a 20000 hs23": "Share(name=a path=a amounts=[Amount(value=20000 resource=hs23)])",
    "share a 5% { share b 10 cores share c { } }": (
        "Share(name=a path=a amounts=[Amount(value=5%)] children=[Share(name=b path=b"
        " amounts=[Amount(value=10 resource=cores)]), Share(name=c path=c)])"
    ),
    # Rules.
    "default walltime 12h when origin == grid": (
        "Default(attribute=walltime value=12h guard=Guard(when=Compare(op='==' left=origin right=grid)))"
    ),
    "default walltime unlimited": "Default(attribute=walltime value=Unlimited() guard=Guard())",
    "cap cores 2 * 8 unless in a.b": (
        "Cap(attribute=cores value=Arithmetic(op='*' left=2 right=8) guard=Guard(unless=InShare(share=a.b)))"
    ),
    "assign a.b when kind == vm unless x": (
        "Assign(share=a.b guard=Guard(when=Compare(op='==' left=kind right=vm) unless=x))"
    ),
    "assign a otherwise": "Assign(share=a guard=Guard() otherwise)",
    'deny "closed"': 'Deny(reason="closed" guard=Guard())',
    'deny "no" when not image.approved': ('Deny(reason="no" guard=Guard(when=Not(operand=image.approved)))'),
    "priority 100": "Priority(value=100 guard=Guard())",
    'priority +1000 when "ops" in roles': (
        "Priority(sign='+' value=1000 guard=Guard(when=Member(left=\"ops\" right=roles)))"
    ),
    "priority -10 per 1h waited unless x": ("Priority(sign='-' value=10 per=1h guard=Guard(unless=x))"),
    # Quotas.
    'quota for group "cms" in grid: cores <= 4000, running <= 2000': (
        'Quota(scope=Scope(key=group value="cms") within=grid guard=Guard()'
        " ceilings=[Ceiling(resource=cores bound=4000), Ceiling(resource=running bound=2000)])"
    ),
    "quota for each user in a when gpus > 0: memory <= 160GiB else deny": (
        "Quota(scope=Scope(key=user each) within=a guard=Guard(when=Compare(op='>' left=gpus right=0))"
        " ceilings=[Ceiling(resource=memory bound=160GiB)] otherwise=deny)"
    ),
    "quota for share a.b: core_hours <= farm.cores * 24 per 30d else wait": (
        "Quota(scope=Scope(key=share value=a.b) guard=Guard() ceilings=[Ceiling(resource=core_hours"
        " bound=Arithmetic(op='*' left=farm.cores right=24) per=30d)] otherwise=wait)"
    ),
    'quota for nodes "gpu*": cores <= 40': (
        'Quota(scope=Scope(key=nodes nodes=Nodes(patterns=["gpu*"])) guard=Guard()'
        " ceilings=[Ceiling(resource=cores bound=40)])"
    ),
    # Order and preemption.
    "order a by fairshare of group half-life 7d, priority, age, size best effort": (
        "Order(share=a keys=[OrderKey(key=fairshare of=group half_life=7d), OrderKey(key=priority),"
        " OrderKey(key=age), OrderKey(key=size)] strict=no)"
    ),
    "order any by fairshare of user strict": "Order(keys=[OrderKey(key=fairshare of=user)] strict)",
    "order any by age": "Order(keys=[OrderKey(key=age)])",
    "reclaim for any": "Preempt(how=reclaim taking=Taking(guard=Guard()))",
    "reclaim for a.b after 5m by requeue for job, vmjob, shelve for vm when x sparing y unless z": (
        "Preempt(how=reclaim beneficiary=a.b taking=Taking(guard=Guard(when=x unless=z) sparing=y"
        " actions=[Act(action=requeue kinds=[job, vmjob]), Act(action=shelve kinds=[vm])] after=5m))"
    ),
    "preempt a for b taking lowest priority, shortest runtime at most 2 per victim, 50 per hour": (
        "Preempt(how=for victim=a beneficiary=b taking=Taking(guard=Guard() order=[VictimKey(extreme=lowest"
        " of=priority), VictimKey(extreme=shortest of=runtime)] budgets=[Budget(count=2 of=victim),"
        " Budget(count=50 of=hour)]))"
    ),
    "preempt a for b even below nominal even borrowing including native by delete": (
        "Preempt(how=for victim=a beneficiary=b below_nominal borrowing taking=Taking(guard=Guard()"
        " actions=[Act(action=delete)] native))"
    ),
    "preempt self when priority < 5": (
        "Preempt(how=self taking=Taking(guard=Guard(when=Compare(op='<' left=priority right=5))))"
    ),
    "preempt self in a.b": "Preempt(how=self victim=a.b taking=Taking(guard=Guard()))",
    "preempt fairly": "Preempt(how=fairly taking=Taking(guard=Guard()))",
    "preempt fairly in a.b by requeue": (
        "Preempt(how=fairly victim=a.b taking=Taking(guard=Guard() actions=[Act(action=requeue)]))"
    ),
    # Time and nodes.
    'window nights = "Mon-Fri 20:00-08:00", "Sat,Sun"': (
        'Window(name=nights times=["Mon-Fri 20:00-08:00", "Sat,Sun"])'
    ),
    "during nights { share a.b 5% lend none priority 7 }": (
        "During(window=nights body=[Share(name=b path=a.b amounts=[Amount(value=5%)] lend=Limit(word=none)),"
        " Priority(value=7 guard=Guard())])"
    ),
    'group g = nodes "a*", "b*" with "ssd", "ib"': (
        'NodeGroup(name=g nodes=Nodes(patterns=["a*", "b*"] properties=["ssd", "ib"]))'
    ),
    "nodes g, h only when x": ("NodeRule(nodes=Nodes(groups=[g, h]) guard=Guard(when=x))"),
    'nodes with "ssd" preferred unless x': (
        'NodeRule(nodes=Nodes(properties=["ssd"]) preferred guard=Guard(unless=x))'
    ),
    "nodes all only when x": "NodeRule(nodes=Nodes() guard=Guard(when=x))",
    "place pool, vm spread": "Place(kinds=[pool, vm] spread guard=Guard())",
    "place job pack when cores > 8": (
        "Place(kinds=[job] guard=Guard(when=Compare(op='>' left=cores right=8)))"
    ),
    "place pool spread over a, b unless x": (
        "Place(kinds=[pool] spread groups=[a, b] guard=Guard(unless=x))"
    ),
    "place job pack in one of over, one": "Place(kinds=[job] groups=[over, one] in_one guard=Guard())",
    'downtime "2026-12-03" to "2026-12-04 18:00" on nodes "r1*"': (
        'Downtime(begin="2026-12-03" finish="2026-12-04 18:00" nodes=Nodes(patterns=["r1*"]))'
    ),
    'route vm, pool to openstack through slurm queue "q" account "a" image "i" flavour "f" when x': (
        'Route(kinds=[vm, pool] target=openstack through=slurm queue="q" account="a" image="i" flavour="f"'
        " guard=Guard(when=x))"
    ),
    "route job to slurm": "Route(kinds=[job] target=slurm guard=Guard())",
}

EXPRESSIONS = {
    "a or b and not c": "Or(operands=[a, And(operands=[b, Not(operand=c)])])",
    "a and b and c": "And(operands=[a, b, c])",
    "(a or b) and c": "And(operands=[Or(operands=[a, b]), c])",
    "1 + 2 * 3 - 4": (
        "Arithmetic(op='-' left=Arithmetic(op='+' left=1 right=Arithmetic(op='*' left=2 right=3)) right=4)"
    ),
    "(1 + 2) / 3": "Arithmetic(op='/' left=Arithmetic(op='+' left=1 right=2) right=3)",
    "-a * 2 >= -(b)": (
        "Compare(op='>=' left=Arithmetic(op='*' left=Negative(operand=a) right=2) right=Negative(operand=b))"
    ),
    "a <= 1": "Compare(op='<=' left=a right=1)",
    "a != true": "Compare(op='!=' left=a right=true)",
    "a == false": "Compare(op='==' left=a right=false)",
    "a in {vm, pool}": "Member(left=a right=SetLiteral(items=[vm, pool]))",
    '"x" not in roles': 'Member(left="x" right=roles negated)',
    "in a.b": "InShare(share=a.b)",
    "not in a.b": "InShare(share=a.b negated)",
    "not (not in a)": "Not(operand=InShare(share=a negated))",
    "has image and not has project": "And(operands=[Has(name=image), Not(operand=Has(name=project))])",
    'a startswith "x" or a like "*y"': (
        "Or(operands=[Match(op='startswith' left=a right=\"x\"), Match(op='like' left=a right=\"*y\")])"
    ),
    "walltime == unlimited": "Compare(op='==' left=walltime right=Unlimited())",
    r'"a \"b\" \\c"': r'"a "b" \c"',
}


@pytest.mark.parametrize("text", CONSTRUCTS)
def test_a_statement_becomes_its_node(text):
    assert [dump(statement) for statement in parsed(text).statements] == [CONSTRUCTS[text]]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_becomes_its_node(text):
    (let,) = parsed(f"let x = {text}").statements
    assert dump(let.value) == EXPRESSIONS[text]


def test_all_statements_can_stand_on_one_line():
    assert len(parsed(" ".join(CONSTRUCTS)).statements) == len(CONSTRUCTS)


def test_every_kind_of_node_is_among_the_examples():
    seen = {type(node) for node in nodes(parsed("policy every " + " ".join(CONSTRUCTS)))}
    seen |= {type(node) for text in EXPRESSIONS for node in nodes(parsed(f"let x = {text}"))}
    assert seen >= {
        *get_args(tree.Expr),
        *get_args(tree.Statement),
        tree.Policy,
        tree.Act,
        tree.Budget,
        tree.Limit,
    }


def test_a_heading_has_a_name_and_perhaps_a_title():
    policy = parsed('policy tier1 "one farm"')
    assert (policy.name, policy.title.value) == ("tier1", "one farm")
    assert parsed("policy a").title is None
    assert parsed("").name is None


def test_an_empty_text_is_a_policy_without_statements():
    assert parsed("  # nothing\n").statements == ()


@pytest.mark.parametrize(
    "text", [" ".join(CONSTRUCTS), "\n\n".join(CONSTRUCTS), "# é\n" + "\r\n".join(CONSTRUCTS)]
)
def test_every_node_stands_where_its_span_says(text):
    check_spans(text)


@pytest.mark.parametrize("file", sorted(POLICIES.rglob("*.policy")), ids=lambda path: path.stem)
def test_every_node_of_the_shipped_policies_stands_where_its_span_says(file):
    check_spans(file.read_text())


@given(
    st.lists(st.sampled_from(sorted(CONSTRUCTS))), st.sampled_from([" ", "\n", "\r\n\t", " # é\n", "\n\n  "])
)
@settings(max_examples=30, deadline=None)
def test_every_node_stands_where_its_span_says_whatever_is_around_it(statements, between):
    check_spans(between.join(["", *statements, ""]))


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_the_text_at_an_expressions_span_is_that_expression(text):
    source = f"let x = {text}"
    for node in nodes(parsed(source)):
        if isinstance(node, get_args(tree.Expr)):
            (again,) = parsed(f"let x = {source[node.span.start : node.span.end]}").statements
            assert dump(again.value) == dump(node)


def check_spans(text):
    policy = parsed(text)
    source = Source("x.policy", text)
    for statement in policy.statements:
        written = text[statement.span.start : statement.span.end]
        assert [dump(again) for again in parsed(written).statements] == [dump(statement)]
    for node in nodes(policy):
        for span in (getattr(node, field.name) for field in fields(node) if field.name.endswith("span")):
            if span is not None:
                assert span == span_at(source, span.start, span.end)
                assert text[span.start : span.end].strip() == text[span.start : span.end]
        for child in children(node):
            outer, inner = getattr(node, "span", None), getattr(child, "span", None)
            assert outer is None or inner is None or outer.start <= inner.start <= inner.end <= outer.end
        match node:
            case tree.Number():
                assert text[node.span.start : node.span.end] == node.text
            case tree.Name():
                assert re.sub(r"[()\s]", "", text[node.span.start : node.span.end]) == node.dotted
            case tree.Text():
                assert literals.unquote(text[node.span.start : node.span.end].strip("( )")) == node.value
            case tree.Let() | tree.Share() | tree.Window() | tree.NodeGroup():
                assert text[node.name_span.start : node.name_span.end].split(".")[-1] == node.name


def parsed(text):
    result = parse(Source("x.policy", text))
    assert result.findings == ()
    return result.policy


def nodes(node):
    yield node
    for child in children(node):
        yield from nodes(child)


def children(node):
    for field in fields(node):
        value = getattr(node, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Struct) and not isinstance(item, Span):
                yield item


def dump(node):
    """A node as text, without its spans and without what is absent."""
    match node:
        case tuple():
            return f"[{', '.join(dump(item) for item in node)}]"
        case tree.Number():
            return node.text
        case tree.Name():
            return node.dotted
        case tree.Text():
            return f'"{node.value}"'
        case tree.Truth():
            return str(node.value).lower()
        case _ if not isinstance(node, Struct):
            return repr(node) if node in {"+", "-", "*", "/"} or not str(node).isidentifier() else str(node)
    shown = []
    for field in fields(node):
        value = getattr(node, field.name)
        if value is True:
            shown.append(field.name)
        elif value is False and field.name == "strict":
            shown.append("strict=no")
        elif value not in (None, False, (), "") and not field.name.endswith("span"):
            quoted = isinstance(value, str) and field.name == "op"
            shown.append(f"{field.name}={repr(value) if quoted else dump(value)}")
    return f"{type(node).__name__}({' '.join(shown)})"
