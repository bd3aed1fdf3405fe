"""The canonical layout as people see it: what goes where."""

import pytest
from wnodes_engine.format import formatted
from wnodes_engine.language.source import Source


def layout(text: str) -> str:
    result = formatted(Source("t.policy", text))
    assert result.text is not None, result.findings
    return result.text


@pytest.mark.parametrize(
    ("written", "laid_out"),
    [
        ("share  a   50%   borrow any", "share a 50% borrow any"),
        ("share a 50% { share b 20% share c 80% }", "share a 50% {\n    share b 20%\n    share c 80%\n}"),
        ("share a 50% {}", "share a 50% {\n}"),
        ("priority + 1000 when 'x'".replace("'x'", '"x" in roles'), 'priority +1000 when "x" in roles'),
        ("cap walltime 7d*2 unless(cores>4)", "cap walltime 7d * 2 unless (cores > 4)"),
        ("default priority - 5", "default priority -5"),
        ("deny \"x\" when cores-1>-1", 'deny "x" when cores - 1 > -1'),
        ("let s={ vm ,pool , }", "let s = {vm, pool}"),
        ("quota for each user in a:cores<=4,running<=3 else deny",
         "quota for each user in a: cores <= 4, running <= 3 else deny"),
        ('during nights { share a 5% deny "no" when cores>4 }',
         'during nights {\n    share a 5%\n    deny "no" when cores > 4\n}'),
    ],
)  # fmt: skip
def test_a_statement_has_one_layout(written: str, laid_out: str) -> None:
    assert layout(written) == laid_out + "\n"


def test_a_long_rule_has_a_line_for_each_clause() -> None:
    assert layout(
        "preempt cloud.personal for grid.lhc when waited > 30m taking lowest priority, shortest runtime"
        " at most 2 per victim, 50 per hour by shelve after 5m"
    ) == (
        "preempt cloud.personal for grid.lhc\n"
        "    when waited > 30m\n"
        "    taking lowest priority, shortest runtime\n"
        "    at most 2 per victim, 50 per hour\n"
        "    by shelve after 5m\n"
    )


def test_a_long_condition_goes_on_before_and_and_or() -> None:
    roles = " or ".join(f'"a-rather-long-role-number-{n}" in roles' for n in range(4))
    assert layout(f'deny "no" when {roles}') == (
        'deny "no"\n'
        '    when "a-rather-long-role-number-0" in roles or "a-rather-long-role-number-1" in roles\n'
        '        or "a-rather-long-role-number-2" in roles or "a-rather-long-role-number-3" in roles\n'
    )


def test_comments_stay_where_they_were_read() -> None:
    text = (
        "# What this is for.\n"
        "\n"
        'policy t "a title"  # the name of the site\n'
        "\n"
        "# The Grid.\n"
        "share grid 50% {  # pledged\n"
        "    # The large ones.\n"
        "    share lhc 80%  # and more\n"
        "\n"
        "    share small 20%\n"
        "    # There may be others.\n"
        "}  # of the Grid\n"
        "deny\n"
        "    # Why this is here.\n"
        '    "no"  # told to the user\n'
        "    when cores > 4\n"
        "# The end.\n"
    )
    assert layout(text) == text


def test_one_empty_line_is_kept_and_no_more_and_none_inside_the_braces() -> None:
    text = "\n\npolicy t\nlet a = 1\n\n\n\nlet b = 2\nlet c = 3\nshare a 5% {\n\nshare b 5%\n\n}\n\n\n"
    assert layout(text) == (
        "policy t\n\nlet a = 1\n\nlet b = 2\nlet c = 3\nshare a 5% {\n    share b 5%\n}\n"
    )


def test_line_ends_of_other_systems_become_line_feeds() -> None:
    assert layout("let a = 1  # one\r\nlet b = 2\r\n") == "let a = 1  # one\nlet b = 2\n"
