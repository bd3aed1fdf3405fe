import json
from array import array
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from wnodes_engine.simulate import report
from wnodes_engine.simulate.replay import Replay, Tally
from wnodes_engine.simulate.report import jain, percentile, report_on
from wnodes_engine.simulate.show import show
from wnodes_engine.validation import problems
from wnodes_engine.values import Code, Node, Reason

SCHEMA = Path(__file__).parents[2] / "schemas" / "simulation.json"

RULE = ("rule", "site.policy", 12, 'deny "no"')


def account() -> Replay:
    """Two groups on ten cores for a hundred seconds: one never waits, one always as long as it runs."""
    return Replay(
        jobs=9,
        unusable=1,
        denied=2,
        finished=5,
        killed=1,
        begin=1_000_000,
        now=1_000_100,
        end=1_000_100,
        peak_cores=10,
        peak_waiting=3,
        peak_waiting_at=1_000_050,
        nominal={"farm": 1000, "grid": 600, "grid.lhc": 300, "gridlock": 400},
        tallies={
            ("grid.lhc", "atlas"): Tally(array("q", [0, 0, 0, 0]), 0, 0, 400, 0, 400),
            ("gridlock", "cms"): Tally(array("q", [50, 50]), 1, 3, 236, 36, 400),
        },
        refusals={RULE: 2},
        examples={RULE: Reason(Code.RULE, "no [really]", 'deny "no"', "site.policy", 12)},
    )


def made(**changes):
    settings = {
        "policy": "site",
        "digest": "0" * 64,
        "trace": "log.swf",
        "nodes": [Node("a", 6, 100), Node("b", 4, 100)],
        "seconds": 2.0,
        "peak_memory_mib": 50.0,
    }
    return report_on(account(), **{**settings, **changes})


def test_the_figures_are_those_of_the_account():
    figures = made()
    assert (figures.cores, figures.makespan, figures.begin) == (10, 100, "1970-01-12T13:46:40Z")
    assert figures.utilisation == 0.636
    assert (figures.preempted.times, figures.preempted.lost_core_hours) == (3, 0.0)
    assert (figures.waits.mean, figures.waits.median, figures.waits.p95, figures.waits.max) == (
        16.7,
        0,
        50,
        50,
    )
    assert figures.fairness == pytest.approx((1 + 0.5) ** 2 / (2 * (1 + 0.25)))
    assert figures.run.jobs_per_second == 4.5


def test_a_share_has_the_jobs_of_its_subtree_and_of_no_namesake():
    rows = {row.path: row for row in made().shares}
    assert [(row.path, row.leaf) for row in rows.values()] == [
        ("farm", False),
        ("grid", False),
        ("grid.lhc", True),
        ("gridlock", True),
    ]
    assert [row.jobs for row in rows.values()] == [6, 4, 4, 2]
    assert [row.mean_cores for row in rows.values()] == [6.36, 4, 4, 2.36]
    assert [row.nominal_cores for row in rows.values()] == [10, 6, 3, 4]


def test_the_schema_file_is_the_one_that_the_report_has():
    assert json.loads(SCHEMA.read_text()) == report.schema()


def test_a_report_is_valid_by_its_schema():
    assert problems(json.loads(msgspec.json.encode(made())), "simulation") == []


def test_the_text_fits_100_columns_and_shows_every_figure(capsys):
    show(made())
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    for said in (
        "site on log.swf: 2 nodes, 10 cores, 100 s from 1970-01-12 13:46 UTC",
        "9 read: 5 finished, 1 killed at their walltime, 2 denied, 1 that never ran in the log",
        "63.6%, at most 10 cores at once",
        "3 times, 0 core hours in vain",
        "mean 17 s, median 0 s, p95 50 s, longest 50 s",
        "site.policy:12: no [really]",
        "simulated in 2.0 s: 4 jobs/s, 50 MiB",
    ):
        assert said in text


def test_an_account_of_nothing_is_a_report_too():
    nothing = report_on(
        Replay(nominal={"farm": 0}),
        policy="p", digest="0" * 64, trace="t", nodes=[], seconds=0.0, peak_memory_mib=0.0,
    )  # fmt: skip
    assert (nothing.waits, nothing.fairness, nothing.utilisation) == (None, None, 0.0)
    show(nothing, Console(quiet=True))


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=20))
def test_jains_index_lies_between_one_of_n_and_one(values):
    assert 1 / len(values) - 1e-9 <= jain(values) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("values", "index"), [([3, 3, 3], 1), ([1, 0], 0.5), ([1, 0, 0, 0], 0.25), ([], None), ([0, 0], None)]
)
def test_jains_index_of_known_values(values, index):
    assert jain(values) == index


@given(st.lists(st.integers(0, 100), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values, part):
    ordered = sorted(values)
    found = percentile(ordered, part)
    assert found in ordered
    assert sum(value <= found for value in ordered) >= part * len(ordered) - 1e-9
    assert sum(value < found for value in ordered) < part * len(ordered) + 1e-9
