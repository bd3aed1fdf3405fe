"""An editor of a test's: a client of the language server, over standard input and output."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path

from lsp.scene import POLICY
from lsprotocol import types
from pygls.lsp.client import LanguageClient


class Editor:
    """A client that remembers what it was shown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = LanguageClient("test", "1")
        self.shown: dict[str, list[types.Diagnostic]] = {}
        self._news = asyncio.Event()
        self._versions: dict[str, int] = {}

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def show(params: types.PublishDiagnosticsParams) -> None:
            self.shown[params.uri] = list(params.diagnostics)
            self._news.set()

    async def start(self) -> None:
        await self.client.start_io(sys.executable, "-m", "wnodes_engine.cli", "lsp", "--stdio")
        folders = [types.WorkspaceFolder(self.folder.as_uri(), "site")]
        self.answer = await self.client.initialize_async(
            types.InitializeParams(types.ClientCapabilities(), workspace_folders=folders)
        )
        self.client.initialized(types.InitializedParams())

    async def stop(self) -> None:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()

    def uri(self, name: str = "p.policy") -> str:
        return (self.folder / name).as_uri()

    async def until(self, wanted: Callable[[], bool]) -> None:
        while not wanted():
            self._news.clear()
            await self._news.wait()

    async def open(self, text: str, name: str = "p.policy") -> list[types.Diagnostic]:
        self.shown.pop(self.uri(name), None)
        item = types.TextDocumentItem(self.uri(name), "wnodes-policy", 1, text)
        self._versions[name] = 1
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        await self.until(lambda: self.uri(name) in self.shown)
        return self.shown[self.uri(name)]

    async def type(self, text: str, name: str = "p.policy") -> list[types.Diagnostic]:
        self.shown.pop(self.uri(name), None)
        self._versions[name] += 1
        which = types.VersionedTextDocumentIdentifier(self._versions[name], self.uri(name))
        change = types.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(which, [change]))
        await self.until(lambda: self.uri(name) in self.shown)
        return self.shown[self.uri(name)]

    async def complete(self, marked: str) -> set[str]:
        """What is offered at the `|` of a text."""
        at = marked.index("|")
        await self.open(marked.replace("|", ""))
        line, begin = marked.count("\n", 0, at), marked.rfind("\n", 0, at) + 1
        where = types.Position(line, at - begin)
        found = await self.client.text_document_completion_async(
            types.CompletionParams(types.TextDocumentIdentifier(self.uri()), where)
        )
        assert isinstance(found, list)
        return {item.label for item in found}

    def at(self, pattern: str, text: str = POLICY, name: str = "p.policy") -> dict[str, object]:
        """The parameters of a question about the first place of a text that has this."""
        found = re.search(pattern, text)
        assert found is not None
        begin = found.start(1) if found.groups() else found.start()
        line = text.count("\n", 0, begin)
        return {
            "text_document": types.TextDocumentIdentifier(self.uri(name)),
            "position": types.Position(line, begin - (text.rfind("\n", 0, begin) + 1)),
        }
