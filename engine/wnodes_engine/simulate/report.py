"""The report of a simulation: jobs, utilisation, waits, use and fairness by share and group; text and JSON.

Fairness is Jain's index, J(x) = (Σ x)² ÷ (n · Σ x²), of the groups' speeds: 1 when all groups are served
alike, 1/n when one gets everything. R. Jain, D. Chiu, W. Hawe, "A quantitative measure of fairness and
discrimination for resource allocation in shared computer systems", DEC-TR-301, 1984. The speed of a group is

    x = Σ cores · run time ÷ Σ cores · (wait + run time)

over its jobs: the part of their time in the system that they ran, from 0 (only waited) to 1 (never waited).
What a victim ran in vain counts as use, and not as run time here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec

from wnodes_engine.simulate.replay import Replay, Tally
from wnodes_engine.validation import schema_of
from wnodes_engine.values import Node


class Jobs(msgspec.Struct, frozen=True):
    """What became of the jobs of the log: each is counted once, and all of them are `read`."""

    read: int
    finished: int
    killed: int
    denied: int
    unusable: int
    deleted: int
    stranded: int


class Preempted(msgspec.Struct, frozen=True):
    """How often a job had to leave for another, and the core hours that it had then run in vain."""

    times: int
    lost_core_hours: float


class Waits(msgspec.Struct, frozen=True):
    """Waits in seconds: from submission to the end, without running; median and p95 by nearest rank."""

    mean: float
    median: int
    p95: int
    max: int


class ShareRow(msgspec.Struct, frozen=True):
    """One share, children included: the cores that it was promised and those it used, on average."""

    path: str
    leaf: bool
    nominal_cores: float
    mean_cores: float
    jobs: int
    killed: int
    waits: Waits | None
    fairness: float | None


class GroupRow(msgspec.Struct, frozen=True):
    """One group's jobs in one share."""

    group: str
    share: str
    mean_cores: float
    core_hours: float
    jobs: int
    killed: int
    waits: Waits
    speed: float


class Denial(msgspec.Struct, frozen=True):
    """How many jobs one rule denied, by the first reason of each decision, and what it said to one."""

    code: str
    rule: str
    file: str
    line: int
    jobs: int
    example: str


class Run(msgspec.Struct, frozen=True):
    """What the simulation itself took."""

    seconds: float
    jobs_per_second: float
    peak_memory_mib: float


class Report(msgspec.Struct, frozen=True):
    """A whole simulation; see `schemas/simulation.json`. Everything but `run` repeats exactly.

    Moments are RFC 3339 texts, the makespan (first submission to last ending) is in seconds.
    """

    policy: str
    policy_digest: str
    trace: str
    nodes: int
    cores: int
    begin: str
    makespan: int
    jobs: Jobs
    utilisation: float
    peak_cores: int
    peak_waiting: int
    peak_waiting_at: str
    preempted: Preempted
    waits: Waits | None
    fairness: float | None
    shares: tuple[ShareRow, ...]
    groups: tuple[GroupRow, ...]
    denials: tuple[Denial, ...]
    run: Run


def report_on(
    account: Replay,
    *,
    policy: str,
    digest: str,
    trace: str,
    nodes: Collection[Node],
    seconds: float,
    peak_memory_mib: float,
) -> Report:
    """The figures of a replay that took so many `seconds`."""
    makespan = max(0, account.end - account.begin)
    cores = sum(node.cores for node in nodes)
    held = sum(tally.held for tally in account.tallies.values())
    return Report(
        policy=policy,
        policy_digest=digest,
        trace=trace,
        nodes=len(nodes),
        cores=cores,
        begin=_moment(account.begin),
        makespan=makespan,
        jobs=Jobs(
            account.jobs,
            account.finished,
            account.killed,
            account.denied,
            account.unusable,
            account.deleted,
            account.stranded,
        ),
        utilisation=_ratio(held, cores * makespan),
        peak_cores=account.peak_cores,
        peak_waiting=account.peak_waiting,
        peak_waiting_at=_moment(account.peak_waiting_at),
        preempted=Preempted(
            sum(tally.preempted for tally in account.tallies.values()),
            round(sum(tally.lost for tally in account.tallies.values()) / 3600, 1),
        ),
        waits=_waits(account.tallies.values()),
        fairness=_fairness(account.tallies),
        shares=tuple(_share_row(path, account, makespan) for path in account.nominal),
        groups=tuple(
            GroupRow(
                group=group,
                share=share,
                mean_cores=_ratio(tally.held, makespan),
                core_hours=round(tally.held / 3600, 1),
                jobs=len(tally.waits),
                killed=tally.killed,
                waits=waits,
                speed=_ratio(tally.held - tally.lost, tally.stayed),
            )
            for (share, group), tally in sorted(account.tallies.items())
            if (waits := _waits([tally])) is not None
        ),
        denials=tuple(
            Denial(code, rule, file, line, jobs, account.examples[code, file, line, rule].message)
            for (code, file, line, rule), jobs in sorted(
                account.refusals.items(), key=lambda entry: (-entry[1], entry[0])
            )
        ),
        run=Run(
            round(seconds, 3),
            round(account.jobs / seconds, 1) if seconds > 0 else 0.0,
            round(peak_memory_mib, 1),
        ),
    )


def jain(values: Collection[float]) -> float | None:
    """Jain's index of the values, none of them negative; None where there is nothing to compare."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else None


def percentile(ordered: Sequence[int], part: float) -> int:
    """The value of nearest rank: the smallest that at least that part of the values does not exceed."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def schema() -> dict[str, Any]:
    """The JSON Schema of a report, as `schemas/simulation.json` holds it."""
    return schema_of(Report, "simulation", "The report of a simulation")


def _share_row(path: str, account: Replay, makespan: int) -> ShareRow:
    farm = next(iter(account.nominal))
    below = "" if path == farm else f"{path}."
    inside = {
        key: tally for key, tally in account.tallies.items() if key[0] == path or key[0].startswith(below)
    }
    return ShareRow(
        path=path,
        leaf=not any(other.startswith(below) for other in account.nominal if other != path),
        nominal_cores=_ratio(account.nominal[path], account.now - account.begin),
        mean_cores=_ratio(sum(tally.held for tally in inside.values()), makespan),
        jobs=sum(len(tally.waits) for tally in inside.values()),
        killed=sum(tally.killed for tally in inside.values()),
        waits=_waits(inside.values()),
        fairness=_fairness(inside),
    )


def _waits(tallies: Iterable[Tally]) -> Waits | None:
    waits = sorted(chain.from_iterable(tally.waits for tally in tallies))
    if not waits:
        return None
    mean = round(sum(waits) / len(waits), 1)
    return Waits(mean, percentile(waits, 0.5), percentile(waits, 0.95), waits[-1])


def _fairness(tallies: dict[tuple[str, str], Tally]) -> float | None:
    held: dict[str, int] = {}
    stayed: dict[str, int] = {}
    for (_, group), tally in tallies.items():
        held[group] = held.get(group, 0) + tally.held - tally.lost
        stayed[group] = stayed.get(group, 0) + tally.stayed
    index = jain([held[group] / stayed[group] for group in held if stayed[group]])
    return None if index is None else round(index, 4)


def _ratio(amount: int, whole: int) -> float:
    return round(amount / whole, 4) if whole else 0.0


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
