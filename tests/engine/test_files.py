"""Files are read within bounds of size and of time, whatever kind they are of."""

import os
import threading
from pathlib import Path

import pytest
from wnodes_engine import files
from wnodes_engine.documents import DocumentError, read_document
from wnodes_engine.files import read_bytes
from wnodes_engine.language.load import load


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_no_more_is_read_than_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5_000_000)
    assert len(read_bytes(tmp_path / "file", 3_000_001)) == 3_000_001
    assert len(read_bytes(tmp_path / "file", 6_000_000)) == 5_000_000
    assert read_bytes(Path("/dev/zero"), 10) == bytes(10)


def test_a_pipe_is_read_to_the_end_of_what_is_written(pipe: Path) -> None:
    text = b"policy t\n" * 100_000  # more than a pipe holds
    writer = threading.Thread(target=pipe.write_bytes, args=[text])
    writer.start()
    assert read_bytes(pipe, 1 << 20) == text
    writer.join()


def test_a_pipe_that_nobody_writes_to_is_given_up(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PATIENCE", 0.01)
    (finding,) = load(pipe).findings
    assert (finding.code, "nothing came out of it" in finding.message) == ("E001", True)
    with pytest.raises(DocumentError, match="nothing came out of it"):
        read_document(pipe, "site")
