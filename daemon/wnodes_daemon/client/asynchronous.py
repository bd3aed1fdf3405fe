"""The client whose answers are awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

import httpx
from wnodes_engine.values import Decision, ShareUse
from wnodes_engine.wire import RequestForm

from wnodes_daemon.client import calls
from wnodes_daemon.client.calls import Ask
from wnodes_daemon.client.reading import DEFAULT, WATCHED, Caller, away, connection, event, read, sent
from wnodes_daemon.views import (
    DifferenceView,
    DryRunView,
    HealthView,
    ItemView,
    NodeView,
    PolicyView,
    RequestView,
)

T = TypeVar("T")


class AsyncClient:
    """As `Client`, for programs with an event loop: the same addresses, methods and errors."""

    def __init__(
        self, address: str = DEFAULT, *, caller: Caller | None = None, timeout: float = 30.0
    ) -> None:
        """Raises ValueError for an address of another kind; `timeout` is in seconds."""
        self.address = address
        said = connection(address, caller or Caller())
        if address.startswith("unix:"):
            said["transport"] = httpx.AsyncHTTPTransport(uds=address.removeprefix("unix:"))
        self._http = httpx.AsyncClient(timeout=timeout, **said)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def submit(self, form: RequestForm) -> RequestView:
        """Hand in one request; ApiError with a `decision` if the policy denies it."""
        return await self._call(calls.submit(form))

    async def submit_all(self, forms: Sequence[RequestForm]) -> tuple[ItemView, ...]:
        """Hand in up to 1,000 requests; each has its own answer."""
        return (await self._call(calls.submit_all(forms))).items

    async def show(self, id_: str) -> RequestView:
        """One request; if it waits, with the decision of this moment."""
        return await self._call(calls.show(id_))

    async def watch(self, id_: str) -> AsyncIterator[RequestView]:
        """One request as it is, and each time it has changed, until it is over."""
        try:
            async with self._http.stream("GET", calls.one(id_, "/events"), timeout=WATCHED) as response:
                if not response.is_success:
                    await response.aread()
                    read(calls.show(id_), response, self.address)
                async for line in response.aiter_lines():
                    if (view := event(line)) is not None:
                        yield view
        except httpx.HTTPError as error:
            raise away(self.address, error) from None

    async def requests(self, *, most: int | None = None, **filters: str) -> AsyncIterator[RequestView]:
        """All requests that meet the filters (state, share, user, group, kind, origin), oldest first."""
        cursor: str | None = None
        while True:
            page = await self._call(calls.page(most, filters, cursor))
            for view in page.requests:
                yield view
                if most is not None and (most := most - 1) <= 0:
                    return
            if (cursor := page.next) is None:
                return

    async def cancel(self, id_: str) -> RequestView:
        """Take a request back."""
        return await self._call(calls.cancel(id_))

    async def decide(self, form: RequestForm) -> Decision:
        """What would become of a request; nothing changes."""
        return await self._call(calls.decide(form))

    async def decide_all(self, forms: Sequence[RequestForm]) -> tuple[Decision, ...]:
        """What would become of each of up to 1,000 requests, one by one; nothing changes."""
        return (await self._call(calls.decide_all(forms))).decisions

    async def console(self, id_: str, lines: int = 100) -> str:
        """The last lines that the machine of a request has printed; it may print anything."""
        return (await self._call(calls.console(id_, lines))).text

    async def shares(self) -> tuple[ShareUse, ...]:
        """Every share, the farm first."""
        return (await self._call(calls.shares())).shares

    async def nodes(self) -> tuple[NodeView, ...]:
        """Every node."""
        return (await self._call(calls.nodes())).nodes

    async def differences(self) -> tuple[DifferenceView, ...]:
        """What batch systems and clouds showed last that is not as recorded; for operators."""
        return (await self._call(calls.differences())).differences

    async def policy(self, do: str = "") -> PolicyView:
        """The policy in force; `do` is "reload" or "rollback" for another."""
        return await self._call(calls.policy(do))

    async def try_out(self, text: str | None = None) -> DryRunView:
        """What a policy would change now: this text, or the policy's files as they are."""
        return await self._call(calls.try_out(text))

    async def health(self) -> HealthView:
        """Whether all is well."""
        return await self._call(calls.health())

    async def _call(self, ask: Ask[T]) -> T:
        try:
            response = await self._http.request(**sent(ask))
        except httpx.HTTPError as error:
            raise away(self.address, error) from None
        return read(ask, response, self.address)
