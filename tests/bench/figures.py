"""Measures the project's figures, and prints them as a table: target, measured, and whether it was met.

Each program runs in a process of its own, within a limit. Seconds are those of the processor, which other
work on the machine hardly changes; those by the clock stand beside them.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import table
from bench.calls import keep_calling, post
from bench.runs import PROGRAMS, Run, RunError, cpu_of, run
from bench.scenes import job, long_policy, policy
from sites.running import Site
from wnodes_engine.wire import from_request

ROOT = Path(__file__).parents[2]
TRACE = ROOT.parent / "shared" / "traces" / "LCG.swf.gz"
POLICY = ROOT / "policies" / "tier1.policy"
TOOL = PROGRAMS / "wnodes-policy"
CORES_OF_A_NODE = 24


@dataclass(frozen=True)
class Figure:
    """One figure; `met` is None where there is no target, `failed` where it could not be measured."""

    what: str
    target: str
    measured: str
    met: bool | None = None
    failed: bool = False

    def __str__(self) -> str:
        met = {True: "yes", False: "**no**", None: ""}[self.met]
        return f"| {self.what} | {self.target} | {self.measured} | {met} |"


@dataclass(frozen=True)
class Bench:
    """Where and with what is measured; `limit` in seconds for each program."""

    folder: Path
    limit: float
    trace: Path


# ------------------------------------------------------------------ simulation


def traced(bench: Bench) -> Iterator[Figure]:
    """A real log of jobs, on a farm far too large and on one far too small."""
    name = bench.trace.name.partition(".")[0]
    if not bench.trace.exists():
        yield Figure(
            f"`simulate` of {name}", "", f"there is no {bench.trace.name}: give TRACE=…", failed=True
        )
        return
    mapping = ROOT / "policies" / "mappings" / "lcg.yaml"
    for cores in (24_515, 1_200):
        yield simulated(bench, f"{name} on {cores:,} cores", bench.trace, mapping, cores, 10)


def modelled(bench: Bench) -> Iterator[Figure]:
    """Jobs out of the workload model, with walltimes: very many small ones, and many wide ones."""
    cores = 24_000
    for count, widest, target in ((1_000_000, 1, 60), (100_000, 256, None)):
        words = ["--jobs", str(count), "--widest", str(widest), "--cores", str(cores), "--load", "0.9"]
        what = f"{count:,} Lublin–Feitelson jobs, up to {widest} wide, on {cores:,} cores"
        log = bench.folder / "model.swf"
        try:
            log.write_text(run([TOOL, "workload", *words], bench.limit).out)
        except RunError as error:
            yield Figure(f"a log of {what}", "", str(error), failed=True)
            continue
        yield simulated(bench, what, log, ROOT / "demo" / "mapping.yaml", cores, target)


def simulated(bench: Bench, what: str, log: Path, mapping: Path, cores: int, target: float | None) -> Figure:
    """One simulation against its target, in seconds of the processor."""
    words = f"{target:g} s" if target is not None else ""
    taken = simulate(bench, log, mapping, cores)
    if isinstance(taken, str):
        return Figure(f"`simulate` of {what}", words, taken, False, failed=True)
    met = None if target is None else taken[0].cpu <= target
    return Figure(f"`simulate` of {what}", words, told(*taken), met)


def simulate(bench: Bench, log: Path, mapping: Path, cores: int) -> tuple[Run, dict[str, Any]] | str:
    """What the simulation took, and its report; or why there is none."""
    farm = bench.folder / "farm.yaml"
    whole, rest = divmod(cores, CORES_OF_A_NODE)
    nodes = [{"name": f"wn[1-{whole}]", "cores": CORES_OF_A_NODE, "memory": f"{CORES_OF_A_NODE * 4}GiB"}]
    nodes += [{"name": "last", "cores": rest, "memory": f"{rest * 4}GiB"}] if rest else []
    farm.write_text(json.dumps({"nodes": nodes}))
    words: list[str | Path] = ["--trace", log, "--farm", farm, "--map", mapping, "--format", "json"]
    try:
        taken = run([TOOL, "simulate", POLICY, *words], bench.limit)
    except RunError as error:
        return str(error)
    return taken, json.loads(taken.out)


def told(taken: Run, report: dict[str, Any]) -> str:
    """What a simulation took, in one line."""
    speed = report["jobs"]["read"] / taken.cpu
    return (
        f"{taken.cpu:.1f} s ({taken.wall:.1f} s by the clock), {speed:,.0f} jobs/s, {taken.memory:.0f} MiB, "
        f"at most {report['peak_waiting']:,} waiting"
    )


# -------------------------------------------------------------------- language


def checks(bench: Bench) -> Iterator[Figure]:
    """The check of a policy, by a new process each; the first writes the bytecode, and does not count."""
    for lines, times, target in ((100, 10, 0.25), (10_000, 1, 5.0)):
        path = bench.folder / f"{lines}.policy"
        path.write_text(long_policy(lines))
        what = f"`check` of {lines:,} lines by a new process" + (f", median of {times}" if times > 1 else "")
        try:
            _, *runs = [run([TOOL, "check", path], bench.limit) for _ in range(1 + times)]
        except RunError as error:
            yield Figure(what, f"{target:g} s", str(error), False, failed=True)
            continue
        cpu, wall = (statistics.median(taken) for taken in zip(*((r.cpu, r.wall) for r in runs), strict=True))
        yield Figure(what, f"{target:g} s", f"{cpu:.3f} s ({wall:.3f} s by the clock)", cpu < target)


def edits(bench: Bench) -> Iterator[Figure]:
    """What is done again and again while a policy of 1,000 lines is edited, and 1,000 policy tests."""
    try:
        found = json.loads(run([sys.executable, "-m", "bench.editing"], bench.limit).out)
        tested = run([TOOL, "test", _cases(bench.folder, 1_000)], bench.limit)
    except RunError as error:
        yield Figure("`fmt`, `lsp`, `test`", "", str(error), failed=True)
        return
    yield Figure("`fmt` of 1,000 lines, warm", "300 ms", f"{found['fmt'] * 1e3:.0f} ms", found["fmt"] < 0.3)
    told = f"{found['read'] * 1e3:.0f} ms ({found['shown'] * 1e3:.0f} ms by the clock, from change to editor)"
    yield Figure("`lsp`: diagnostics of 1,000 lines, warm", "300 ms", told, found["read"] < 0.3)
    told = f"{tested.cpu:.2f} s ({tested.wall:.2f} s by the clock)"
    yield Figure("`test` of 1,000 cases by a new process", "5 s", told, tested.cpu < 5)


def _cases(folder: Path, count: int) -> Path:
    """Policy tests of so many cases, under the Tier-1 policy and on its idle farm."""
    tests = ROOT / "policies" / "tests"
    case = {"request": {"kind": "job", "origin": "grid", "user": "ann", "group": "cms"}}
    cases = [
        {"request": {"cores": 1 + n % 16}, "expect": {"outcome": "start", "share": "grid.lhc"}}
        for n in range(count)
    ]
    many = {"name": "many", "state": "idle", **case, "cases": cases}
    states = {"idle": str(tests / "tier1.idle.yaml")}
    path = folder / "many.test.yaml"
    path.write_text(json.dumps({"policy": str(POLICY), "states": states, "tests": [many]}))
    return path


# ------------------------------------------------------------------- decisions


def decisions(bench: Bench) -> Iterator[Figure]:
    """Rules alone and whole decisions, by the benchmarks."""
    results = bench.folder / "decisions.json"
    words = ["--benchmark-enable", "--benchmark-only", "--benchmark-timer=time.process_time"]
    suites = [Path(__file__).with_name(f"test_{name}_speed.py") for name in ("decision", "rule")]
    try:
        run([sys.executable, "-m", "pytest", *suites, *words, f"--benchmark-json={results}"], bench.limit)
    except RunError as error:
        yield Figure("decisions", "", str(error), failed=True)
        return
    rows = table.read(results).rows
    for name, target in (
        *((f"test_rules_alone[{rules} rules]", 2) for rules in ("10", "100", "1,000")),
        *((f"test_rules_alone_asked_by_strangers[{rules} rules]", 2) for rules in ("10", "100", "1,000")),
        ("test_a_decision_that_starts", 8),
        ("test_a_start_of_a_stranger", 8),
        ("test_a_wait_with_no_memory_left[10 rules]", 15),
        ("test_a_wait_for_five_reasons", 15),
    ):
        row = rows[name]
        what = f"{table.title(name)}, median"
        yield Figure(what, f"{target} µs", f"{row.median:.2f} µs", row.median <= target)
        if row.singly is not None and target > 2:
            one, noise = row.singly
            told = f"{one.p99:.1f} µs (the plain loop: {noise.p99 / noise.median:.2f} times its median)"
            yield Figure(f"{table.title(name)}, 99 of 100", "25 µs", told, one.p99 <= 25)
    ratio = rows["test_a_start_under_1000_rules"].median / rows["test_a_decision_that_starts"].median
    yield Figure("1,000 rules to 10, at most 3 of which can match", "1.5", f"{ratio:.2f}", ratio <= 1.5)
    ratio = rows["test_a_start_by_the_oracle"].median / rows["test_a_start_on_a_small_farm"].median
    yield Figure("the oracle's decision to the engine's, on a small farm", "", f"{ratio:,.0f}")


# ---------------------------------------------------------------- what is large


def large(bench: Bench) -> Iterator[Figure]:
    """Crowds, victims, a long pass, a new policy, a record of decisions: each in a process of its own."""
    for measure in (crowds, victims, passes, policies, checked, records):
        try:
            yield from measure(bench)
        except RunError as error:
            yield Figure(f"{measure.__name__}, large", "", str(error), failed=True)


def crowds(bench: Bench) -> Iterator[Figure]:
    """A million that wait: what a decision takes, how much memory, and how long a snapshot takes to load."""
    crowd = str(bench.folder / "crowd")
    few, many = (part(bench, "decisions", "--size", str(size)) for size in (1_000, 1_000_000))
    ratio = many["seconds"] / few["seconds"]
    what = "a decision with 1,000,000 waiting and 500,000 running, to one with 1,000 and 500"
    yield Figure(what, "2", f"{ratio:.2f} ({many['seconds'] * 1e6:.1f} µs)", ratio <= 2)
    saved = part(bench, "saved", "--file", crowd)
    loaded = part(bench, "loaded", "--file", crowd)
    told = f"{loaded['seconds']:.1f} s, {saved['bytes'] / (1 << 20):.0f} MiB"
    yield Figure("that state out of a snapshot", "20 s", told, loaded["seconds"] <= 20)
    memory = max(loaded["memory"], many["memory"])
    told = f"{loaded['memory']:,.0f} MiB from a snapshot, {many['memory']:,.0f} MiB request by request"
    yield Figure("its memory", "2,560 MiB", told, memory <= 2560)


def victims(bench: Bench) -> Iterator[Figure]:
    """Choosing them on a full farm, by what is asked."""
    found = part(bench, "victims")
    running = found.pop("running")
    for asked, times in found.items():
        what = f"victims for {asked} among {running:,} running, 99 of 100"
        told = f"{times['p99'] * 1e3:.2f} ms (median {times['median'] * 1e3:.2f})"
        yield Figure(what, "5 ms", told, times["p99"] <= 0.005)


def passes(bench: Bench) -> Iterator[Figure]:
    """One pass over a long queue."""
    seconds = part(bench, "passing")["seconds"]
    what = "a pass that starts 10,000 of 100,000 waiting, of 1,000 classes"
    yield Figure(what, "1 s", f"{seconds:.2f} s", seconds <= 1)


def policies(bench: Bench) -> Iterator[Figure]:
    """A new policy."""
    seconds = part(bench, "reloading")["seconds"]
    yield Figure("1,000 rules from text to module", "300 ms", f"{seconds * 1e3:.0f} ms", seconds <= 0.3)


def checked(bench: Bench) -> Iterator[Figure]:
    """A policy that is checked, and what of that is the comparison of its rules."""
    found = part(bench, "checking")
    told = f"{found['lines'] * 1e3:.0f} ms"
    yield Figure("1,000 lines read and checked, warm", "300 ms", told, found["lines"] < 0.3)
    for rules, target in (("100", 9), ("1000", 125)):
        told = f"{found[rules] * 1e3:.1f} ms"
        what = f"{int(rules):,} rules held against each other as boxes"
        yield Figure(what, f"{target} ms", told, found[rules] * 1e3 <= target)


def records(bench: Bench) -> Iterator[Figure]:
    """Decisions that are recorded."""
    found = part(bench, "logging")
    told = f"{(found['recorded'] - found['plain']) * 1e6:.1f} µs"
    yield Figure("recording a decision, beside making it", "", told)


def part(bench: Bench, *words: str) -> dict[str, Any]:
    """What one part of `large.py` has measured. Raises RunError."""
    found: dict[str, Any] = json.loads(run([sys.executable, "-m", "bench.large", *words], bench.limit).out)
    return found


# ------------------------------------------------------------------------ HTTP


def served(bench: Bench) -> Iterator[Figure]:
    """A real daemon with 1,000 nodes, called over its socket by a client on another core."""
    site = Site(bench.folder)
    (bench.folder / "little.policy").write_text(policy(10))
    (bench.folder / "farm.yaml").write_text('nodes: [{name: "wn[0001-1000]", cores: 24, memory: 96GiB}]\n')
    waiting = [from_request(job(n)) for n in range(400)]  # ada's quota is soon full
    starting = [from_request(job(n, user=f"user{n}", cores=1)) for n in range(400)]
    site.start().close()
    try:
        for what, path, status, forms in (
            ("decisions", "/v1/decisions", 200, waiting),
            ("requests taken in, most to wait", "/v1/requests", 201, waiting),
            ("requests taken in and started", "/v1/requests", 201, starting),
        ):
            single = [post(path, form) for form in forms]
            yield called(site, f"`POST {path}`, one a call: {what}", single, status, 1, connections=32)
            batches = [post(path, forms[at : at + 100]) for at in range(0, len(forms), 100)]
            yield called(site, f"`POST {path}`, 100 a call: {what}", batches, 200, 100, connections=4)
    finally:
        site.end()


def called(site: Site, what: str, calls: list[bytes], status: int, each: int, *, connections: int) -> Figure:
    """How many a second: by the clock, and of the daemon's own time on the processor."""
    assert site.process is not None
    before = cpu_of(site.process.pid)
    tally = keep_calling(site.folder / "wnodesd.sock", calls, status, connections, seconds=5.0)
    spent = cpu_of(site.process.pid) - before
    if tally.wrong:
        return Figure(what, "", f"answered with {tally.wrong}", failed=True)
    done = tally.answered * each
    return Figure(what, "", f"{done / tally.wall:,.0f}/s by the clock, {done / spent:,.0f}/s of processor")


# ------------------------------------------------------------------------ main

PARTS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "decisions": decisions,
    "large": large,
    "checks": checks,
    "edits": edits,
    "served": served,
    "traced": traced,
    "modelled": modelled,
}


def main() -> int:
    """0 when all of it was measured, whatever was met; 1 if some could not be."""
    parser = ArgumentParser("figures.py", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--trace", type=Path, default=TRACE, metavar="LOG", help="the log of `traced`")
    parser.add_argument(
        "--limit", type=float, default=150, metavar="S", help="seconds a program may take (150)"
    )
    args = parser.parse_args()
    if unknown := [part for part in args.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}: {', '.join(PARTS)}")
    sys.stdout.write("| figure | target | measured | met |\n|---|---|---|---|\n")
    failed = False
    for name in args.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="wnodes-") as folder:
            for figure in PARTS[name](Bench(Path(folder), args.limit, args.trace)):
                failed |= figure.failed
                sys.stdout.write(f"{figure}\n")
                sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
