"""`wnodes-policy workload`: a log of jobs out of the Lublin–Feitelson model, on stdout."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import replace
from itertools import islice

from wnodes_engine.simulate.swf import swf_lines
from wnodes_engine.simulate.workload import Workload, jobs, rate_for

_MONDAY = 1_767_571_200  # 2026-01-05: the model's first midnight


def add_arguments(parser: ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--jobs", type=_whole, default=10_000, metavar="N", help="how many (10000)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="another seed, other jobs (1)")
    parser.add_argument("--widest", type=_whole, default=128, metavar="P", help="processors at most (128)")
    parser.add_argument(
        "--cores", type=_whole, metavar="C", help="the size of the farm that --load speaks of"
    )
    parser.add_argument(
        "--load", type=_load, metavar="L", help="the part of the --cores that the jobs ask for, such as 0.9"
    )


def run(args: Namespace) -> int:
    """0 with the log on stdout; 2 where --load and --cores are not given together."""
    if (args.load is None) != (args.cores is None):
        sys.stderr.write("wnodes-policy workload: --load and --cores belong together\n")
        return 2
    model = Workload(widest=max(2, args.widest))
    if args.load is not None:
        model = replace(model, rate=rate_for(args.load, args.cores, model))
    header = {
        "Version": "2.2",
        "Information": "made by the Lublin-Feitelson model (JPDC 63(11), 2003), batch jobs",
        "MaxJobs": args.jobs,
        "MaxRecords": args.jobs,
        "UnixStartTime": _MONDAY,
        "TimeZoneString": "UTC",
        "MaxProcs": model.widest,
        "Note": f"seed {args.seed}, rate {model.rate:.4f}",
    }
    sys.stdout.writelines(swf_lines(islice(jobs(args.seed, model), args.jobs), header))
    return 0


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) == int(text[:10]):
        raise ArgumentTypeError(f"'{text[:40]}' is not a whole number from 1 to 999,999,999")
    return int(text)


def _load(text: str) -> float:
    try:
        load = float(text)
    except ValueError:
        load = 0.0
    if not 0.001 <= load <= 1000:
        raise ArgumentTypeError(f"'{text[:40]}' is not a load: 1 asks for the whole farm")
    return load
