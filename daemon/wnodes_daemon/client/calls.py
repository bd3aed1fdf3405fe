"""What can be asked of a daemon: each call, with the type of its answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from wnodes_engine.values import Decision
from wnodes_engine.wire import RequestForm

from wnodes_daemon import views

T = TypeVar("T")

PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Ask(Generic[T]):
    """One call; `body` is sent as JSON if there is one."""

    method: str
    path: str
    answer: type[T]
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)


def one(id_: str, what: str = "") -> str:
    """The path of a request."""
    return f"/v1/requests/{quote(id_, safe='')}{what}"


def submit(form: RequestForm) -> Ask[views.RequestView]:
    """Hand in one request."""
    return Ask("POST", "/v1/requests", views.RequestView, form)


def submit_all(forms: Sequence[RequestForm]) -> Ask[views.ItemsView]:
    """Hand in several."""
    return Ask("POST", "/v1/requests", views.ItemsView, list(forms))


def show(id_: str) -> Ask[views.RequestView]:
    """One request."""
    return Ask("GET", one(id_), views.RequestView)


def page(most: int | None, filters: Mapping[str, str], cursor: str | None) -> Ask[views.PageView]:
    """The next requests of a listing."""
    query = {**filters, "limit": str(min(most or PAGE, PAGE))}
    return Ask("GET", "/v1/requests", views.PageView, query=query | ({"cursor": cursor} if cursor else {}))


def cancel(id_: str) -> Ask[views.RequestView]:
    """Take a request back."""
    return Ask("DELETE", one(id_), views.RequestView)


def decide(form: RequestForm) -> Ask[Decision]:
    """What would become of a request."""
    return Ask("POST", "/v1/decisions", Decision, form)


def decide_all(forms: Sequence[RequestForm]) -> Ask[views.DecisionsView]:
    """What would become of each."""
    return Ask("POST", "/v1/decisions", views.DecisionsView, list(forms))


def shares() -> Ask[views.SharesView]:
    """Every share."""
    return Ask("GET", "/v1/shares", views.SharesView)


def nodes() -> Ask[views.NodesView]:
    """Every node."""
    return Ask("GET", "/v1/nodes", views.NodesView)


def console(id_: str, lines: int) -> Ask[views.ConsoleView]:
    """The end of what a machine has printed."""
    return Ask("GET", one(id_, f"/console?lines={lines}"), views.ConsoleView)


def differences() -> Ask[views.DifferencesView]:
    """What differs between the store, the batch systems and the clouds."""
    return Ask("GET", "/v1/differences", views.DifferencesView)


def policy(do: str) -> Ask[views.PolicyView]:
    """The policy in force, or another."""
    if not do:
        return Ask("GET", "/v1/policy", views.PolicyView)
    return Ask("POST", f"/v1/policy/{quote(do, safe='')}", views.PolicyView, {})


def try_out(text: str | None) -> Ask[views.DryRunView]:
    """What a policy would change."""
    return Ask("POST", "/v1/policy/dry-run", views.DryRunView, views.PolicyForm(text))


def health() -> Ask[views.HealthView]:
    """Whether all is well."""
    return Ask("GET", "/v1/health", views.HealthView)
