"""Fuzzes parser, checker, formatter, mending and compiler with atheris; what breaks a law is kept as a file.

It begins with the policies, the examples of all findings and the corpus, and knows the grammar's words.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["wnodes_engine"], enable_loader_override=False):
    from wnodes_engine.catalogue import entries
    from wnodes_engine.language.tables import GRAMMAR

    from fuzz.laws import keep

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).with_name("corpus")
HEAD = "policy p\nshare a 50%\nshare b 50%\nassign a when origin == grid\nassign b otherwise\n"
ROUTE = "\nroute job, vmjob, vm, pool to farm\n"


def seeds() -> list[str]:
    """Texts to begin with: policies, and every example alone and inside of a whole policy."""
    texts = [path.read_text() for path in sorted((ROOT / "policies").rglob("*.policy"))]
    for entry in entries().values():
        for text in (entry.wrong, entry.right):
            if text is not None and entry.of == "policy":
                texts += [text, HEAD + text + ROUTE]
    return texts


SEEDS = seeds()


def words() -> str:
    """The grammar's words, as libFuzzer reads a dictionary."""
    found = set(re.findall(r'"([^"\\]+)"', GRAMMAR.read_text()))
    return "".join(f'"{word}"\n' for word in sorted(found) if word.isascii())


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """Half of the time with a line or a word of another policy, or without one: that is often sound."""
    chance = random.Random(seed)
    if chance.random() < 0.5:
        return bytes(atheris.Mutate(data, most))
    text = data.decode("utf-8", "replace")
    split = "\n" if chance.random() < 0.5 else " "
    parts, others = text.split(split), chance.choice(SEEDS).split(split)
    at = chance.randrange(len(parts))
    parts[at : at + chance.randrange(2)] = [chance.choice(others)] * chance.randrange(3)
    return split.join(parts).encode()[:most]


def one(data: bytes) -> None:
    """One input."""
    keep(data.decode("utf-8", "replace"))


def main() -> None:
    """Runs libFuzzer: a broken law ends it with 77 and leaves a file `crash-…`, a hang one `timeout-…`."""
    parser = ArgumentParser("fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="how long (600)")
    parser.add_argument("files", nargs="*", help="only these inputs, again")
    args = parser.parse_args()
    if args.files:
        for file in args.files:
            one(Path(file).read_bytes())
        return
    with tempfile.TemporaryDirectory(prefix="wnodes-fuzz-") as folder:
        found, begun = Path(folder, "found"), Path(folder, "seeds")
        found.mkdir()
        begun.mkdir()
        for at, text in enumerate(SEEDS):
            begun.joinpath(f"{at:03}").write_text(text)
        Path(folder, "words").write_text(words())
        options = ["-timeout=20", "-max_len=4000", f"-max_total_time={args.seconds}", f"-dict={folder}/words"]
        atheris.Setup(
            [sys.argv[0], *options, str(found), str(begun), str(CORPUS)], one, custom_mutator=mutated
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
