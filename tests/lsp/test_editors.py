"""The colours of editors know the words of the language."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from wnodes_engine.language.parser import keywords

EDITORS = Path(__file__).parents[2] / "editors"
TEXTMATE = EDITORS / "vscode" / "syntaxes" / "policy.tmLanguage.json"
VIM = EDITORS / "vim" / "syntax" / "wnodes-policy.vim"


@pytest.mark.parametrize("file", [TEXTMATE, VIM], ids=["vscode", "vim"])
def test_every_keyword_has_a_colour(file: Path) -> None:
    assert not set(keywords().values()) - set(re.findall(r"[a-z]+", file.read_text()))


def test_the_grammar_of_vs_code_is_made_of_expressions_that_can_be_read() -> None:
    grammar = json.loads(TEXTMATE.read_text())
    patterns = [rule.get("match") or rule["begin"] for rule in grammar["patterns"]]
    lines = ["assign grid.lhc when", "share grid 60%", '"text"', "# note", "== 7d"]
    assert all(any(re.search(pattern, line) for pattern in patterns) for line in lines)


def test_the_extension_starts_the_server_of_this_package() -> None:
    package = json.loads((EDITORS / "vscode" / "package.json").read_text())
    default = package["contributes"]["configuration"]["properties"]["wnodesPolicy.command"]["default"]
    assert default in (EDITORS.parent / "pyproject.toml").read_text()
    assert 'args: ["lsp"]' in (EDITORS / "vscode" / package["main"]).read_text()
