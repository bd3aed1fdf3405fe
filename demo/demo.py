"""The main job, end to end: a policy is checked, a daemon decides on thousands of requests, and tells why.

Everything runs in a temporary folder, which is gone afterwards: the daemon with its store and socket, and a
farm that is simulated in the same process. The requests come from the Lublin–Feitelson model, or a log.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from threading import Thread

from wnodes_daemon.client import Client, Unreachable
from wnodes_engine.documents import DocumentError
from wnodes_engine.frames import as_text
from wnodes_engine.simulate.mapping import load_mapping
from wnodes_engine.simulate.swf import SwfJob, SwfLog
from wnodes_engine.simulate.workload import Workload, jobs
from wnodes_engine.values import Decision
from wnodes_engine.wire import RequestForm, from_request

HERE = Path(__file__).resolve().parent
PROGRAMS = Path(sys.executable).parent
WIDEST = 16
LARGEST_BATCH = 500
STEP = 0.2
PAUSE = 5.0
COLUMNS = 118
COLOURS = {"start": "32", "wait": "33", "deny": "31"}

Arrival = tuple[float, RequestForm]
"""When a request is handed in, in seconds after the first, and what it asks."""


def main(argv: Sequence[str] | None = None) -> int:
    """0 when all of it went well."""
    parser = ArgumentParser("demo.py", description=__doc__)
    parser.add_argument("--trace", metavar="LOG", help="take the requests from this log (.swf, .swf.gz)")
    parser.add_argument("--map", metavar="FILE", help="how the log's jobs become requests")
    parser.add_argument("--requests", type=int, default=3000, metavar="N", help="how many (3000)")
    parser.add_argument("--seconds", type=float, default=45, metavar="S", help="handed in over so long (45)")
    parser.add_argument("--seed", type=int, default=34, help="another seed, another workload (34)")
    args = parser.parse_args(argv)
    try:
        arrivals = list(workload(args))
    except DocumentError as error:
        sys.stderr.write(as_text(error.findings, error.texts))
        return 1
    with tempfile.TemporaryDirectory(prefix="wnodes-") as folder:
        site = Path(folder) / "demo" / "site.yaml"
        shutil.copytree(HERE, site.parent, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        shutil.copytree(HERE.parent / "policies", Path(folder) / "policies")
        heading("The policy is checked against the site")
        policy = Path(folder) / "policies" / "tier1.policy"
        if run("wnodes-policy", "check", policy, "--site", site) != 0:
            return 1
        heading("The daemon starts, with its store and a simulated farm")
        daemon = Daemon(site)
        try:
            return demonstrate(daemon, arrivals, args)
        finally:
            daemon.stop()


def workload(args: Namespace) -> Iterator[Arrival]:
    """The requests, their arrivals brought into the time that the demo has. Raises DocumentError."""
    if args.trace:
        source: Iterator[SwfJob] = iter(SwfLog(args.trace))
        mapping = args.map or HERE.parent / "policies" / "mappings" / "lcg.yaml"
    else:
        source = jobs(args.seed, Workload(widest=WIDEST, users=300))
        mapping = args.map or HERE / "mapping.yaml"
    request_of = load_mapping(mapping).reader(0)
    usable = (job for job in source if job.runtime >= 0 and job.processors > 0)
    chosen = [request_of(job) for job in islice(usable, args.requests)]
    first, last = (chosen[0].submitted, chosen[-1].submitted) if chosen else (0, 0)
    pace = args.seconds / max(1, last - first)
    for request in chosen:
        yield (request.submitted - first) * pace, from_request(request)


def demonstrate(daemon: Daemon, arrivals: list[Arrival], args: Namespace) -> int:
    """Feed the daemon, tell what it does, and look at the farm while it is full."""
    with Client(daemon.address) as client:
        say(f"wnodesd serves on {daemon.address}: {daemon.wait(client)} nodes are up")
        heading(f"{len(arrivals):,} requests are handed in over {args.seconds:.0f} s; some of the decisions:")
        story = Story(client, daemon)
        story.feed(arrivals)
        heading("What the shares were promised, and what they held on average while requests came in")
        story.tell_shares()
        heading("Why does this one wait?")
        if (id_ := story.most_hindered()) is None:
            say("nothing waits any more")
        else:
            run("wnodes", "why", id_, "--daemon", daemon.address)
        heading("The end")
        story.sum_up()
    return 0


class Daemon:
    """A wnodesd of its own; `started` fills with the requests that it dispatches, and the nodes they got."""

    def __init__(self, site: Path) -> None:
        say(f"$ wnodesd --config {site}")
        self._process = subprocess.Popen(
            [PROGRAMS / "wnodesd", "--config", site], stderr=subprocess.PIPE, text=True
        )
        self.address = f"unix:{site.parent / 'wnodesd.sock'}"
        self.started: deque[tuple[str, str]] = deque()
        self.said: deque[str] = deque(maxlen=20)
        Thread(target=self._listen, daemon=True).start()

    def wait(self, client: Client) -> int:
        """How many nodes are up, once it answers. Raises SystemExit where it does not."""
        for _ in range(100):
            try:
                return client.health().nodes_up
            except Unreachable:
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
        sys.stderr.write("\n".join(self.said) + "\nthe daemon does not answer\n")
        raise SystemExit(1)

    def stop(self) -> None:
        """End it as an administrator would, and not gently if that takes too long."""
        self._process.terminate()
        try:
            status = self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        say(f"wnodesd has ended, with status {status}")

    def _listen(self) -> None:
        for line in self._process.stderr or ():
            self.said.append(line.rstrip())
            try:
                log = json.loads(line)
            except ValueError:
                continue
            if log.get("event") == "dispatched":
                nodes = [name for name, _ in log.get("nodes", ())]
                self.started.append((str(log["request"]), ", ".join(nodes[:3]) + (" …" if nodes[3:] else "")))


class Story:
    """What happened so far: every request by its id, and how the farm was used."""

    def __init__(self, client: Client, daemon: Daemon) -> None:
        self._client = client
        self._daemon = daemon
        self._forms: dict[str, tuple[float, RequestForm, str]] = {}
        self._waiting: dict[str, None] = {}
        self._counts: Counter[str] = Counter()
        self._told: dict[str, float] = {}
        self._used: Counter[str] = Counter()
        self._looks = 0
        self._begun = time.monotonic()

    def feed(self, arrivals: Sequence[Arrival]) -> None:
        """Hand in each request at its time, and tell what becomes of some of them."""
        todo = deque(arrivals)
        self._begun = time.monotonic()
        step = 0
        while todo:
            now = self._now()
            batch: list[RequestForm] = []
            while todo and todo[0][0] <= now and len(batch) < LARGEST_BATCH:
                batch.append(todo.popleft()[1])
            if batch:
                self._hand_in(batch)
            self._take_in_starts(tell=step % 2 == 0)
            if step % 5 == 4:
                self._look()
            if step % 10 == 9:
                self._tell_a_wait()
            if step % 50 == 49:
                self._tell_counts()
            step += 1
            time.sleep(max(0.0, self._begun + step * STEP - time.monotonic()))

    def _hand_in(self, batch: list[RequestForm]) -> None:
        for form, item in zip(batch, self._client.submit_all(batch), strict=True):
            if item.request is not None:
                share = item.request.share or ""
                self._forms[item.request.id] = (self._now(), form, share)
                self._waiting[item.request.id] = None
            elif item.problem is not None and item.problem.decision is not None:
                decision = item.problem.decision
                self._counts["denied"] += 1
                why = because(decision)
                if self._now() - self._told.get(why, -PAUSE) >= PAUSE:
                    self._told[why] = self._now()
                    self._tell("deny", form, decision.share or "", why)

    def _take_in_starts(self, *, tell: bool) -> None:
        told = not tell
        while self._daemon.started:
            id_, nodes = self._daemon.started.popleft()
            if id_ not in self._waiting:
                continue
            del self._waiting[id_]
            self._counts["started"] += 1
            if not told:
                since, form, share = self._forms[id_]
                self._tell("start", form, share, f"on {nodes} after {self._now() - since:.1f} s")
                told = True

    def _tell_a_wait(self) -> None:
        """The one that has waited longest in a share, the shares taking turns, and why."""
        oldest: dict[str, str] = {}
        for id_ in self._waiting:
            oldest.setdefault(self._forms[id_][2], id_)
        for share in sorted(oldest, key=lambda share: self._told.get(share, 0.0)):
            decision = self._client.show(oldest[share]).decision
            if decision is not None and decision.reasons:
                self._told[share] = self._now()
                self._tell("wait", self._forms[oldest[share]][1], share, because(decision))
                return

    def _tell(self, outcome: str, form: RequestForm, share: str, what: str) -> None:
        size = f"{form.count or 1}×{form.cores or 1}"
        who = f"{form.kind:<5} {size:>5}  {form.group:<11} {share:<14}"
        line = f"{self._now():5.1f} s  {outcome:<5}  {who} {what}"
        line = line if len(line) <= COLUMNS else f"{line[: COLUMNS - 1]}…"
        say(line.replace(outcome, paint(outcome, COLOURS[outcome]), 1))

    def _tell_counts(self) -> None:
        now = self._now()
        counts = (
            f"{len(self._forms) + self._counts['denied']:,} handed in, {self._counts['started']:,} started"
        )
        say(
            paint(
                f"{now:5.1f} s  {counts}, {self._counts['denied']:,} denied, {len(self._waiting):,} wait", "2"
            )
        )

    def _look(self) -> None:
        self._looks += 1
        for share in self._client.shares():
            self._used[share.path] += share.used["cores"]

    def tell_shares(self) -> None:
        """The share tree: promised, held on average, what holds and waits now."""
        say(f"{'CORES':<14} {'PROMISED':>8} {'HELD':>7} {'OF IT':>6}   {'RUNNING':>8} {'WAITING':>8}")
        for share in self._client.shares():
            promised, held = share.nominal["cores"], self._used[share.path] / max(1, self._looks)
            depth = 0 if share.path == "farm" else share.path.count(".") + 1
            name = "  " * depth + share.path.rpartition(".")[2]
            part = f"{held / promised:.0%}" if promised else "–"
            say(f"{name:<14} {promised:8,} {held:7,.0f} {part:>6}   {share.running:8,} {share.waiting:8,}")

    def most_hindered(self) -> str | None:
        """Of those that have waited longest, the one with the most reasons."""
        waiting = islice(self._client.requests(state="waiting"), 40)
        views = [self._client.show(view.id) for view in waiting]
        reasons = {view.id: len(view.decision.reasons) for view in views if view.decision is not None}
        return max(reasons, key=lambda id_: reasons[id_], default=None)

    def sum_up(self) -> None:
        """What became of everything, as the daemon has it now."""
        states = Counter(view.state for view in self._client.requests())
        said = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
        say(f"{sum(states.values()):,} requests after {self._now():.0f} s: {said}")

    def _now(self) -> float:
        return time.monotonic() - self._begun


def because(decision: Decision) -> str:
    """The first reason, with the line of the policy that it comes from."""
    reason = decision.reasons[0]
    where = f"{Path(reason.file).name}:{reason.line}: " if reason.file else ""
    more = f" (and {len(decision.reasons) - 1} more)" if decision.reasons[1:] else ""
    return f"{where}{reason.message}{more}"


def run(program: str, *words: str | Path) -> int:
    """Run one of our programs as a person would, and show what it prints."""
    say("$ " + " ".join([program, *map(str, words)]))
    return subprocess.run([PROGRAMS / program, *words], check=False).returncode


def heading(text: str) -> None:
    """Begin a part of the demo."""
    say(f"\n{paint(f'── {text} ', '1')}")


def paint(text: str, code: str) -> str:
    """The text in a colour, where somebody looks."""
    return f"\x1b[{code}m{text}\x1b[0m" if sys.stdout.isatty() else text


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
