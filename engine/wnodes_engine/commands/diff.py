"""`wnodes-policy diff`: what a new policy means otherwise than an old one, with requests that show it."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import datetime
from time import perf_counter
from zoneinfo import ZoneInfo

import msgspec

from wnodes_engine.commands.inputs import complain, read_policy, read_site
from wnodes_engine.core import State
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.diff.answers import FARM, Difference, differences
from wnodes_engine.diff.probes import Probes
from wnodes_engine.diff.statements import Changed, changed_shares, changed_statements
from wnodes_engine.documents import DocumentError
from wnodes_engine.frames import safe
from wnodes_engine.garbage import seldom_collected
from wnodes_engine.simulate.clock import clock_of
from wnodes_engine.simulate.replay import replay
from wnodes_engine.simulate.report import Report, Waits, report_on
from wnodes_engine.simulate.trace import read_trace
from wnodes_engine.state_file import load_farm
from wnodes_engine.values import Node
from wnodes_engine.wire import Known

DIFFERS = 3
"""The exit status of `--exit-code` where the policies differ."""

_WHAT = {
    "denied": "are denied now",
    "allowed": "are allowed now",
    "share": "are in another share",
    "route": "go another way",
}


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that differs; with a trace, what each policy made of it."""

    old: str
    new: str
    statements: tuple[Changed, ...]
    requests: tuple[Difference, ...]
    tried: int
    replayed: tuple[Report, Report] | None = None

    @property
    def differs(self) -> bool:
        """Whether anything does."""
        return bool(self.statements or self.requests)


def add_arguments(parser: ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("old", metavar="OLD", help="the policy as it was")
    parser.add_argument("new", metavar="NEW", help="the policy as it is to be")
    parser.add_argument("--site", metavar="FILE", help="site.yaml: images, flavours, attributes, time zone")
    parser.add_argument("--farm", metavar="FILE", help="the nodes; if left out, there are more than enough")
    parser.add_argument("--at", metavar="TIME", help="the local time to ask at, as 2026-11-27T03:00 (now)")
    parser.add_argument("--trace", metavar="LOG", help="replay this log under both, on the farm")
    parser.add_argument("--map", metavar="FILE", help="how the jobs of the log become requests")
    parser.add_argument("--exit-code", action="store_true", help=f"exit with {DIFFERS} where they differ")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(args: Namespace) -> int:
    """0, or 3 with --exit-code where they differ; 1 for input that cannot be used, 2 for misuse."""
    if args.trace and not args.farm:
        sys.stderr.write("wnodes-policy diff: --trace needs the nodes to replay it on: --farm FILE\n")
        return 2
    try:
        site = read_site(args.site)
        old, new = read_policy(args.old, site), read_policy(args.new, site)
        now = _moment(args.at, new.checked.time_zone)
        nodes = load_farm(args.farm) if args.farm else FARM
        checked = (old.checked, new.checked)
        asked = Probes(checked, now, Known.of(site) if site else Known())
        requests, tried = differences(old, new, asked, nodes, now)
        replayed = None
        if args.trace:
            replayed = (_replayed(old, nodes, args), _replayed(new, nodes, args))
    except DocumentError as error:
        return complain(error)
    except ValueError:
        sys.stderr.write(f"wnodes-policy diff: --at {safe(args.at)!r}: write it as 2026-11-27T03:00\n")
        return 2
    said = (*changed_shares(*checked), *changed_statements(*checked))
    found = Found(args.old, args.new, said, tuple(requests), tried, replayed)
    if args.format == "json":
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n")
    else:
        sys.stdout.writelines(f"{safe(line)}\n" for line in as_text(found))
    return DIFFERS if args.exit_code and found.differs else 0


def _moment(text: str | None, zone: str) -> int:
    if text is None:
        return int(time.time())
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def _replayed(policy: CompiledPolicy, nodes: tuple[Node, ...], args: Namespace) -> Report:
    begun, trace = perf_counter(), read_trace(args.trace, args.map)
    with seldom_collected():
        account = replay(State(policy, nodes), trace.jobs, trace.request_of, clock=clock_of(policy))
    checked = policy.checked
    return report_on(
        account,
        policy=checked.name,
        digest=policy.digest,
        trace=args.trace,
        nodes=nodes,
        seconds=perf_counter() - begun,
        peak_memory_mib=0.0,
    )


# ------------------------------------------------------------------------ text


def as_text(found: Found) -> Iterator[str]:
    """What differs, for people."""
    if not found.differs:
        yield f"nothing differs: neither the statements nor the answers to {found.tried:,} requests"
    last = ""
    for changed in found.statements:
        if changed.kind != last:
            last = changed.kind
            yield f"{last}:"
        if changed.moved:
            yield f"  now {changed.new}"
            yield f"  where there was {changed.old}"
            continue
        yield from (f"  {sign} {text}" for sign, text in (("-", changed.old), ("+", changed.new)) if text)
    for what, told in _WHAT.items():
        those = [each for each in found.requests if each.what == what]
        if those:
            yield f"requests that {told}, of {found.tried:,} that were tried:"
        for each in those:
            more = f"   (and {each.alike - 1:,} like it)" if each.alike > 1 else ""
            yield f"  {each.request}{more}"
            yield f"      {each.old} → {each.new}"
            for reason in each.reasons:
                place = f"  {reason.file}:{reason.line}: {reason.rule}" if reason.file else ""
                yield f"      {reason.message}{place}"
    if found.replayed is not None:
        yield from _table(*found.replayed)


def _table(old: Report, new: Report) -> Iterator[str]:
    yield f"replayed {old.trace}:"
    yield f"  {'share':24} {'cores used':>23} {'jobs':>19} {'mean wait':>21}"
    before = {row.path: row for row in old.shares}
    after = {row.path: row for row in new.shares}
    for path in {**before, **after}:
        a, b = before.get(path), after.get(path)
        cores = _pair(10, *(f"{row.mean_cores:,.1f}" if row else "-" for row in (a, b)))
        jobs = _pair(8, *(f"{row.jobs:,}" if row else "-" for row in (a, b)))
        waits = _pair(9, *(_wait(row.waits if row else None) for row in (a, b)))
        yield f"  {path:24} {cores} {jobs} {waits}"
    yield f"  denied: {old.jobs.denied:,} → {new.jobs.denied:,}"


def _pair(width: int, old: str, new: str) -> str:
    return f"{old:>{width}} → {new:>{width}}"


def _wait(waits: Waits | None) -> str:
    if waits is None:
        return "-"
    hours, rest = divmod(int(waits.mean), 3600)
    return f"{hours}h{rest // 60:02}m" if hours else f"{rest // 60}m{rest % 60:02}s"
