"""The Python client of the daemon: typed values in and out, over its socket or a URL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from wnodes_engine.values import Decision, ShareUse
from wnodes_engine.wire import RequestForm

from wnodes_daemon.views import (
    DecisionsView,
    DryRunView,
    HealthView,
    ItemsView,
    ItemView,
    NodesView,
    NodeView,
    PageView,
    PolicyForm,
    PolicyView,
    Problem,
    RequestView,
    SharesView,
)

T = TypeVar("T")

DEFAULT: Final = "unix:/run/wnodes/wnodesd.sock"
"""Where a daemon of the whole system listens."""


class ApiError(Exception):
    """The daemon answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Unreachable(Exception):  # noqa: N818 - it names a condition
    """No daemon answered; the message says where it was looked for."""


class Client:
    """A connection to one daemon: `unix:/path/of/wnodesd.sock` or `http://127.0.0.1:8642`.

    Methods raise ApiError for what the daemon refuses, and Unreachable where there is none.
    """

    def __init__(self, address: str = DEFAULT, *, timeout: float = 30.0) -> None:
        """Raises ValueError for an address of another kind."""
        self.address = address
        if address.startswith("unix:"):
            transport = httpx.HTTPTransport(uds=address.removeprefix("unix:"))
            self._http = httpx.Client(transport=transport, base_url="http://wnodesd", timeout=timeout)
        elif address.startswith("http://"):
            self._http = httpx.Client(base_url=address, timeout=timeout, trust_env=False)
        else:
            raise ValueError(
                f"{address!r} is not an address: write unix:/path/of/the.sock or http://127.0.0.1:8642"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def submit(self, form: RequestForm) -> RequestView:
        """Hand in one request; ApiError with a `decision` if the policy denies it."""
        return self._call("POST", "/v1/requests", RequestView, body=form)

    def submit_all(self, forms: Sequence[RequestForm]) -> tuple[ItemView, ...]:
        """Hand in up to 1,000 requests; each has its own answer."""
        return self._call("POST", "/v1/requests", ItemsView, body=list(forms)).items

    def show(self, id_: str) -> RequestView:
        """One request; if it waits, with the decision of this moment."""
        return self._call("GET", f"/v1/requests/{quote(id_, safe='')}", RequestView)

    def requests(self, *, most: int | None = None, **filters: str) -> Iterator[RequestView]:
        """All requests that meet the filters (state, share, user, group, kind, origin), oldest first."""
        query: dict[str, str] = {**filters, "limit": str(min(most or 1000, 1000))}
        while True:
            page = self._call("GET", "/v1/requests", PageView, query=query)
            for view in page.requests:
                yield view
                if most is not None and (most := most - 1) <= 0:
                    return
            if page.next is None:
                return
            query["cursor"] = page.next

    def cancel(self, id_: str) -> RequestView:
        """Take a request back."""
        return self._call("DELETE", f"/v1/requests/{quote(id_, safe='')}", RequestView)

    def decide(self, form: RequestForm) -> Decision:
        """What would become of a request; nothing changes."""
        return self._call("POST", "/v1/decisions", Decision, body=form)

    def decide_all(self, forms: Sequence[RequestForm]) -> tuple[Decision, ...]:
        """What would become of each of up to 1,000 requests, one by one; nothing changes."""
        return self._call("POST", "/v1/decisions", DecisionsView, body=list(forms)).decisions

    def shares(self) -> tuple[ShareUse, ...]:
        """Every share, the farm first."""
        return self._call("GET", "/v1/shares", SharesView).shares

    def nodes(self) -> tuple[NodeView, ...]:
        """Every node."""
        return self._call("GET", "/v1/nodes", NodesView).nodes

    def policy(self, do: str = "") -> PolicyView:
        """The policy in force; `do` is "reload" or "rollback" for another."""
        if not do:
            return self._call("GET", "/v1/policy", PolicyView)
        return self._call("POST", f"/v1/policy/{quote(do, safe='')}", PolicyView, body={})

    def try_out(self, text: str | None = None) -> DryRunView:
        """What a policy would change now: this text, or the policy's files as they are."""
        return self._call("POST", "/v1/policy/dry-run", DryRunView, body=PolicyForm(text))

    def health(self) -> HealthView:
        """Whether all is well."""
        return self._call("GET", "/v1/health", HealthView)

    def _call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: Any = None,
        query: dict[str, str] | None = None,
    ) -> T:
        content = msgspec.json.encode(body) if body is not None else None
        headers = {"content-type": "application/json"} if body is not None else None
        try:
            response = self._http.request(method, path, content=content, params=query, headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"no daemon answers at {self.address}: {error}") from None
        try:
            if response.is_success:
                return msgspec.json.decode(response.content, type=answer)
            problem = msgspec.json.decode(response.content, type=Problem)
        except msgspec.DecodeError:
            raise Unreachable(
                f"what answers at {self.address} is not wnodesd: status {response.status_code}"
            ) from None
        raise ApiError(problem)
