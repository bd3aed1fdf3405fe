"""Try every law on a backend or an executor of a site, and print what became of each.

It is used: jobs of one to three cores are run and cancelled, a node is drained and taken back; servers of one
core are booted and deleted, the ballast of empty hosts is set and taken off.
"""

from __future__ import annotations

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from wnodes_engine.backend import BackendUnavailable
from wnodes_engine.commands.inputs import complain
from wnodes_engine.conformance.cloud import CloudSettings
from wnodes_engine.conformance.clouds import CLOUD_LAWS, judge_cloud
from wnodes_engine.conformance.laws import LAWS, Found, judge, statement
from wnodes_engine.conformance.subject import Settings
from wnodes_engine.documents import DocumentError
from wnodes_engine.drivers import DriverError, load_backend, load_executor
from wnodes_engine.executor import ExecutorUnavailable
from wnodes_engine.site import Site, load_site

L = TypeVar("L", bound=Callable[..., Any])


def main(argv: Sequence[str] | None = None) -> int:
    """0 if no law is broken, 1 if one is or the backend cannot be made, 2 for misuse."""
    args = _parser().parse_args(argv)
    try:
        site = load_site(args.config)
        judged = _judged_cloud if args.name in site.executors else _judged
        found = asyncio.run(judged(site, args))
    except DocumentError as error:
        return complain(error)
    except (DriverError, BackendUnavailable, ExecutorUnavailable) as error:
        sys.stderr.write(f"conformance: {error}\n")
        return 1
    if not found:
        sys.stderr.write(f"conformance: no law speaks of {args.only!r}\n")
        return 2
    broken, left_out = (sum(each.holds is verdict for each in found) for verdict in (False, None))
    print(f"{len(found) - broken - left_out} laws hold, {broken} are broken, {left_out} were left out")  # noqa: T201
    return 1 if broken else 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m wnodes_engine.conformance", description=__doc__)
    parser.add_argument("name", help="the name of the backend or executor in site.yaml")
    parser.add_argument("--config", metavar="FILE", required=True, help="the site's description, site.yaml")
    parser.add_argument("--user", default="", help="whom the jobs run as (default: the service itself)")
    parser.add_argument("--queue", help="the queue that they go to")
    parser.add_argument("--account", help="the account that they are charged to")
    parser.add_argument("--project", default="", help="whose the servers are (an executor)")
    parser.add_argument("--image", default="", help="what they are booted from (an executor)")
    parser.add_argument(
        "--network", action="append", default=[], help="where they are attached (an executor)"
    )
    parser.add_argument("--patience", type=float, default=60.0, help="seconds to wait for anything (60)")
    parser.add_argument("--only", metavar="TEXT", help="only the laws that speak of it")
    return parser


async def _judged_cloud(site: Site, args: Namespace) -> list[Found]:
    executor = load_executor(site, args.name)
    settings = CloudSettings(args.project, args.image, tuple(args.network), args.patience)
    found: list[Found] = []
    try:
        await executor.inventory()  # what it can do, it may have to learn
        for law in _chosen(CLOUD_LAWS, args):
            found.append(await judge_cloud(law, executor, settings))
            _print(found[-1])
    finally:
        await executor.close()
    return found


def _chosen(laws: Sequence[L], args: Namespace) -> list[L]:
    return [law for law in laws if args.only is None or args.only in statement(law)]


async def _judged(site: Site, args: Namespace) -> list[Found]:
    backend = load_backend(site, args.name)
    settings = Settings(args.user, args.queue, args.account, args.patience)
    found: list[Found] = []
    try:
        await backend.snapshot()  # what it can do, it may have to learn
        for law in _chosen(LAWS, args):
            found.append(await judge(law, backend, settings))
            _print(found[-1])
    finally:
        await backend.close()
    return found


def _print(found: Found) -> None:
    mark = {True: "ok    ", False: "BROKEN", None: "-     "}[found.holds]
    print(f"{mark} {found.law}{f': {found.said}' if found.said else ''}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
