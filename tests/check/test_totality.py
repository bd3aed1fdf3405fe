"""Holes are found with a request that falls into them; lists that are total are let pass."""

import pytest
from wnodes_engine.check.policy import check_policy
from wnodes_engine.findings import Finding
from wnodes_engine.language.load import load_text

HEAD = "policy t\nshare a 50%\nshare b 50%\n"
ROUTE = "route job, vmjob, vm, pool to farm\n"


def findings_of(text: str) -> list[Finding]:
    return check_policy(load_text(text, "t.policy"))[1]


@pytest.mark.parametrize(
    "assigns",
    [
        "assign a when origin == grid\nassign b otherwise",
        "assign a when origin == grid\nassign b when origin != grid",
        "assign a when origin in {grid, cloud}\nassign b when origin == local",
        "assign a when group == \"x\"\nassign b when group != \"x\"",
        "assign a when cores <= 8\nassign b when cores >= 9",
        "assign a when cores < 8 and kind == job\nassign b when cores >= 8 or kind != job",
        "assign a when \"ops\" in roles\nassign b unless \"ops\" in roles",
        "assign a when cores * 2 > gpus\nassign b when not cores * 2 > gpus",
        "assign a when walltime == unlimited\nassign b when walltime <= 7d\nassign a when walltime > 7d",
        "assign a when kind == vm and origin == cloud\nassign b when kind == vm\nassign a when kind != vm",
        "assign a when has image and image.approved\nassign b when has image\nassign a when kind == job",
    ],
)  # fmt: skip
def test_a_total_list_passes(assigns: str) -> None:
    assert findings_of(HEAD + assigns + "\n" + ROUTE) == []


@pytest.mark.parametrize(
    ("assigns", "witness"),
    [
        ("assign a when origin == grid\nassign b when origin == cloud", "origin local"),
        ("assign a when kind in {job, vmjob}\nassign b when kind == vm", "kind pool"),
        ('assign a when group in {"x", "y"}\nassign b when group == "z"', "some other group"),
        ("assign a when cores < 8\nassign b when cores > 8", "cores 8"),
        ("assign a when walltime <= 7d\nassign b when walltime == 8d", "walltime"),
        ('assign a when "ops" in roles\nassign b when cores > 2', "cores 1"),
        ("assign a when has project\nassign b when origin == grid", "no project"),
        (
            "assign a when kind == vm and origin == cloud\nassign b when kind != vm",
            "kind vm, origin local",
        ),
    ],
)
def test_a_hole_is_shown_with_a_request_that_falls_into_it(assigns: str, witness: str) -> None:
    (finding,) = [finding for finding in findings_of(HEAD + assigns + "\n" + ROUTE) if finding.code == "E130"]
    assert witness in finding.message


def test_routes_are_total_for_each_kind() -> None:
    text = HEAD + "assign a when origin == grid\nassign b otherwise\n"
    routes = (
        "route job to x when cores > 4\nroute job, vm to y when cores <= 4\nroute vm to x when cores > 4\n"
    )
    (finding,) = findings_of(text + routes)
    assert (finding.code, finding.message) == ("E131", "there is no route for vmjob, pool")


def test_a_rule_of_a_window_proves_nothing() -> None:
    text = 'window w = "Sat"\nduring w { deny "a" when cores > 4 }\ndeny "b" when cores <= 4\n'
    assert findings_of(HEAD + text + "assign a when cores > 2\nassign b otherwise\n" + ROUTE) == []


def test_a_mistake_in_an_assignment_is_not_a_hole_too() -> None:
    text = HEAD + "assign a when orgin == grid\nassign b when origin == local\n" + ROUTE
    assert [finding.code for finding in findings_of(text)] == ["E101"]


def test_a_long_list_is_searched_in_bounded_time() -> None:
    assigns = "\n".join(f'assign a when "r{n}" in roles and cores + {n} > gpus' for n in range(1500))
    (finding,) = findings_of(HEAD + assigns + "\nassign b when origin == grid\n" + ROUTE)
    assert finding.code == "E130"
