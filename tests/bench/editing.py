"""What an admin waits for while editing, in seconds: of the processor, or by the clock where it says so."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

from bench.scenes import long_policy
from lsp.editor import Editor
from wnodes_engine.format import formatted
from wnodes_engine.language.source import Source
from wnodes_engine.lsp.desk import Desk

LINES = 1_000
TIMES = 7


def median(call: Callable[[], object]) -> float:
    """Seconds of the processor for one call, warm."""
    call()
    taken = []
    for _ in range(TIMES):
        begin = process_time()
        call()
        taken.append(process_time() - begin)
    return statistics.median(taken)


async def diagnostics(folder: Path) -> float:
    """Seconds by the clock from a change to what is shown of it; the server's own pause is in it."""
    editor, text = Editor(folder), long_policy(LINES)
    await editor.start()
    try:
        await editor.open(text)
        taken = []
        for turn in range(TIMES):
            begin = perf_counter()
            found = await editor.type(f'{text}deny "{turn}" when corse > {turn}\n')
            taken.append(perf_counter() - begin)
            assert any(one.code == "E101" for one in found)
    finally:
        await editor.stop()
    return statistics.median(taken)


def main() -> int:
    """0: both are measured."""
    source = Source("long.policy", long_policy(LINES))
    with tempfile.TemporaryDirectory() as folder:
        shown = asyncio.run(diagnostics(Path(folder)))
        desk, path = Desk(Path(folder)), str(Path(folder) / source.path)
        desk.put(path, source.text)
        read = median(lambda: desk.read(path))
    json.dump({"fmt": median(lambda: formatted(source)), "read": read, "shown": shown}, sys.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
