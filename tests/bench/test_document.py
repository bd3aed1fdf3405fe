"""The document of figures: blocks are replaced by what the commands have printed, and nothing else is."""

from __future__ import annotations

from pathlib import Path

from bench.document import DOCUMENT, pasted

TEXT = """
# Figures

<!-- one: make one -->
old
<!-- end of one -->

Prose.

<!-- two: make two -->
old
<!-- end of two -->
"""


def test_tables_are_pasted_and_texts_are_fenced(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("| a |\n")
    (tmp_path / "two.txt").write_text("a  b\n")
    document, missing = pasted(TEXT, tmp_path)
    assert missing == []
    assert document == TEXT.replace("old", "\n| a |\n", 1).replace("old", "```\na  b\n```", 1)


def test_what_has_not_been_measured_is_left_and_told(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("| a |\n")
    document, missing = pasted(TEXT, tmp_path)
    assert missing == ["two"]
    assert document.count("old") == 1


def test_pasting_twice_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("| a |\n")
    once, _ = pasted(TEXT, tmp_path)
    assert pasted(once, tmp_path)[0] == once


def test_the_document_has_a_block_for_everything_that_is_measured(tmp_path: Path) -> None:
    _, missing = pasted(DOCUMENT.read_text(), tmp_path)
    assert sorted(missing) == [
        "batch",
        "batch_lsf",
        "batch_torque",
        "bench",
        "figures",
        "figures_compiled",
        "growth",
        "kueue",
        "load",
        "openstack",
        "profile",
        "rate",
        "soak",
        "start",
        "takeover",
    ]
    for picture in ("rules", "crowds", "simulations"):
        assert (DOCUMENT.parent / "performance" / f"{picture}.svg").exists()
        assert f"](performance/{picture}.svg)" in DOCUMENT.read_text()
