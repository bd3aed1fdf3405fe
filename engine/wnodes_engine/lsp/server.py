"""The language server over standard input and output: what editors ask, and what they are answered."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lsprotocol import types
from pygls import uris
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from wnodes_engine import __version__
from wnodes_engine.findings import Finding, Severity, has_errors
from wnodes_engine.format import ChangedMeaningError, formatted
from wnodes_engine.language.source import Source
from wnodes_engine.lsp.completion import begun_word, choices
from wnodes_engine.lsp.desk import Desk, Reading
from wnodes_engine.lsp.hover import about, about_word
from wnodes_engine.lsp.outline import outline
from wnodes_engine.lsp.positions import Measure
from wnodes_engine.lsp.symbols import Mention

PAUSE: Final = 0.05
"""Seconds without a change before a text is checked."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_DOTTED: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_SEVERITY: Final = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
}
_KINDS: Final = {
    "keyword": types.CompletionItemKind.Keyword,
    "attribute": types.CompletionItemKind.Property,
    "share": types.CompletionItemKind.Class,
    "let": types.CompletionItemKind.Constant,
    "window": types.CompletionItemKind.Event,
    "group": types.CompletionItemKind.Module,
    "word": types.CompletionItemKind.EnumMember,
    "site": types.CompletionItemKind.Value,
}


class PolicyServer(LanguageServer):
    """One editor's server: its desk, and whom it has told what."""

    def __init__(self) -> None:
        super().__init__("wnodes-policy", __version__, types.TextDocumentSyncKind.Full)
        self.desk = Desk()
        self.uris: dict[str, str] = {}
        self.told: dict[str, set[str]] = {}
        """By main file: the files of which something is shown."""
        self.waiting: asyncio.Task[None] | None = None

    def measure(self, text: str) -> Measure:
        """How places of a text are told to this editor."""
        return Measure(text, self.workspace.position_codec)

    def uri(self, path: str) -> str:
        """A file's URI, as the editor itself wrote it where it has the file open."""
        return self.uris.get(path) or uris.from_fs_path(str(Path(path).resolve())) or path

    def location(self, mention: Mention, reading: Reading) -> types.Location:
        """Where a mention stands."""
        path = mention.span.path
        return types.Location(self.uri(path), self.measure(reading.texts[path]).range(mention.span))


server: Final = PolicyServer()


# ------------------------------------------------------------------- what is open


@server.feature(types.INITIALIZE)
def initialize(ls: PolicyServer, params: types.InitializeParams) -> None:
    """Takes the workspace's folder, and the option `site`: where `site.yaml` is, from there."""
    folder = params.workspace_folders[0].uri if params.workspace_folders else params.root_uri
    root = uris.to_fs_path(folder) if folder else None
    options = params.initialization_options
    site = options.get("site") if isinstance(options, dict) else None
    ls.desk = Desk(Path(root) if root else None, Path(root or ".") / site if isinstance(site, str) else None)


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
def opened(ls: PolicyServer, params: types.DidOpenTextDocumentParams) -> None:
    """Checks a text as soon as it is open."""
    document = params.text_document
    path = _path(document.uri)
    ls.uris[path] = document.uri
    ls.desk.put(path, document.text)
    _tell(ls, [path])


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
async def changed(ls: PolicyServer, params: types.DidChangeTextDocumentParams) -> None:
    """Checks again when nothing has been typed for a moment."""
    ls.desk.put(_path(params.text_document.uri), params.content_changes[-1].text)
    if ls.waiting is not None:
        ls.waiting.cancel()
    ls.waiting = asyncio.create_task(_soon(ls))


@server.feature(types.TEXT_DOCUMENT_DID_SAVE)
def saved(ls: PolicyServer, _: types.DidSaveTextDocumentParams) -> None:
    """Checks everything: what was saved may be included elsewhere."""
    _tell(ls, ls.desk.paths)


@server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
def closed(ls: PolicyServer, params: types.DidCloseTextDocumentParams) -> None:
    """Takes away what was shown of a text."""
    path = _path(params.text_document.uri)
    ls.desk.drop(path)
    for shown in ls.told.pop(path, set()):
        _publish(ls, shown, [])
    ls.uris.pop(path, None)
    _tell(ls, ls.desk.paths)


async def _soon(ls: PolicyServer) -> None:
    await asyncio.sleep(PAUSE)
    _tell(ls, ls.desk.paths)


def _path(uri: str) -> str:
    """The path of a text; of one that is not a file (it was never saved), the URI itself."""
    return uris.to_fs_path(uri) or uri


# -------------------------------------------------------------------- diagnostics


def _tell(ls: PolicyServer, paths: Iterable[str]) -> None:
    """Shows what is found in these texts, and in what belongs to them; takes away what is mended."""
    done: set[str] = set()
    for path in paths:
        reading = ls.desk.read(path)
        if reading.main in done:
            continue
        done.add(reading.main)
        found: dict[str, list[types.Diagnostic]] = {source.path: [] for source in reading.program.sources}
        for finding in reading.findings:
            found.setdefault(finding.span.path, []).append(_diagnostic(ls, finding, reading))
        for gone in ls.told.get(reading.main, set()) - found.keys():
            _publish(ls, gone, [])
        for file, diagnostics in found.items():
            _publish(ls, file, diagnostics)
        ls.told[reading.main] = set(found)
    for main in ls.told.keys() - done - set(ls.desk.paths) if done else ():
        for gone in ls.told.pop(main):
            _publish(ls, gone, [])


def _publish(ls: PolicyServer, path: str, diagnostics: list[types.Diagnostic]) -> None:
    ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(ls.uri(path), diagnostics))


def _diagnostic(ls: PolicyServer, finding: Finding, reading: Reading) -> types.Diagnostic:
    more = [
        f"help: {finding.help}" if finding.help else "",
        f"such as {finding.witness}" if finding.witness else "",
    ]
    return types.Diagnostic(
        range=_range(ls, finding, reading),
        message="\n".join([finding.message, *filter(None, more)]),
        severity=_SEVERITY[finding.severity],
        code=finding.code,
        source="wnodes-policy",
        related_information=[
            types.DiagnosticRelatedInformation(
                types.Location(
                    ls.uri(note.span.path), ls.measure(reading.texts[note.span.path]).range(note.span)
                ),
                note.message,
            )
            for note in finding.notes
        ],
    )


def _range(ls: PolicyServer, finding: Finding, reading: Reading) -> types.Range:
    return ls.measure(reading.texts.get(finding.span.path, "")).range(finding.span)


# ------------------------------------------------------------------------- names


def _found(ls: PolicyServer, uri: str, position: types.Position) -> tuple[Reading, Mention | None, str]:
    """What is under the cursor: its mention if it is one, and the word, dotted names as a whole."""
    path = _path(uri)
    text = ls.desk.text(path)
    at = ls.measure(text).offset(position)
    reading = ls.desk.last(path)
    here = [one for one in reading.mentions if _same(one.span.path, path)]
    for one in here:
        if one.span.start <= at <= one.span.end:
            return reading, one, one.name
    begin = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[begin : end if end >= 0 else len(text)]
    word = next((w[0] for w in _DOTTED.finditer(line) if w.start() <= at - begin <= w.end()), "")
    if not reading.sound:  # only what seems to be defined is known: go by the word
        named = next((one for one in reading.mentions if one.name == word), None)
        return reading, named, word
    return reading, None, word


def _same(path: str, other: str) -> bool:
    return path == other or Path(path).resolve() == Path(other).resolve()


def _all_of(mention: Mention, reading: Reading) -> list[Mention]:
    return [one for one in reading.mentions if (one.sort, one.name) == (mention.sort, mention.name)]


@server.feature(types.TEXT_DOCUMENT_DEFINITION)
def definition(ls: PolicyServer, params: types.DefinitionParams) -> list[types.Location]:
    """Where a share, a `let`, a window or a group is defined."""
    reading, mention, _ = _found(ls, params.text_document.uri, params.position)
    named = _all_of(mention, reading) if mention else []
    return [ls.location(one, reading) for one in named if one.defines]


@server.feature(types.TEXT_DOCUMENT_REFERENCES)
def references(ls: PolicyServer, params: types.ReferenceParams) -> list[types.Location]:
    """Everything that speaks of a name; only in files that can be read."""
    reading, mention, _ = _found(ls, params.text_document.uri, params.position)
    named = _all_of(mention, reading) if mention else []
    return [
        ls.location(one, reading) for one in named if params.context.include_declaration or not one.defines
    ]


@server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
def prepare_rename(ls: PolicyServer, params: types.PrepareRenameParams) -> types.Range | None:
    """Which name would be changed; None where there is none."""
    reading, mention, _ = _found(ls, params.text_document.uri, params.position)
    if mention is None or not reading.sound:
        return None
    return ls.measure(ls.desk.text(_path(params.text_document.uri))).range(mention.span)


@server.feature(types.TEXT_DOCUMENT_RENAME)
def rename(ls: PolicyServer, params: types.RenameParams) -> types.WorkspaceEdit:
    """Gives something another name everywhere; refused where the policy would not be the same any more."""
    reading, mention, word = _found(ls, params.text_document.uri, params.position)
    new = params.new_name
    if mention is None:
        raise JsonRpcInvalidParams(f"`{word}` is not a name that this policy gives")
    if not reading.sound or has_errors(reading.findings):
        raise JsonRpcInvalidParams("the policy has errors: mend them first, then rename")
    if not _NAME.fullmatch(new):
        raise JsonRpcInvalidParams(f"`{new}` cannot be a name: use letters, digits and `_`")
    spans = {one.span for one in _all_of(mention, reading)}
    texts: dict[str, str] = {}
    for span in sorted(spans, key=lambda span: -span.start):
        text = texts.get(span.path, reading.texts[span.path])
        texts[span.path] = text[: span.start] + new + text[span.end :]
    wrong = next((f for f in ls.desk.again(reading, texts) if f.severity is Severity.ERROR), None)
    whole = mention.name.rpartition(".")[0]
    taken = any(one.name == (f"{whole}.{new}" if whole else new) for one in reading.mentions)
    if wrong is not None or taken:
        raise JsonRpcInvalidParams(
            f"`{new}` cannot be used here: {wrong.message if wrong else 'it is taken'}"
        )
    changes: dict[str, list[types.TextEdit]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        edit = types.TextEdit(ls.measure(reading.texts[span.path]).range(span), new)
        changes.setdefault(ls.uri(span.path), []).append(edit)
    return types.WorkspaceEdit(changes=changes)


@server.feature(types.TEXT_DOCUMENT_HOVER)
def hover(ls: PolicyServer, params: types.HoverParams) -> types.Hover | None:
    """What is under the cursor: of a share what it is worth, of an attribute who says so."""
    reading, mention, word = _found(ls, params.text_document.uri, params.position)
    said = about(mention, reading) if mention else about_word(word, reading)
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, said)) if said else None


@server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=['"', ".", "{"]))
def completion(ls: PolicyServer, params: types.CompletionParams) -> list[types.CompletionItem]:
    """What can be written at the cursor."""
    path = _path(params.text_document.uri)
    text = ls.desk.text(path)
    measure = ls.measure(text)
    before = text[: measure.offset(params.position)]
    reading = ls.desk.last(path)
    start = measure.offset(params.position) - len(begun_word(before))
    line = before.count("\n", 0, start) + 1
    begin = measure.position(line, start - (before.rfind("\n", 0, start) + 1) + 1)
    return [
        types.CompletionItem(
            choice.text,
            kind=_KINDS[choice.kind],
            detail=choice.about or None,
            text_edit=None
            if choice.kind == "site"
            else types.TextEdit(types.Range(begin, params.position), choice.text),
        )
        for choice in choices(before, reading.mentions, reading.place)
    ]


# --------------------------------------------------------------- the whole of a file


@server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def symbols(ls: PolicyServer, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    """Shares inside of each other, and the other statements of one file."""
    path = _path(params.text_document.uri)
    text = ls.desk.text(path)
    return outline(Source(path, text), ls.measure(text))


@server.feature(types.TEXT_DOCUMENT_FORMATTING)
def formatting(ls: PolicyServer, params: types.DocumentFormattingParams) -> list[types.TextEdit]:
    """The canonical layout; a file with errors is left as it is."""
    path = _path(params.text_document.uri)
    text = ls.desk.text(path)
    try:
        new = formatted(Source(path, text)).text
    except ChangedMeaningError:
        return []
    return [] if new is None or new == text else [types.TextEdit(ls.measure(text).whole, new)]
