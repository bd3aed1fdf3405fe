"""Whether jobs can be submitted in their users' names, as a site has set it up: what every doctor asks."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from wnodes_engine.backend import Health

from wnodes_batch.identity import Means
from wnodes_batch.runner import Answer

_RULES: Final = ("sudo", "-n", "-l")


async def submission(
    means: Means,
    program: str,
    run: Callable[[tuple[str, ...]], Awaitable[Answer]],
    *,
    own: str,
    is_root: bool,
    itself: Health | None = None,
) -> Health:
    """The finding about the means of submitting by `program`; never raises.

    `own` is the daemon's user, `itself` what is to be said where the batch system submits for others by
    itself (`uid`), which takes rights of its own. Of sudo its rules are asked: it runs nothing.
    """
    if means is Means.UID and itself is not None:
        return itself
    if means is Means.SELF:
        found = "all jobs are submitted as the daemon's own user: those of others are refused"
        return Health("submission", not is_root, found, "run the daemon as a user, not as root")
    said = f"jobs are submitted by {means}, and the daemon {'is' if is_root else 'is not'} root"
    mend = f"submit_as: sudo, with the rule `{own} ALL=(%GROUP) NOPASSWD:SETENV: PATH/{program}` in sudoers"
    if means is not Means.SUDO:
        return Health("submission", is_root, said, mend)
    if is_root:
        return Health("submission", True, said)
    answer = await run(_RULES)
    if answer.status != 0:
        return Health("submission", False, f"sudo has no rule for {own}: {answer.said[:200]}", mend)
    if not _names(answer.out.decode("utf-8", "replace"), program):
        return Health("submission", False, f"no rule of sudo lets {own} run {program} unasked", mend)
    return Health("submission", True, f"jobs are submitted by sudo, which lets {own} run {program}")


def _names(rules: str, program: str) -> bool:
    """Whether a rule among those that `sudo -l` lists needs no password, and is for the program."""
    wanted = re.compile(rf"NOPASSWD:.*?(?:(?<![^\s/]){re.escape(program)}(?![^\s,])|\bALL\b)")
    return wanted.search(rules.replace("\n        ", " ")) is not None
