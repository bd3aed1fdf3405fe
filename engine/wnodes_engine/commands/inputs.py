"""What the commands read: a site, a policy ready for use; and how they say that something cannot be used."""

from __future__ import annotations

import os
import sys

from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.documents import DocumentError
from wnodes_engine.findings import Severity
from wnodes_engine.frames import as_text
from wnodes_engine.language.load import load
from wnodes_engine.site import Site, load_site


def read_site(path: str | None) -> Site | None:
    """The site, if one was named. Raises DocumentError."""
    return None if path is None else load_site(path)


def read_policy(path: str, site: Site | None) -> CompiledPolicy:
    """The policy with its includes, checked and compiled. Raises DocumentError with its errors."""
    program = load(path)
    policy, findings = check_policy(program, site)
    if policy is None:
        errors = [finding for finding in findings if finding.severity is Severity.ERROR]
        raise DocumentError(errors, program.texts)
    return compile_policy(policy)


def complain(error: DocumentError) -> int:
    """Print what is wrong on stderr, with the text around it; the exit status, 1."""
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    sys.stderr.write(as_text(error.findings, error.texts, colour=colour))
    return 1
