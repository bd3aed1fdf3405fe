"""Kill a real daemon under load, hundreds of times: `make kills KILLS=300`; on a Slurm: `make kills-slurm`.

Clients hand requests in without end, each under a key of its own, and ask again under the same key until they
are answered. The daemon is killed with SIGKILL at random moments, in its start, too, and started again. The
farm is simulated, with the faults of a real one, and what happened on it is in a file that survives; or it is
a Slurm, and its accounting tells. In the end everything that was answered for must be there, once, and over,
and nothing may have run twice.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from labs.slurm.carried import history, made
from labs.slurm.cluster import missing, running
from sites.history import History, faults_of
from sites.postgresql import Cluster, programs
from sites.running import Site
from wnodes_daemon.client import ApiError, Unreachable
from wnodes_daemon.records import LIVE

POLICY = """
policy kills "grid takes back what local borrows"
share grid 50%
share local 50% borrow any
default walltime 1m when kind == job
assign grid  when origin == grid
assign local otherwise
reclaim for grid by requeue for job after 1s
route job, vmjob, vm, pool to farm
"""
FAULTS = {
    "lost": 0.05,
    "late": 0.05,
    "late_by": 1.0,
    "passing": 0.05,
    "slow": 0.05,
    "slow_by": 0.05,
    "unavailable": 0.05,
    "lost_actions": 0.1,
}


class Asker(threading.Thread):
    """Hands requests in, one call after the other; `answered` has what each call was answered."""

    def __init__(self, site: Site, number: int, pause: float, **form: object) -> None:
        """Asks for jobs like this `form`."""
        super().__init__(daemon=True)
        self._form = {"kind": "job", "user": f"u{number}", "group": "lab", "cores": 4} | form
        self.answered: dict[str, list[str]] = {}
        self.repeated = 0
        self.differed = 0
        self.done = threading.Event()
        self._site, self._number, self._pause = site, number, pause
        self._draw = random.Random(number)

    def run(self) -> None:
        transport = httpx.HTTPTransport(uds=str(self._site.folder / "wnodesd.sock"))
        with httpx.Client(transport=transport, base_url="http://wnodes", timeout=10) as http:
            call = 0
            while not self.done.is_set():
                call += 1
                origin = self._draw.choice(["grid", "local", "local"])
                one = {"origin": origin, **self._form}
                self._ask(http, f"{self._number}-{call}", [one] * self._draw.randint(1, 3))
                self.done.wait(self._pause)

    def _ask(self, http: httpx.Client, key: str, body: list[dict[str, object]]) -> None:
        tries = 0
        while True:  # until it is answered: whoever is not may not know
            tries += 1
            try:
                answer = http.post("/v1/requests", json=body, headers={"idempotency-key": key})
            except httpx.HTTPError:
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                ids = [item["request"]["id"] for item in answer.json()["items"]]
                self.repeated += tries > 1
                self.differed += self.answered.setdefault(key, ids) != ids
                if self._draw.random() < 0.1 and tries < 5:
                    continue  # it had not listened
                return
            time.sleep(0.05)


def kill(site: Site, kills: int, draw: random.Random, longest: float) -> float:
    """Start and kill, after `longest` seconds at most; the time that it took."""
    begun = time.monotonic()
    for _ in range(kills):
        site.process = site.launch()
        if draw.random() < 0.2:
            time.sleep(draw.random() * 1.2)  # somewhere in its start
        else:
            _wait(site)
            time.sleep(draw.random() ** 2 * longest)
        site.end(signal.SIGKILL)
    return time.monotonic() - begun


def _wait(site: Site) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert site.process is not None
        if site.process.poll() is not None:
            sys.exit(f"the daemon has ended by itself:\n{(site.folder / 'log').read_text()[-2000:]}")
        try:
            site.client().health()
        except (Unreachable, ApiError):
            time.sleep(0.02)
        else:
            return
    sys.exit("the daemon does not answer")


@contextmanager
def simulated(args: argparse.Namespace) -> Iterator[tuple[Site, list[Asker], Callable[[], History]]]:
    """A site on the simulated farm, who asks there, and what has happened on the farm."""
    site = Site(Path(tempfile.mkdtemp(prefix="kills")))
    daemon: dict[str, object] = {"tick": 0.05, "settle": 2}
    cluster = None
    if args.postgresql:
        bin_ = programs()
        assert bin_ is not None, "PostgreSQL's server is not installed"
        cluster = Cluster(bin_)
        daemon["store"] = cluster.database()
    shared = {"mode": "shared", "patience": 1, "max_pending": 6} if args.shared else {}
    speed = 20 if args.shared else 60
    site.write(daemon=daemon, backend=shared, speed=speed, runs=[0.2, 1.0], faults=FAULTS, seed=args.seed)
    (site.folder / "little.policy").write_text(POLICY)
    yield site, [Asker(site, number, 0.2) for number in range(2)], lambda: History(site.record())
    if cluster is not None:
        cluster.close()


@contextmanager
def on_slurm() -> Iterator[tuple[Site, list[Asker], Callable[[], History]]]:
    """A site on a Slurm of our own, who asks there, and what Slurm's accounting tells."""
    if reason := missing():
        sys.exit(reason)
    with running() as slurm:
        site = made(Path(tempfile.mkdtemp(prefix="kills")), slurm)
        form = {"user": "games", "group": "games", "cores": 2, "memory": 64, "walltime": 1}
        askers = [Asker(site, number, 0.4, **form) for number in range(2)]
        yield site, askers, lambda: history(slurm, site)


def main() -> None:
    """Kill, let all come to its end, look, print; exit status 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true", help="on a PostgreSQL server, not on a file")
    parser.add_argument("--shared", action="store_true", help="on a farm in whose own queue requests wait")
    parser.add_argument("--slurm", action="store_true", help="on a real Slurm, which takes root")
    args = parser.parse_args()
    with on_slurm() if args.slurm else simulated(args) as (site, askers, happened):
        wrong = _kill_and_look(args, site, askers, happened)
    if wrong:
        sys.stdout.write("".join(f"  {line}\n" for line in wrong[:50]))
        sys.exit(f"seed {args.seed}; what it left is in {site.folder}")


def _kill_and_look(
    args: argparse.Namespace, site: Site, askers: Sequence[Asker], happened: Callable[[], History]
) -> list[str]:
    """What is wrong."""
    for asker in askers:
        asker.start()
    took = kill(site, args.kills, random.Random(args.seed), 6.0 if args.shared else 1.5)
    for asker in askers:
        asker.done.set()
    client = site.start()
    for asker in askers:
        asker.join(60)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        live = list(client.requests(state=",".join(LIVE)))
        if not live and not happened().there:
            break
        time.sleep(0.5)
    views = {view.id: client.show(view.id) for view in client.requests()}
    site.end()
    answered = [id_ for asker in askers for ids in asker.answered.values() for id_ in ids]
    told = happened()
    wrong = faults_of(told, set(answered), views)
    wrong += ["two calls were given one request"] * (len(answered) != len(set(answered)))
    wrong += [f"request {id_} was taken in, and answered to nobody" for id_ in views.keys() - set(answered)]
    wrong += ["a call made again was answered otherwise"] * sum(asker.differed for asker in askers)
    left = sum(order.step == "left" for view in views.values() for order in view.told_to_leave)
    rows = (
        ("kills", f"{args.kills} in {took:.0f} s"),
        ("requests answered for", f"{len(answered):,}"),
        ("calls that had to be made again", f"{sum(asker.repeated for asker in askers):,}"),
        ("jobs started", f"{sum(sum(jobs.values()) for jobs in told.starts.values()):,}"),
        ("requests that had to make room", f"{left:,}"),
        ("what is wrong", f"{len(wrong):,}"),
    )
    sys.stdout.write("".join(f"{name + ':':<34} {value}\n" for name, value in rows))
    return wrong


if __name__ == "__main__":
    main()
