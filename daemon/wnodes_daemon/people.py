"""wnodes: the command for people who want something of the farm, and want to know what became of it."""

from __future__ import annotations

import asyncio
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from wnodes_engine import __version__
from wnodes_engine.commands.guard import guarded
from wnodes_engine.commands.inputs import complain
from wnodes_engine.documents import DocumentError
from wnodes_engine.drivers import BACKENDS, EXECUTORS, DriverError
from wnodes_engine.site import load_site
from wnodes_engine.wire import RequestForm, WireError, convert

from wnodes_daemon import farms, shown, top
from wnodes_daemon.client import DEFAULT, ApiError, Caller, Client, Unreachable, found_caller
from wnodes_daemon.records import LIVE, State
from wnodes_daemon.views import DriverView

_LARGEST_FILE: Final = 8 << 20  # characters; the daemon takes less, and says how much
_SIZES: Final = ("cores", "memory", "gpus", "disk", "volumes", "count", "at_least", "walltime")
_NAMES: Final = ("user", "group", "project", "queue", "account", "flavour", "image", "name")


def main(argv: Sequence[str] | None = None) -> int:
    """0 if it was done, 1 if it was refused or there is no daemon, 2 for misuse."""
    return guarded("wnodes", lambda: _asked(_parser().parse_args(argv)))


def _asked(args: Namespace) -> int:
    if "alone" in args:
        return int(args.alone(args))
    try:
        caller = Caller() if args.daemon.startswith("unix:") else found_caller(os.environ)
        with Client(args.daemon, caller=caller) as client:
            status: int = args.run(client, args)
            return status
    except ApiError as error:
        if args.json:
            sys.stdout.write(_json(error.problem))
        else:
            sys.stderr.write(shown.problem(error.problem))
    except WireError as error:
        sys.stderr.write(f"wnodes: --{error.path.removeprefix('$.').replace('_', '-')}: {error.message}\n")
        sys.stderr.write(f"  help: {error.help}\n" if error.help else "")
    except Unreachable as error:
        sys.stderr.write(f"wnodes: {error}\n")
    except UnicodeEncodeError:
        sys.stderr.write("wnodes: an argument is not text in this terminal's encoding: use UTF-8\n")
        return 2
    except ValueError as error:
        sys.stderr.write(f"wnodes: {error}\n")
        return 2
    return 1


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "wnodes", description="Ask the farm for jobs and machines, and see what becomes of them."
    )
    parser.add_argument("--version", action="version", version=f"wnodes {__version__}")
    common = ArgumentParser(add_help=False)
    common.add_argument(
        "--daemon",
        metavar="ADDRESS",
        default=os.environ.get("WNODES_DAEMON", DEFAULT),
        help="unix:/path/of/wnodesd.sock or https://host:8642; else $WNODES_DAEMON, else the system's",
    )
    common.add_argument("--json", action="store_true", help="print JSON, for programs")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, purpose: str, run: Callable[[Client, Namespace], int]) -> ArgumentParser:
        made = commands.add_parser(name, parents=[common], help=purpose, description=purpose)
        made.set_defaults(run=run)
        return made

    request = command("request", "ask for a job, a job inside a VM, a VM, or a pool of VMs", _request)
    request.add_argument("kind", choices=("job", "vmjob", "vm", "pool"))
    for name in (*_SIZES, *_NAMES, "origin"):
        request.add_argument(f"--{name.replace('_', '-')}")
    for name in ("role", "tag"):
        request.add_argument(f"--{name}", action="append", default=[], help="may be given several times")
    request.add_argument("--attribute", action="append", default=[], metavar="NAME=VALUE")
    request.add_argument("--script", metavar="FILE", help="what the job runs; - for the standard input")
    machine = request.add_argument_group("how each machine is equipped")
    machine.add_argument("--user-data", metavar="FILE", help="for cloud-init: a script or a config")
    machine.add_argument("--ssh-key", metavar="FILE", action="append", default=[], help="a public key's file")
    machine.add_argument("--key-pair", metavar="NAME", help="a key pair that you have in the cloud")
    for name in ("network", "security-group"):
        machine.add_argument(f"--{name}", metavar="NAME", action="append", default=[], help="by name or id")
    machine.add_argument("--boot-volume", metavar="GIB", help="boot from a new volume of this size")
    machine.add_argument(
        "--volume", metavar="GIB", action="append", default=[], help="a new volume that goes with the machine"
    )
    request.add_argument("--dry", action="store_true", help="only tell what would become of it")

    listing = command("list", "requests that wait or run", _list)
    listing.add_argument("--all", action="store_true", help="those that are over, too")
    listing.add_argument("--state", help=f"one or several of {', '.join(State)}, with commas between")
    for name in ("share", "user", "group", "kind", "origin"):
        listing.add_argument(f"--{name}")
    listing.add_argument("--most", type=int, default=100, help="how many at most; 0 for all (default: 100)")

    command("show", "one request, and what became of it", _show).add_argument("id")
    command("watch", "one request as it becomes, until it is over", _watch).add_argument("id")
    command("why", "why a request waits, or was denied", _why).add_argument("id")
    console = command("console", "what the machine of a request has printed last", _console)
    console.add_argument("id")
    console.add_argument("--lines", type=int, default=100, help="how many at most (default: 100)")
    command("cancel", "take requests back", _cancel).add_argument("ids", nargs="+", metavar="id")
    shares = command("shares", "what every share was promised, and what it holds", _shares)
    shares.add_argument("--resource", default="cores", help="cores, memory, gpus, disk (default: cores)")
    live = command("top", "the farm, live in the terminal", _top)
    live.add_argument("--resource", default="cores", help="cores, memory, gpus, disk (default: cores)")
    live.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="default: 2")
    live.add_argument("--once", action="store_true", help="print one picture, as it does into a file")
    reconcile = command("reconcile", "what is not as recorded, in batch systems and clouds", _reconcile)
    reconcile.add_argument("--dry-run", action="store_true", required=True, help="the daemon does the rest")
    policy = command("policy", "which policy is in force; take another, go back, or try one out", _policy)
    policy.add_argument("do", nargs="?", choices=("show", "reload", "rollback", "dry-run"), default="show")
    policy.add_argument("file", nargs="?", help="for dry-run: the policy to try out, else the site's files")
    for name, purpose, alone in (
        (
            "backends",
            "which drivers of batch systems are installed, and which of them can be used",
            _backends,
        ),
        ("executors", "which drivers of clouds are installed, and which of them can be used", _executors),
        (
            "doctor",
            "whether the site's batch systems and clouds are set up so that what we promise holds",
            _doctor,
        ),
    ):
        made = commands.add_parser(name, help=purpose, description=purpose)
        made.add_argument("--json", action="store_true", help="print JSON, for programs")
        made.set_defaults(alone=alone)
    made.add_argument("--config", metavar="FILE", required=True, help="the site's description, site.yaml")
    return parser


# ------------------------------------------------------------------- commands


def _request(client: Client, args: Namespace) -> int:
    form = _form(args)
    if args.dry:
        decision = client.decide(form)
        _print(args, decision, shown.decision(decision))
    else:
        view = client.submit(form)
        _print(args, view, f"request {view.id} was taken in; it waits in {view.share}\n")
    return 0


def _list(client: Client, args: Namespace) -> int:
    asked = {name: getattr(args, name) for name in ("share", "user", "group", "kind", "origin")}
    filters = {name: value for name, value in asked.items() if value is not None}
    if args.state or not args.all:
        filters["state"] = args.state or ",".join(LIVE)
    views = list(client.requests(most=args.most or None, **filters))
    _print(args, views, shown.listing(views))
    return 0


def _show(client: Client, args: Namespace) -> int:
    view = client.show(args.id)
    _print(args, view, shown.request(view))
    return 0


def _watch(client: Client, args: Namespace) -> int:
    state: State | None = None
    for view in client.watch(args.id):
        state = view.state
        _print(args, view, shown.moment(view))
        sys.stdout.flush()
    if state in LIVE:
        sys.stderr.write("wnodes: the daemon has ended the watch: ask again\n")
    return int(state is not State.DONE)


def _console(client: Client, args: Namespace) -> int:
    text = client.console(args.id, args.lines)
    _print(args, text, shown.console(text))
    return 0


def _why(client: Client, args: Namespace) -> int:
    view = client.show(args.id)
    _print(args, view.decision, shown.why(view))
    return 0


def _cancel(client: Client, args: Namespace) -> int:
    status = 0
    for id_ in args.ids:
        try:
            view = client.cancel(id_)
        except ApiError as error:
            sys.stderr.write(shown.problem(error.problem))
            status = 1
        else:
            _print(args, view, f"request {id_} {'is being ended' if view.cancelling else 'was taken back'}\n")
    return status


def _shares(client: Client, args: Namespace) -> int:
    shares = client.shares()
    if args.resource not in shares[0].nominal:
        raise ValueError(f"no resource {args.resource!r} here: there is {', '.join(shares[0].nominal)}")
    _print(args, shares, shown.shares(shares, args.resource))
    return 0


def _reconcile(client: Client, args: Namespace) -> int:
    differences = client.differences()
    _print(args, differences, shown.differences(differences))
    return 0


def _top(client: Client, args: Namespace) -> int:
    if not 0.1 <= args.every <= 3600:
        raise ValueError("--every has to be from 0.1 to 3600 seconds")
    return top.run(client, args.resource, args.every, once=args.once or not sys.stdout.isatty())


def _policy(client: Client, args: Namespace) -> int:
    if args.do == "dry-run":
        text = None if args.file is None else _text(args.file)
        tried = client.try_out(text)
        _print(args, tried, shown.tried(tried))
    else:
        view = client.policy("" if args.do == "show" else args.do)
        _print(args, view, shown.policy(view))
    return 0


def _backends(args: Namespace) -> int:
    return _drivers(args, list(farms.drivers(BACKENDS)))


def _executors(args: Namespace) -> int:
    return _drivers(args, list(farms.drivers(EXECUTORS)))


def _drivers(args: Namespace, drivers: list[DriverView]) -> int:
    _print(args, drivers, shown.drivers(drivers))
    return int(any(driver.error for driver in drivers))


def _doctor(args: Namespace) -> int:
    try:
        seen = asyncio.run(farms.doctor(load_site(args.config)))
    except DocumentError as error:
        return complain(error)
    except DriverError as error:
        sys.stderr.write(f"wnodes: {error}\n")
        return 1
    _print(args, seen, shown.health(seen))
    return int(not all(each.well for each in seen))


# ------------------------------------------------------------------- in, out


def _form(args: Namespace) -> RequestForm:
    """The request that the options ask for; whose it is is the daemon's to know, unless told otherwise."""
    asked: dict[str, Any] = {
        "kind": args.kind,
        "origin": args.origin or ("cloud" if args.kind in {"vm", "pool"} else "local"),
        "roles": args.role,
        "tags": args.tag,
        "attributes": dict(_attribute(text) for text in args.attribute),
    }
    asked |= {name: value for name in _NAMES if (value := getattr(args, name)) is not None}
    asked |= {name: _number(value) for name in _SIZES if (value := getattr(args, name)) is not None}
    if args.script is not None:
        asked["script"] = _text(args.script)
    if machine := _machine(args):
        asked["machine"] = machine
    return convert(asked)


def _machine(args: Namespace) -> dict[str, Any]:
    """How each machine is to be equipped, as far as the options say."""
    machine = {
        "user_data": _text(args.user_data) if args.user_data is not None else "",
        "ssh_keys": [line for name in args.ssh_key for line in _text(name).splitlines() if line.strip()],
        "key_pair": args.key_pair,
        "networks": args.network,
        "security_groups": args.security_group,
        "boot_volume": _number(args.boot_volume) if args.boot_volume is not None else 0,
        "volumes": [{"size": _number(size)} for size in args.volume],
    }
    return {name: value for name, value in machine.items() if value}


def _text(name: str) -> str:
    """What a file says; `-` is the standard input. Raises ValueError."""
    try:
        if name == "-":
            return sys.stdin.read(_LARGEST_FILE)
        with Path(name).open(encoding="utf-8", newline="") as file:
            return file.read(_LARGEST_FILE)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: {error}") from None


def _attribute(text: str) -> tuple[str, str | int | bool]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--attribute {text!r}: write NAME=VALUE")
    return name, {"true": True, "false": False}.get(value, _number(value))


def _number(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else text


def _print(args: Namespace, value: object, text: str) -> None:
    sys.stdout.write(_json(value) if args.json else text)


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
