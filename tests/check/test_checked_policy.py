"""What a sound policy comes to: names resolved, constants folded, orders inherited."""

from pathlib import Path

import pytest
from wnodes_engine.check import checked
from wnodes_engine.check.coverage import shape
from wnodes_engine.check.policy import check_policy
from wnodes_engine.language.load import load, load_text

POLICIES = sorted((Path(__file__).parents[2] / "policies").glob("*.policy"))

FRAME = """policy t
share grid 50% { share lhc 80%  share other 20% }
share local 50%
assign grid.lhc when origin == grid and group == "cms"
assign grid.other when origin == grid
assign local otherwise
route job, vmjob, vm, pool to farm
let lhc = {"alice", "cms"}
let small = 8
let batch = {job, vmjob}
"""


def sound(text: str) -> checked.CheckedPolicy:
    policy, findings = check_policy(load_text(text, "t.policy"))
    assert policy is not None, findings
    return policy


def condition(written: str) -> object:
    (rule,) = sound(FRAME + f'deny "no" when {written}\n').denies
    assert rule.condition.expr is not None
    return shape(rule.condition.expr)


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_a_shipped_policy_has_no_findings(path: Path) -> None:
    assert check_policy(load(path))[1] == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("origin == grid", ("==", ("Attr", "origin"), ("const", "grid"))),
        ("grid == origin", ("==", ("const", "grid"), ("Attr", "origin"))),
        ("share == grid.lhc", ("==", ("Attr", "share"), ("const", 2))),
        ("group in lhc", ("in", ("Attr", "group"), ("const", frozenset({"alice", "cms"})))),
        ("kind in batch", ("in", ("Attr", "kind"), ("const", frozenset({"job", "vmjob"})))),
        ("kind not in batch", ("not", ("in", ("Attr", "kind"), ("const", frozenset({"job", "vmjob"}))))),
        ("in grid", ("in share", 1)),
        ("cores > small * 4 + 2", (">", ("Attr", "cores"), ("const", 34))),
        ("-cores < -4", ("<", ("-", ("const", 0), ("Attr", "cores")), ("const", -4))),
        ("walltime == unlimited", ("==", ("Attr", "walltime"), ("const", checked.UNLIMITED))),
        ("memory > 1.5GiB", (">", ("Attr", "memory"), ("const", 1536))),
        ("memory > 12.5% * 8GiB", (">", ("Attr", "memory"), ("const", 1024))),
        ("time.weekday == sun", ("==", ("Attr", "time.weekday"), ("const", "sun"))),
    ],
)  # fmt: skip
def test_an_expression_means_what_its_types_say(written: str, meant: object) -> None:
    assert condition(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "kind in {vm, pool, vmjob} and not image.approved",
        "kind != job and image.approved",
        "has image and image.approved",
        "not has project or project == \"x\"",
        "not (not has project or project == \"x\")",
        "kind == job or image.approved",
        "not (kind == job or image.approved)",
        "(kind == vm or kind == pool) and image.approved",
        "(has image and cores > 4 or kind == vm) and image.approved",
        "cores > 4 unless kind == job or image.approved",
        "kind == vm unless image.approved",
        "has queue and has account and queue == account",
    ],
)  # fmt: skip
def test_a_guard_makes_an_attribute_readable(written: str) -> None:
    assert condition(written)


def test_a_percentage_of_a_quantity_is_counted_in_hundredths() -> None:
    tenth = ("/", ("*", ("const", 1000), ("Attr", "farm.cores")), ("const", 10_000))
    assert condition("cores > 10% * farm.cores") == (">", ("Attr", "cores"), tenth)


def test_one_of_several_numbers_is_any_of_them() -> None:
    one, two = (("==", ("Attr", "cores"), ("const", number)) for number in (1, 2))
    assert condition("cores in {1, 2}") == ("Or", one, two)


def test_when_and_unless_become_one_expression() -> None:
    assert condition('cores > 4 unless "ops" in roles') == (
        "And",
        (">", ("Attr", "cores"), ("const", 4)),
        ("not", ("in", ("const", "ops"), ("Attr", "roles"))),
    )


def test_an_unconditional_default_makes_an_attribute_readable() -> None:
    text = FRAME + 'default queue "short"\ndeny "no" when queue == "long"\n'
    assert sound(text).defaults[0].value == "short"


def test_a_conditional_default_does_not() -> None:
    text = FRAME + 'default queue "short" when cores > 4\ndeny "no" when queue == "long"\n'
    assert [finding.code for finding in check_policy(load_text(text, "t"))[1]] == ["E114"]


def test_shares_are_numbered_in_pre_order_under_the_farm() -> None:
    shares = sound(FRAME).shares
    assert [(share.index, share.path, share.parent) for share in shares] == [
        (0, "farm", None),
        (1, "grid", 0),
        (2, "grid.lhc", 1),
        (3, "grid.other", 1),
        (4, "local", 0),
    ]


def test_limits_speak_of_every_resource_unless_one_is_named() -> None:
    text = FRAME.replace("share local 50%", "share local 50% borrow none lend 20%, 10.5 hs23")
    own = sound(text).shares[4].portions
    assert own is not None
    assert set(own.borrow.values()) == {checked.Bound(absolute=0)}
    assert own.lend["cores"] == checked.Bound(percent=2000)
    assert own.lend["hs23"] == checked.Bound(absolute=10_500)


def test_an_order_is_inherited_by_the_leaves_that_have_none() -> None:
    text = FRAME + "order grid by fairshare of group half-life 3d, age strict\norder grid.other by size\n"
    policy = sound(text)
    lhc, other, local = (policy.orders[leaf] for leaf in (2, 3, 4))
    assert lhc.keys == (checked.OrderKey("fairshare", "group", 3 * 86_400), checked.OrderKey("age"))
    assert lhc.strict
    assert other.keys == (checked.OrderKey("size"),)
    assert (local.keys, local.strict) == ((checked.OrderKey("age"),), False)
    assert policy.halflife == {0: 7 * 86_400, 1: 3 * 86_400}


def test_a_fairshare_without_a_half_life_has_a_week() -> None:
    policy = sound(FRAME + "order local by fairshare of user\n")
    assert policy.orders[4].keys == (checked.OrderKey("fairshare", "user", 604_800),)


def test_an_action_without_kinds_is_for_all_that_it_fits() -> None:
    policy = sound(FRAME + "reclaim for any by requeue, shelve for vm, delete for pool after 5m\n")
    taking = policy.preempts[0].taking
    assert taking.actions == {"job": "requeue", "vmjob": "requeue", "vm": "shelve", "pool": "delete"}
    assert taking.after == 300


def test_preempt_names_leaves() -> None:
    rule = sound(FRAME + "preempt local for grid at most 2 per victim, 50 per hour by requeue\n").preempts[0]
    assert (rule.victims, rule.beneficiaries) == (frozenset({4}), frozenset({2, 3}))
    assert (rule.taking.per_victim, rule.taking.per_hour) == (2, 50)


@pytest.mark.parametrize(
    ("written", "period"),
    [
        ("Mon-Fri 20:00-08:00", checked.Period(0b0011111, 20 * 3600, 8 * 3600)),
        ("Sat,Sun", checked.Period(0b1100000, 0, 86_400)),
        ("22:00-06:00", checked.Period(0b1111111, 22 * 3600, 6 * 3600)),
        ("Fri-Mon", checked.Period(0b1110001, 0, 86_400)),
        ("wednesday 08:00-24:00", checked.Period(0b0000100, 8 * 3600, 86_400)),
        ("Mon-Wed, Fri 12:00 - 12:00", checked.Period(0b0010111, 12 * 3600, 12 * 3600)),
    ],
)
def test_a_window_is_read(written: str, period: checked.Period) -> None:
    policy = sound(FRAME + f'window w = "{written}"\nduring w {{ share local 30% }}\n')
    assert policy.windows[0].periods == (period,)


def test_a_rule_of_a_window_comes_where_the_window_stands() -> None:
    text = (
        'window w = "Sat"\ndefault walltime 1h when gpus > 0\n'
        "during w { default walltime 2h }\ndefault walltime 3h\n"
    )
    assert [rule.value for rule in sound(FRAME + text).defaults] == [3600, 7200, 10800]


def test_an_override_keeps_what_it_does_not_say() -> None:
    text = FRAME.replace("share local 50%", "share local 50% lend none")
    policy = sound(text + 'window w = "Sat"\nduring w { share local 30%  deny "no" when cores > 4 }\n')
    own = policy.windows[0].shares[4]
    assert own.portions == {"cores": checked.Portion(percent=3000)}
    assert own.lend["cores"] == checked.Bound(absolute=0)
    assert policy.denies[0].condition.window == 0


def test_a_group_of_nodes_stands_for_its_nodes() -> None:
    text = FRAME + 'group gpu = nodes "gpu*" with "a100"\nnodes gpu with "ssd" only when gpus > 0\n'
    assert sound(text).node_rules[0].nodes == checked.NodeSet(("gpu*",), ("ssd", "a100"))


def test_a_downtime_is_in_seconds_since_the_epoch() -> None:
    text = FRAME + 'downtime "1970-01-02 00:00" to "1970-01-02 00:01" on nodes all\n'
    downtime = sound(text).downtimes[0]
    assert (downtime.begin, downtime.end, downtime.nodes) == (86_400, 86_460, checked.NodeSet((), ()))


def test_a_limit_of_hs23_is_in_thousandths() -> None:
    ceiling = sound(FRAME + "quota for share grid: hs23 <= 10.5\n").quotas[0].ceilings[0]
    assert isinstance(ceiling.bound, checked.Const)
    assert ceiling.bound.value == 10_500


def test_the_digest_follows_the_text_and_not_its_place() -> None:
    one, same, other = (
        sound(FRAME),
        check_policy(load_text(FRAME, "elsewhere.policy"))[0],
        sound(FRAME + "\n"),
    )
    assert same is not None
    assert one.digest == same.digest != other.digest
