"""The policy in force, while the daemon runs: taken from its files, tried out, and taken back.

Only what checks clean, and what the site's backends can carry out, is taken; until then the old one serves.
Each that was in force is in the store with its texts. One that was rolled back to stays in force, over a
restart as well, until the files say something else than what it was rolled back from.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from wnodes_engine.check.policy import check_policy
from wnodes_engine.commands.inputs import read_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.documents import DocumentError
from wnodes_engine.findings import Finding, Severity
from wnodes_engine.language.load import Program, load_sources, load_text
from wnodes_engine.language.source import Source
from wnodes_engine.site import Site

from wnodes_daemon.database import StoreUnavailable
from wnodes_daemon.grouping import Busy
from wnodes_daemon.records import KnownPolicy
from wnodes_daemon.service import Service
from wnodes_daemon.taking_up import copied
from wnodes_daemon.trying_out import Outcome, outcomes

_log: Final = logging.getLogger(__name__)
_WATCHED: Final = 2.0
"""Seconds between two looks at the policy's files."""

FILES: Final = "files"
ROLLBACK: Final = "rollback"

Check = Callable[[CompiledPolicy], None]
"""Raises PolicyRefused for a policy that this site cannot carry out."""


class PolicyRefused(Exception):  # noqa: N818 - it names a condition
    """A policy is not taken; the message says why, `findings` what is wrong in it."""

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class LivePolicy:
    """What is in force, and how another comes to be. Used from one event loop."""

    def __init__(self, site: Site, service: Service, check: Check) -> None:
        self._site = site
        self._service = service
        self._check = check
        self._one_at_a_time = asyncio.Lock()  # the last to be read is the last to be taken
        self._seen = self._signature()
        self.problem = ""
        """Why the files as they are now are not taken; empty if they are, or were not looked at."""

    async def in_force(self) -> KnownPolicy:
        """The policy in force. Raises StoreUnavailable."""
        return (await self._service.policies())[-1]

    async def reload(self, origin: str = FILES) -> KnownPolicy:
        """Take the policy as its files are now. Raises PolicyRefused, Busy and StoreUnavailable."""
        async with self._one_at_a_time:
            self._seen = self._signature()
            try:
                policy = await asyncio.to_thread(from_files, self._site)
                self._check(policy)
                await self._service.reload(policy, origin)
            except (PolicyRefused, Busy, StoreUnavailable) as error:
                self.problem = str(error)
                findings = [_line(f) for f in error.findings] if isinstance(error, PolicyRefused) else []
                _log.error("the new policy is not taken", extra={"error": str(error), "findings": findings})
                raise
            self.problem = ""
            _log.info("the policy was reloaded", extra={"digest": policy.digest, "origin": origin})
            return await self.in_force()

    async def roll_back(self) -> KnownPolicy:
        """Take the policy that was in force before. Raises PolicyRefused, Busy and StoreUnavailable."""
        async with self._one_at_a_time:
            before = previous(await self._service.policies())
            if before is None:
                raise PolicyRefused("there is no policy to go back to: this is the first")
            policy = await asyncio.to_thread(from_store, self._site, before)
            self._check(policy)
            await self._service.reload(policy, f"{ROLLBACK} to {before.number}")
            _log.warning("the policy was rolled back", extra={"digest": policy.digest, "to": before.number})
            return await self.in_force()

    async def dry_run(self, text: str | None) -> tuple[CompiledPolicy, list[Outcome]]:
        """What would change for what waits and runs, under this text or the files as they are now.

        Raises PolicyRefused.
        """
        policy = await asyncio.to_thread(
            from_files if text is None else lambda site: from_text(site, text), self._site
        )
        self._check(policy)
        return policy, await asyncio.to_thread(outcomes, copied(self._service.memory), policy)

    async def watch(self) -> None:
        """Take what the files say, whenever they change; without end."""
        while True:
            await asyncio.sleep(_WATCHED)
            signature = await asyncio.to_thread(self._signature)
            if signature == self._seen:
                continue
            await asyncio.sleep(_WATCHED / 4)  # whoever writes may not be done
            try:
                await self.reload()
            except (PolicyRefused, Busy, StoreUnavailable):
                pass  # it was told, and the next change is looked at
            except Exception:
                _log.exception("the policy's files could not be looked at")

    def _signature(self) -> tuple[tuple[str, int, int], ...]:
        """By which a change of the files is seen."""
        names = {source.path for source in self._service.policy.checked.sources} | {str(self._site.policy)}
        found = []
        for name in sorted(names):
            try:
                status = Path(name).stat()
                found.append((name, status.st_mtime_ns, status.st_size))
            except OSError:
                found.append((name, 0, 0))
        return tuple(found)


def previous(known: Sequence[KnownPolicy]) -> KnownPolicy | None:
    """The policy before the one in force; after a rollback, before the one that was rolled back to."""
    at = known[-1]
    if at.origin.startswith(ROLLBACK):
        number = int(at.origin.rpartition(" ")[2])
        at = next((one for one in known if one.number == number), at)
    older = [one for one in known if one.number < at.number and not one.origin.startswith(ROLLBACK)]
    older = [one for one in older if one.digest != at.digest]
    return older[-1] if older else None


def at_start(site: Site, files: CompiledPolicy, known: Sequence[KnownPolicy]) -> CompiledPolicy:
    """What to begin with: the files, unless they are what was rolled back from."""
    if not known or not known[-1].origin.startswith(ROLLBACK):
        return files
    to = int(known[-1].origin.rpartition(" ")[2])
    bad = {one.digest for one in known if one.number > to and not one.origin.startswith(ROLLBACK)}
    if files.digest not in bad:
        return files
    try:
        return from_store(site, known[-1])
    except PolicyRefused as error:
        _log.error("the policy that was rolled back to is not sound", extra={"error": str(error)})
        return files


def from_files(site: Site) -> CompiledPolicy:
    """The policy as its files are now. Raises PolicyRefused."""
    if site.policy is None:
        raise PolicyRefused("the site names no policy")
    try:
        return read_policy(str(site.policy), site)
    except DocumentError as error:
        raise _refused(error.findings) from None


def from_text(site: Site, text: str) -> CompiledPolicy:
    """A policy whose main file would be this text. Raises PolicyRefused."""
    return _checked(site, load_text(text, str(site.policy)))


def from_store(site: Site, known: KnownPolicy) -> CompiledPolicy:
    """A policy that was in force before. Raises PolicyRefused."""
    return _checked(site, load_sources([Source(path, text) for path, text in known.sources]))


def _checked(site: Site, program: Program) -> CompiledPolicy:
    checked, findings = check_policy(program, site, hints=False)
    if checked is None:
        raise _refused([finding for finding in findings if finding.severity is Severity.ERROR])
    return compile_policy(checked)


def _refused(findings: Sequence[Finding]) -> PolicyRefused:
    first = _line(findings[0]) if findings else "it cannot be read"
    more = f", and {len(findings) - 1} more" if len(findings) > 1 else ""
    return PolicyRefused(f"the policy is not sound: {first}{more}", findings)


def _line(finding: Finding) -> str:
    return f"{finding.span.path}:{finding.span.line}: {finding.message}"
