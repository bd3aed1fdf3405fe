"""Compiles a checked policy: plan it, write its module, load that."""

from __future__ import annotations

import linecache
from typing import Any

from wnodes_engine.check.checked import CheckedPolicy
from wnodes_engine.compile.module import ModuleWriter
from wnodes_engine.compile.plan import plan
from wnodes_engine.core.policy import CompiledPolicy, RoomTests


def compile_policy(checked: CheckedPolicy) -> CompiledPolicy:
    """One specialised module for one policy, loaded and ready to decide."""
    planned = plan(checked)
    writer = ModuleWriter(checked, planned)
    source = writer.source()
    filename = f"<policy {checked.name} {checked.digest[:12]}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    module: dict[str, Any] = {"__name__": f"wnodes_policy_{checked.digest[:12]}"}
    exec(compile(source, filename, "exec"), module)  # noqa: S102 - our own text, from a checked policy
    module |= writer.values
    module |= {table.name: table.load(module) for table in writer.tables}
    return CompiledPolicy(
        checked=checked,
        admit=module["admit"],
        bounds=module["bounds"],
        routes=writer.routes.load(module),
        room=tuple(RoomTests(*tests) for tests in module["ROOM"]),
        meters=planned.meters,
        tracks_hs23=planned.tracks_hs23,
        source=source,
    )
