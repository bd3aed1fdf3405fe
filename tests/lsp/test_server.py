"""The language server, as an editor sees it: a real client over standard input and output."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from lsp.editor import Editor
from lsp.scene import FARM, POLICY, SITE
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from wnodes_engine.format import formatted
from wnodes_engine.language.source import Source

POLICIES = Path(__file__).parents[2] / "policies"
LIMIT = 30


def in_editor(folder: Path, do: Callable[[Editor], Awaitable[None]]) -> None:
    """Runs a scene in an editor whose folder is that of a site."""
    (folder / "site.yaml").write_text(SITE)
    (folder / "farm.yaml").write_text(FARM)

    async def scene() -> None:
        editor = Editor(folder)
        await editor.start()
        try:
            await do(editor)
        finally:
            await editor.stop()

    asyncio.run(asyncio.wait_for(scene(), LIMIT))


def applied(text: str, edits: list[types.TextEdit]) -> str:
    """A text with edits of single lines made in it."""
    lines = text.split("\n")
    for edit in sorted(edits, key=lambda e: -e.range.start.character):
        line, start, end = edit.range.start.line, edit.range.start.character, edit.range.end.character
        lines[line] = lines[line][:start] + edit.new_text + lines[line][end:]
    return "\n".join(lines)


def test_diagnostics_come_and_go_as_one_types(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        assert await editor.open(POLICY) == []
        (found,) = await editor.type(POLICY.replace("cores > 8", "corse > 8"))
        assert (found.code, found.severity) == ("E101", types.DiagnosticSeverity.Error)
        assert "help: did you mean `cores`?" in found.message
        line = POLICY.split("\n").index('deny "no" when in grid and cores > 8')
        assert found.range == types.Range(types.Position(line, 27), types.Position(line, 32))
        assert await editor.type(POLICY) == []

    in_editor(tmp_path, scene)


def test_a_half_written_file_has_diagnostics_of_all_its_errors(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        text = POLICY.replace("group in lhc", "group in").replace(" cores > 8", " cores >")
        assert [one.range.start.line for one in await editor.open(text)] == [9, 12]
        assert await editor.open('policy p "x"\nshare a {')

    in_editor(tmp_path, scene)


def test_columns_are_counted_as_the_editor_counts_them(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        (found,) = await editor.open(
            POLICY.replace('"no" when in grid and cores', '"🧪🧪" when in grid and corse')
        )
        assert found.range.start.character == 29  # two signs of two units each where there were two of one

    in_editor(tmp_path, scene)


def test_names_are_checked_against_the_site_beside_the_policy(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        found = await editor.open(POLICY.replace('"atlas"', '"atlantis"'))
        assert [(one.code, "atlantis" in one.message) for one in found] == [("E181", True)]

    in_editor(tmp_path, scene)


def test_what_is_wrong_with_the_site_is_shown_there(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        (tmp_path / "site.yaml").write_text(SITE.replace("Europe/Rome", "Europe/Roma"))
        await editor.open(POLICY)
        await editor.until(lambda: bool(editor.shown.get(editor.uri("site.yaml"))))
        (found,) = editor.shown[editor.uri("site.yaml")]
        assert found.code == "E193"
        assert found.range.start.line == 1

    in_editor(tmp_path, scene)


def test_an_included_file_is_read_as_a_part_of_the_policy_that_includes_it(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        (tmp_path / "p.policy").write_text(POLICY + 'include "more.policy"\n')
        assert await editor.open('deny "big" when in grid.lhc and memory > 64GiB\n', "more.policy") == []
        (found,) = await editor.type('deny "big" when in grid.lhx and memory > 64GiB\n', "more.policy")
        assert found.code == "E102"

    in_editor(tmp_path, scene)


def test_completion_replaces_the_whole_dotted_name(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        await editor.open(POLICY + "assign grid.l")
        line = POLICY.count("\n")
        found = await editor.client.text_document_completion_async(
            types.CompletionParams(types.TextDocumentIdentifier(editor.uri()), types.Position(line, 13))
        )
        assert found is not None
        edits = [item.text_edit for item in found if item.label == "grid.lhc"]
        whole = types.Range(types.Position(line, 7), types.Position(line, 13))
        assert edits == [types.TextEdit(whole, "grid.lhc")]

    in_editor(tmp_path, scene)


def test_hover_says_what_a_share_is_worth_in_cores(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        await editor.open(POLICY)
        shown = await editor.client.text_document_hover_async(types.HoverParams(**editor.at(r"grid\.(lhc)")))
        assert shown is not None
        said = shown.contents.value
        assert "share lhc 75% borrow 10%" in said
        assert "Worth **450 cores, 900GiB memory** of the farm's 1000 cores" in said
        assert "during `nights`: 525 cores" in said

    in_editor(tmp_path, scene)


WORDS = [
    (r"(cores) > 8", "cores of one machine or task"),
    (r"group in (lhc)", 'let lhc = {"cms", "atlas"}'),
    (r"during (nights)", 'window nights = "Mon-Fri'),
    (r"deny", 'deny "reason" [when'),
]


def test_hover_says_what_a_word_means(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        for pattern, said in WORDS:
            await editor.open(POLICY)
            shown = await editor.client.text_document_hover_async(types.HoverParams(**editor.at(pattern)))
            assert shown is not None
            assert said in shown.contents.value

    in_editor(tmp_path, scene)


DEFINED = [
    (r"assign (grid)\.lhc", r"share (grid) 60"),
    (r"assign grid\.(lhc)", r"share (lhc)"),
    (r"during nights \{ share (grid)", r"share (grid) 60"),
    (r"group in (lhc)", r"let (lhc)"),
    (r"during (nights)", r"window (nights)"),
    (r"when in (grid)", r"share (grid) 60"),
]


def test_definition_leads_to_where_a_name_was_given(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        for used, defined in DEFINED:
            await editor.open(POLICY)
            (found,) = await editor.client.text_document_definition_async(
                types.DefinitionParams(**editor.at(used))
            )
            assert found.range.start == editor.at(defined)["position"]

    in_editor(tmp_path, scene)


def test_definition_goes_by_the_word_in_a_file_that_is_half_written(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        await editor.open(POLICY + "deny when (")
        for used, defined in DEFINED[3:]:
            (found,) = await editor.client.text_document_definition_async(
                types.DefinitionParams(**editor.at(used))
            )
            assert found.range.start == editor.at(defined)["position"]

    in_editor(tmp_path, scene)


def test_an_origin_that_is_called_like_a_share_is_no_name(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        await editor.open(POLICY)
        where = editor.at(r"origin == (grid)")
        assert not await editor.client.text_document_definition_async(types.DefinitionParams(**where))

    in_editor(tmp_path, scene)


RENAMED = [
    (r"share (grid) 60", "wlcg", re.sub(r"(?<!== )\bgrid\b", "wlcg", POLICY)),
    (
        r"assign grid\.(lhc)",
        "big",
        POLICY.replace("share lhc", "share big").replace("grid.lhc", "grid.big"),
    ),
    (r"let (lhc)", "vos", POLICY.replace("let lhc", "let vos").replace("in lhc", "in vos")),
    (r"during (nights)", "dark", POLICY.replace("nights", "dark")),
]


def test_rename_changes_every_mention_and_nothing_else(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        for pattern, new, after in RENAMED:
            await editor.open(POLICY)
            edit = await editor.client.text_document_rename_async(
                types.RenameParams(**editor.at(pattern), new_name=new)
            )
            assert edit is not None
            assert edit.changes is not None
            assert applied(POLICY, list(edit.changes[editor.uri()])) == after

    in_editor(tmp_path, scene)


REFUSED = [
    (POLICY, "local", "it is taken|two shares"),
    (POLICY, "9lives", "cannot be a name"),
    (POLICY, "when", "cannot be used here"),
    (POLICY.replace("cores > 8", "corse > 8"), "wlcg", "mend them first"),
]


def test_rename_is_refused_where_it_would_break_the_policy(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        for text, new, why in REFUSED:
            await editor.open(text)
            with pytest.raises(JsonRpcException, match=why):
                await editor.client.text_document_rename_async(
                    types.RenameParams(**editor.at(r"share (grid) 60", text), new_name=new)
                )

    in_editor(tmp_path, scene)


def test_rename_reaches_into_files_that_are_included(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        (tmp_path / "more.policy").write_text('deny "big" when in grid.lhc and memory > 64GiB\n')
        text = POLICY + 'include "more.policy"\n'
        await editor.open(text)
        edit = await editor.client.text_document_rename_async(
            types.RenameParams(**editor.at(r"share (grid) 60", text), new_name="wlcg")
        )
        assert edit is not None
        assert edit.changes is not None
        assert set(edit.changes) == {editor.uri(), editor.uri("more.policy")}

    in_editor(tmp_path, scene)


def test_symbols_are_shares_inside_of_each_other_and_the_rules(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        which = types.DocumentSymbolParams(types.TextDocumentIdentifier(editor.uri()))
        await editor.open(POLICY)
        found = await editor.client.text_document_document_symbol_async(which)
        assert found is not None
        by_name = {one.name: one for one in found}
        assert [child.name for child in by_name["grid"].children] == ["lhc", "small"]
        assert {"lhc", "nights", "during nights", "assign local otherwise"} <= by_name.keys()
        await editor.open(POLICY + "deny when")
        half = await editor.client.text_document_document_symbol_async(which)
        assert half is not None
        assert {"lhc", "grid.small", "local"} <= {one.name for one in half}

    in_editor(tmp_path, scene)


def test_formatting_is_that_of_fmt_and_leaves_broken_files(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        which = types.DocumentFormattingParams(
            types.TextDocumentIdentifier(editor.uri()), types.FormattingOptions(4, True)
        )
        await editor.open(POLICY)
        (edit,) = await editor.client.text_document_formatting_async(which)
        assert edit.new_text == formatted(Source("p", POLICY)).text
        assert edit.range.end.line == POLICY.count("\n")
        await editor.type(POLICY + "deny when")
        assert not await editor.client.text_document_formatting_async(which)

    in_editor(tmp_path, scene)


@pytest.mark.parametrize("policy", sorted(POLICIES.glob("*.policy")), ids=lambda path: path.stem)
def test_shipped_policies_have_no_diagnostics(tmp_path: Path, policy: Path) -> None:
    text = policy.read_text()

    async def scene(editor: Editor) -> None:
        editor.folder = POLICIES
        assert await editor.open(text, policy.name) == []

    in_editor(tmp_path, scene)


def test_no_beginning_of_a_policy_upsets_the_server(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        await editor.open("")
        for end in range(0, len(POLICY), 29):
            text = POLICY[:end]
            await editor.complete(text + "|")
            line = text.count("\n")
            where = types.Position(line, len(text) - (text.rfind("\n") + 1))
            which = types.TextDocumentIdentifier(editor.uri())
            await editor.client.text_document_hover_async(types.HoverParams(which, where))
            await editor.client.text_document_definition_async(types.DefinitionParams(which, where))

    in_editor(tmp_path, scene)
