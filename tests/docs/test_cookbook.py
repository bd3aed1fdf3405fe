"""Each policy of the tutorial and the cookbook is sound, and does what is said of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from wnodes_engine.cli import main

DOCS = Path(__file__).parents[2] / "docs"
TEXTS = {name: (DOCS / f"{name}.md").read_text() for name in ("tutorial", "cookbook")}
_SECTION = re.compile(r"^## (.+?)\n.*?```policy\n(.*?)```\n\n```yaml\n(.*?)```", re.MULTILINE | re.DOTALL)
SHOWN = {name: _SECTION.findall(text) for name, text in TEXTS.items()}
RECIPES = [row for rows in SHOWN.values() for row in rows]
STATE = """
now: {now}
nodes:
  - {{name: "wn[01-20]", cores: 24, memory: 96GiB}}
  - {{name: "gpu[1-2]", cores: 32, memory: 256GiB, gpus: 4}}
images:
  - {{name: debian-12, approved: true}}
  - {{name: homemade}}
"""
NODES = {**{f"wn{n:02}": 24 for n in range(1, 21)}, "gpu1": 32, "gpu2": 32}
FULL = "\nallocations:\n" + "".join(
    f"  - {{id: {node}, started: '2026-03-02T09:00:00Z', nodes: {{{node}: 1}}, request: {{kind: vm, "
    f"origin: cloud, user: bob, group: theory, image: debian-12, cores: {cores}}}}}\n"
    for node, cores in NODES.items()
)
USUAL = {"kind": "job", "origin": "local", "user": "ann", "group": "cms"}


def test_every_section_is_tried() -> None:
    assert {name: len(rows) for name, rows in SHOWN.items()} == {"tutorial": 5, "cookbook": 15}
    assert all(text.count("\n## ") == len(SHOWN[name]) for name, text in TEXTS.items())


@pytest.mark.parametrize(("policy", "cases"), [row[1:] for row in RECIPES], ids=[row[0] for row in RECIPES])
def test_a_recipe_does_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], policy: str, cases: str
) -> None:
    (tmp_path / "p.policy").write_text(policy)
    for name, hour, held in (("noon", 12, ""), ("night", 22, ""), ("full", 12, FULL)):
        (tmp_path / f"{name}.yaml").write_text(STATE.format(now=f"2026-03-02T{hour}:00:00Z") + held)
    tests: list[dict[str, Any]] = [
        {"name": f"case {at}", "state": "noon", **case, "request": {**USUAL, **case["request"]}}
        for at, case in enumerate(yaml.safe_load(cases))
    ]
    states = {name: f"{name}.yaml" for name in ("noon", "night", "full")}
    suite = tmp_path / "p.test.yaml"
    suite.write_text(yaml.safe_dump({"policy": "p.policy", "states": states, "tests": tests}))
    status = main(["check", "--strict", str(tmp_path / "p.policy")])
    assert status == 0, capsys.readouterr().out
    status = main(["test", str(suite)])
    said = capsys.readouterr().out
    assert status == 0, said
    assert f"{len(tests)} passed, 0 failed" in said
