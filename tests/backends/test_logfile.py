"""A log that grows is read from where one was, whatever is done to its files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wnodes_batch import logfile
from wnodes_batch.logfile import Position


def read_on(path: Path, after: Position | None, most: int = 1 << 20) -> tuple[bytes, Position, bool]:
    """All that is there, as often as it takes, and whether something was lost."""
    text, lost = b"", False
    while True:
        piece = logfile.read(path, after, most)
        after = logfile.position(str(piece.position))
        text += piece.text
        lost = lost or piece.lost
        if not piece.more:
            assert after is not None
            return text, after, lost


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "lsb.acct"
    path.write_bytes(b"one\ntwo\n")
    return path


def test_what_was_written_since_is_told_once(log: Path) -> None:
    text, after, _ = read_on(log, None)
    assert text == b"one\ntwo\n"
    with log.open("ab") as file:
        file.write(b"three\n")
    text, after, lost = read_on(log, after)
    assert (text, lost) == (b"three\n", False)
    assert read_on(log, after)[0] == b""


def test_a_log_that_was_renamed_away_is_read_to_its_end_before_the_new_one(log: Path) -> None:
    _, after, _ = read_on(log, None)
    with log.open("ab") as file:
        file.write(b"three\n")
    log.rename(log.with_name("lsb.acct.1"))
    log.write_bytes(b"four\n")
    assert read_on(log, after)[::2] == (b"three\nfour\n", False)


def test_a_log_may_be_renamed_more_than_once_between_two_looks(log: Path) -> None:
    _, after, _ = read_on(log, None)
    for number, line in enumerate((b"three\n", b"four\n")):
        if (log.with_name("lsb.acct.1")).exists():
            log.with_name("lsb.acct.1").rename(log.with_name("lsb.acct.2"))
        log.rename(log.with_name("lsb.acct.1"))
        log.write_bytes(line)
        assert number < 2
    assert read_on(log, after)[::2] == (b"three\nfour\n", False)
    assert read_on(log, None)[0] == b"one\ntwo\nthree\nfour\n"


@pytest.mark.parametrize("after", [b"", b"new\n", b"new, and longer than before\n" * 9])
def test_a_log_that_was_cut_off_is_read_from_its_beginning(log: Path, after: bytes) -> None:
    _, position, _ = read_on(log, None)
    log.write_bytes(after)
    assert read_on(log, position)[::2] == (after, True)


def test_a_log_that_was_copied_and_then_emptied_is_read_on_in_the_copy(log: Path) -> None:
    _, after, _ = read_on(log, None)
    with log.open("ab") as file:
        file.write(b"three\n")
    log.with_name("lsb.acct.1").write_bytes(log.read_bytes())
    log.write_bytes(b"four\n")
    assert read_on(log, after)[::2] == (b"three\nfour\n", False)


def test_a_log_that_is_gone_is_an_error(log: Path) -> None:
    log.unlink()
    with pytest.raises(OSError, match=r"lsb\.acct"):
        logfile.read(log, None, 100)


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 50))
def test_it_is_read_the_same_in_pieces_of_any_size(pieces: list[bytes], most: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(b"")
        told, after = b"", None
        for at, piece in enumerate(pieces):
            with path.open("ab") as file:
                file.write(piece)
            text, after, lost = read_on(path, after, most)
            told += text
            assert not lost
            if at % 3 == 2:
                for number in range(at, 0, -1):
                    if (old := path.with_name(f"log.{number}")).exists():
                        old.rename(path.with_name(f"log.{number + 1}"))
                path.rename(path.with_name("log.1"))
                path.write_bytes(b"")
        assert told == b"".join(pieces)


@pytest.mark.parametrize("text", ["", "1", "1.2", "a.b.c", "1.2.3.4", "-1.2.3", "1..3"])
def test_what_is_no_position_is_the_beginning(text: str) -> None:
    assert logfile.position(text) is None
