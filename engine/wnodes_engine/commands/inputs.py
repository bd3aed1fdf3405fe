"""What the commands read: a site, a policy ready for use; and how they say that something cannot be used."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.documents import DocumentError
from wnodes_engine.findings import Severity
from wnodes_engine.frames import as_text
from wnodes_engine.language.load import load
from wnodes_engine.site import Site, load_site
from wnodes_engine.state_file import load_request, load_state, restore
from wnodes_engine.values import Request
from wnodes_engine.wire import Known


def read_site(path: str | None) -> Site | None:
    """The site, if one was named. Raises DocumentError."""
    return None if path is None else load_site(path)


def read_policy(path: str, site: Site | None) -> CompiledPolicy:
    """The policy with its includes, checked and compiled. Raises DocumentError with its errors."""
    program = load(path)
    policy, findings = check_policy(program, site, hints=False)
    if policy is None:
        errors = [finding for finding in findings if finding.severity is Severity.ERROR]
        raise DocumentError(errors, program.texts)
    return compile_policy(policy)


def add_inputs(parser: ArgumentParser, *, needed: bool = True) -> None:
    """The arguments of commands about one request: what `read_inputs` reads, and how to show the answer."""
    if needed:
        parser.add_argument("policy", metavar="POLICY", help="the policy")
    parser.add_argument(
        "--state", required=needed, metavar="FILE", help="the farm as it stands (YAML or JSON)"
    )
    parser.add_argument("--request", required=needed, metavar="FILE", help="what is asked (YAML or JSON)")
    parser.add_argument("--site", metavar="FILE", help="site.yaml: images, flavours, attributes, time zone")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def read_inputs(args: Namespace) -> tuple[State, Request, int]:
    """The state under the policy, the request, and what time it is there. Raises DocumentError.

    Whom of the state's queue the policy denies is told on stderr.
    """
    site = read_site(args.site)
    policy = read_policy(args.policy, site)
    file = load_state(args.state, Known.of(site) if site else Known())
    request = load_request(args.request, file.now, file.known)
    state, denied = restore(file, policy)
    if denied:
        named = ", ".join(denied[:5]) + (" and others" if len(denied) > 5 else "")
        sys.stderr.write(
            f"note: the policy denies {named} of the state's queue; what is denied does not wait\n"
        )
    return state, request, file.now


def complain(error: DocumentError) -> int:
    """Print what is wrong on stderr, with the text around it; the exit status, 1."""
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    sys.stderr.write(as_text(error.findings, error.texts, colour=colour))
    return 1
