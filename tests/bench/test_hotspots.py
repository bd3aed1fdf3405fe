"""Samples of where the time goes: what runs, and what has called it."""

from __future__ import annotations

import time

from bench.hotspots import rows, sampled


def test_who_runs_is_told_by_itself_and_in_who_has_called_it() -> None:
    def busy() -> None:
        until = time.process_time() + 0.1
        while time.process_time() < until:
            pass

    def calls() -> None:
        busy()

    samples, _ = sampled(calls)
    assert samples.taken > 0
    assert samples.itself[busy.__code__] == samples.within[busy.__code__]
    assert samples.within[calls.__code__] == samples.within[busy.__code__]
    assert samples.itself[calls.__code__] == 0
    table = list(rows("a thing", samples, 0.1, 10))
    assert table[0].startswith("| a thing, 10 ms each |")
    assert any("calls`, test_hotspots.py |" in row for row in table)
