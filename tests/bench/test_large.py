"""What is measured of large things does what it says, with little."""

from __future__ import annotations

from pathlib import Path

from bench import large


def test_a_crowd_is_saved_and_loaded_whole(tmp_path: Path) -> None:
    assert large.saved(tmp_path / "crowd", 1000)["bytes"] > 1000
    loaded = large.loaded(tmp_path / "crowd")
    assert (loaded["waiting"], loaded["running"]) == (1000, 500)


def test_victims_are_chosen_on_a_full_farm() -> None:
    found = large.victims(nodes=30)
    assert found.pop("running") > 300
    assert all(times["p99"] >= times["median"] > 0 for times in found.values())
    assert len(found) == 7


def test_a_pass_starts_as_many_as_there_are_nodes_for() -> None:
    assert large.passing(waiting=1000, starts=100, classes=50)["seconds"] > 0


def test_a_decision_is_recorded_and_made_without_a_record() -> None:
    assert set(large.logging()) == {"plain", "recorded"}
