"""What Prometheus is told: counted as it happens, the farm's state as it is when it is asked for.

No label has a user's name, an id, or a text of a request: their number is bounded by the site and the policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from wnodes_engine import __version__
from wnodes_engine.values import Decision

from wnodes_daemon.records import LIVE, Change, EntryChange, NewDispatch, NewEntry

if TYPE_CHECKING:
    from wnodes_daemon.service import Service

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_FAST: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5)
_SLOW: Final = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """The counters of one daemon; `serve` names the service whose state is shown from then on."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._state = _State()
        self.registry.register(self._state)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._decisions = self._counter("decisions", "Decisions by what was asked", "asked", "outcome")
        self._reasons = self._counter("decision_reasons", "Reasons of decisions", "outcome", "code")
        self._taken_in = self._counter("requests_taken_in", "Requests taken in", "share")
        self._over = self._counter("requests_over", "Requests that are over", "state")
        self._dispatches = self._counter("dispatches", "Attempts to carry a request out", "backend")
        self._changes = self._counter("store_changes", "Changes that were committed")
        self._commits = self._seconds("store_commit", "One commit", _FAST)
        self._passes = self._seconds("pass", "One pass over the queue, with its commit", _FAST)
        self._calls = self._seconds("call", "One call of the API", _FAST, "method", "path", "status")
        self._answers = self._seconds("backend_answer", "One answer of a backend", _SLOW, "backend", "what")
        self._errors = self._counter("backend_errors", "Answers that did not come", "backend", "what")

    def serve(self, service: Service) -> None:
        """Show the state of this service: the daemon leads."""
        self._state.service = service

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)

    def decided(self, asked: str, decision: Decision, times: int = 1) -> None:
        """Somebody was told this, so many times."""
        self._decisions.labels(asked, decision.outcome).inc(times)
        for reason in decision.reasons:
            self._reasons.labels(decision.outcome, reason.code).inc(times)

    def committed(self, changes: list[Change], seconds: float) -> None:
        """These changes are on the disk, after so long."""
        self._commits.observe(seconds)
        self._changes.inc(len(changes))
        for change in changes:
            if isinstance(change, NewEntry):
                self._taken_in.labels(change.entry.share or "").inc()
            elif isinstance(change, EntryChange) and change.entry.state not in LIVE:
                self._over.labels(change.entry.state).inc()
            elif isinstance(change, NewDispatch):
                self._dispatches.labels(change.dispatch.backend).inc()

    def passed(self, seconds: float) -> None:
        """A pass is over."""
        self._passes.observe(seconds)

    def called(self, method: str, path: str, status: int, seconds: float) -> None:
        """A call was answered; `path` as the API's document has it."""
        self._calls.labels(method, path, str(status)).observe(seconds)

    def answered(self, backend: str, what: str, seconds: float, *, well: bool) -> None:
        """A backend has answered, or has not."""
        self._answers.labels(backend, what).observe(seconds)
        if not well:
            self._errors.labels(backend, what).inc()

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(f"wnodes_{name}", told, labels, registry=self.registry)

    def _seconds(self, name: str, told: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"wnodes_{name}_seconds", told, labels, registry=self.registry, buckets=buckets)


class _State(Collector):
    """The state as it is: shares, nodes, store."""

    def __init__(self) -> None:
        self.service: Service | None = None

    def collect(self) -> Iterator[Metric]:
        """One value for each share and resource, and a few of the whole."""
        service = self.service
        yield _gauge("leads", "Whether this daemon leads", int(service is not None))
        if service is None:
            return
        info = InfoMetricFamily("wnodes_policy", "The policy in force")
        policy = service.policy
        info.add_metric([], {"name": policy.checked.name, "digest": policy.digest, "version": __version__})
        yield info
        yield _gauge("store_broken", "Whether the store cannot be written", int(bool(service.broken)))
        yield _gauge("waiting", "Requests that wait", len(service.state.waiting))
        yield _gauge("running", "Requests that are carried out", len(service.dispatches))
        nodes = GaugeMetricFamily("wnodes_nodes", "Nodes", labels=["state"])
        up = sum(node.up for node in service.nodes.values())
        nodes.add_metric(["up"], up)
        nodes.add_metric(["down"], len(service.nodes) - up)
        yield nodes
        yield from _shares(service)

    def describe(self) -> Iterator[Metric]:
        """Nothing: names depend on the policy."""
        return iter(())


def _shares(service: Service) -> Iterator[Metric]:
    labels = ["share", "resource"]
    promised = GaugeMetricFamily("wnodes_share_promised", "What a share was promised", labels=labels)
    used = GaugeMetricFamily("wnodes_share_used", "What a share holds", labels=labels)
    average = GaugeMetricFamily("wnodes_share_average", "What a share used, averaged", labels=labels)
    running = GaugeMetricFamily("wnodes_share_running", "Allocations of a share", labels=["share"])
    waiting = GaugeMetricFamily("wnodes_share_waiting", "Requests that wait in a share", labels=["share"])
    for share in service.shares():
        for resource, amount in share.nominal.items():
            promised.add_metric([share.path, resource], amount)
            used.add_metric([share.path, resource], share.used[resource])
            average.add_metric([share.path, resource], share.average[resource])
        running.add_metric([share.path], share.running)
        waiting.add_metric([share.path], share.waiting)
    yield from (promised, used, average, running, waiting)


def _gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"wnodes_{name}", told, value=value)
