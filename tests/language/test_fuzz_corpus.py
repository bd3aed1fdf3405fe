"""What the fuzzer has found once stays mended: the laws of `make fuzz` on its corpus."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.laws import keep

CORPUS = sorted((Path(__file__).parents[1] / "fuzz" / "corpus").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_a_text_of_the_corpus_breaks_no_law(path: Path) -> None:
    keep(path.read_bytes().decode("utf-8", "replace"))
