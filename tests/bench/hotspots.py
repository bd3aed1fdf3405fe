"""Where the time goes: samples of what runs, a thousand a second of the processor, as tables.

A profiler that counts calls makes small functions look dear. Samples cost the same wherever they are taken.
"""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

import wnodes_engine
from bench import kueue
from bench.growth import spoken
from bench.scenes import CALLS, NODES, NOW, checked, jobs, policy, state
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.simulate import workload
from wnodes_engine.simulate.mapping import PLAIN
from wnodes_engine.simulate.replay import replay

EVERY: Final = 0.001
ENGINE: Final = Path(wnodes_engine.__file__).parent
ITSELF: Final = 10
WITHIN: Final = 10
"""So many functions are shown, by what they take themselves and with what they call."""


@dataclass
class Samples:
    """How often a function was the one that ran, and how often it, or what it had called, did."""

    itself: Counter[CodeType] = field(default_factory=Counter)
    within: Counter[CodeType] = field(default_factory=Counter)
    taken: int = 0

    def take(self, _: int, frame: FrameType | None) -> None:
        """One sample: the stack as it is; what this file does itself is left out."""
        stack: list[CodeType] = []
        while frame is not None and frame.f_code.co_filename != __file__:
            stack.append(frame.f_code)
            frame = frame.f_back
        if stack:
            self.taken += 1
            self.itself[stack[0]] += 1
            self.within.update(set(stack))


def sampled(work: Callable[[], object]) -> tuple[Samples, float]:
    """The samples of one piece of work, and its seconds of the processor."""
    samples = Samples()
    before = signal.signal(signal.SIGPROF, samples.take)
    begun = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
    try:
        work()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return samples, time.process_time() - begun


def called(code: CodeType) -> str:
    """A function by its name and room; the policy's own module is the compiled policy."""
    path = Path(code.co_filename)
    if code.co_filename.startswith("<policy"):
        return f"`{code.co_qualname}`, the compiled policy"
    if code.co_filename == "<string>":  # how Python makes the constructors of named tuples
        return f"a new tuple `({', '.join(code.co_varnames[1:3])}, …)`"
    room = path.relative_to(ENGINE) if path.is_relative_to(ENGINE) else path.name
    return f"`{code.co_qualname}`, {room}"


def rows(what: str, samples: Samples, seconds: float, times: int) -> Iterator[str]:
    """The functions that take most, as parts of what each of so many times took."""
    yield f"| {what}, {spoken(seconds / times)} each | with what it calls | itself |"
    yield "|---|--:|--:|"
    shown = {code for code, _ in samples.itself.most_common(ITSELF)}
    shown |= {code for code, _ in samples.within.most_common(WITHIN)}
    for code in sorted(shown, key=lambda code: (-samples.within[code], called(code))):
        parts = (count / samples.taken for count in (samples.within[code], samples.itself[code]))
        yield f"| {called(code)} | " + " | ".join(f"{part:.1%}" for part in parts) + " |"
    others = samples.itself.keys() - shown
    yield f"| {len(others)} others | | {sum(samples.itself[code] for code in others) / samples.taken:.1%} |"


def decision() -> tuple[str, Callable[[], object], int]:
    """A decision that starts, over and over."""
    farm, requests = state(policy(10)), list(jobs())
    rounds = 200

    def work() -> None:
        for _ in range(rounds):
            for request in requests:
                decide(farm, request, NOW)

    return "a decision that starts", work, rounds * CALLS


def simulation() -> tuple[str, Callable[[], object], int]:
    """A log of the workload model on 24,000 cores."""
    model = workload.Workload(widest=256)
    model = replace(model, rate=workload.rate_for(0.9, sum(node.cores for node in NODES), model))
    log = list(islice(workload.jobs(1, model), 20_000))
    farm = State(compile_policy(checked(policy(10))), NODES)
    return f"a job of {len(log):,} simulated", lambda: replay(farm, log, PLAIN.reader(0)), len(log)


def preemption() -> tuple[str, Callable[[], object], int]:
    """The load of Kueue's performance test, which is mostly about who makes room for whom."""
    farm = kueue.farm(kueue.BASELINE)
    return "a job of Kueue's load", lambda: kueue.drive(farm, kueue.BASELINE), kueue.BASELINE.jobs


def main() -> int:
    """A table for each; 0 in any case."""
    for scene in (decision, simulation, preemption):
        what, work, times = scene()
        samples, seconds = sampled(work)
        sys.stdout.write("".join(f"{row}\n" for row in rows(what, samples, seconds, times)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
