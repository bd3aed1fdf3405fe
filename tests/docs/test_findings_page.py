"""Each code's page: the wrong example has that finding and no other, the right one has none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from wnodes_engine.catalogue import Entry, as_markdown, entries
from wnodes_engine.check.policy import check_policy
from wnodes_engine.cli import main
from wnodes_engine.documents import DocumentError
from wnodes_engine.findings import Finding, in_order
from wnodes_engine.language.load import load
from wnodes_engine.site import load_site
from wnodes_engine.state_file import load_farm

ROOT = Path(__file__).parents[2]
SHARES = """
share grid 50% { share lhc 80%  share small 20% }
share local 30%
share cloud 20% { share services 25%  share personal 75% }
"""
ASSIGNS = """
assign cloud.services when kind == vm and "service-operator" in roles
assign cloud.personal when kind in {vm, pool}
assign grid.lhc when origin == grid and group == "cms"
assign grid.small when origin == grid
assign local otherwise
"""
ROUTES = {
    "policy": "\nroute job, vmjob, vm, pool to slurm\n",
    "site": "\nroute job to slurm\nroute vmjob, vm, pool to openstack through slurm\n",
}
SITE = """
name: example
timezone: Europe/Rome
farm: farm.yaml
groups: [phys, cms]
backends: {slurm: {driver: simulated}}
executors: {openstack: {driver: simulated}}
"""
FARM = 'nodes: [{name: "wn[1-4]", cores: 16, memory: 32GiB}]\n'

TOLD = entries()
SHOWN = [entry for entry in TOLD.values() if entry.wrong is not None]
NOT_IN_A_TEXT = {"E001", "E002", "E033", "E172", "E190", "E195", "E196"}
"""Files that cannot be read, what is too long to be shown, and lines of logs."""


def whole(text: str, at: str) -> str:
    if text.startswith("policy"):
        return text
    parts = ["policy p", SHARES, text]
    parts += [] if re.search("^assign", text, re.MULTILINE) else [ASSIGNS]
    parts += [] if re.search("^route", text, re.MULTILINE) else [ROUTES[at]]
    return "\n".join(parts)


def findings_of(entry: Entry, text: str, folder: Path) -> list[Finding]:
    folder.joinpath("more.policy").write_text("quota for each user: running <= 5000\n")
    try:
        if entry.of == "site":
            folder.joinpath("site.yaml").write_text(text)
            load_site(folder / "site.yaml")
            return []
        folder.joinpath("farm.yaml").write_text(text if entry.of == "farm" else FARM)
        nodes = load_farm(folder / "farm.yaml")
        if entry.of == "farm":
            return []
    except DocumentError as error:
        return error.findings
    folder.joinpath("site.yaml").write_text(SITE)
    site = load_site(folder / "site.yaml") if entry.at == "site" else None
    folder.joinpath("p.policy").write_text(whole(text, "site" if site else "policy"))
    program = load(str(folder / "p.policy"))
    return in_order([*program.findings, *check_policy(program, site, nodes if site else ())[1]])


@pytest.mark.parametrize("entry", SHOWN, ids=lambda entry: entry.code)
def test_the_wrong_example_has_this_finding_and_no_other(entry: Entry, tmp_path: Path) -> None:
    assert entry.wrong is not None
    assert {finding.code for finding in findings_of(entry, entry.wrong, tmp_path)} == {entry.code}


@pytest.mark.parametrize("entry", SHOWN, ids=lambda entry: entry.code)
def test_the_right_example_has_no_finding(entry: Entry, tmp_path: Path) -> None:
    assert entry.right is not None
    assert findings_of(entry, entry.right, tmp_path) == []


def test_only_what_does_not_lie_in_a_text_has_no_example() -> None:
    assert {entry.code for entry in TOLD.values() if entry.wrong is None} == NOT_IN_A_TEXT


def test_the_page_is_what_the_table_says() -> None:
    assert (ROOT / "docs" / "findings.md").read_text() == as_markdown(), "run `make findings`"


def test_explain_tells_what_a_code_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "w109"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("warning[W109]: a default that a cap denies\n\nA request that leaves this out")
    assert "wrong:\n    default walltime 8d\n    cap walltime 7d\n" in out
    assert main(["explain", "W109", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["right"] == "default walltime 7d\ncap walltime 7d"


@pytest.mark.parametrize("words", [["W999"], ["tier1.policy"], ["W109", "--state", "s.yaml"]])
def test_explain_refuses_what_is_neither_a_code_nor_a_question(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", *words])
    assert ended.value.code == 2
    assert ("no code W999" if words == ["W999"] else "--state and --request") in capsys.readouterr().err
