"""A link whose answers are written down, and a Placement of one provider."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wnodes_openstack.errors import Answer

RECORDED = Path(__file__).parent / "recorded"
PROVIDER = "a7cc5501-e27f-4265-8d83-6e3259e4571b"
Route = Answer | Mapping[str, Any] | Callable[[Any], Answer]


def recorded(name: str) -> Any:
    """An answer of a real cloud."""
    return json.loads((RECORDED / f"{name}.json").read_text())


class ScriptedLink:
    """Answers by service, method and the beginning of the path, the longest first."""

    project = "2fe258e8a4b84c1da72629f1cbddb405"
    user = "ca8e9d54b2084c46a3b4440db08a28bb"

    def __init__(self, routes: Mapping[str, Route], services: set[str] | None = None) -> None:
        self.routes = dict(routes)
        self.services = services if services is not None else {"network", "block_storage", "object_store"}
        self.asked: list[tuple[str, Any]] = []

    def ask(
        self, service: str, method: str, path: str, *, version: str | None = None, json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        asked = f"{service} {method} {path}"
        self.asked.append((asked, json))
        for beginning in sorted(self.routes, key=len, reverse=True):
            if asked.startswith(beginning):
                route = self.routes[beginning]
                if callable(route):
                    return route(json)
                return route if isinstance(route, Answer) else Answer(200, route)
        raise AssertionError(f"nobody expected {asked}")

    def has(self, service: str) -> bool:
        return service in self.services


class Placement(ScriptedLink):
    """One provider of 16 cores and 32 GiB, with generations; `between` happens before each write."""

    def __init__(self, *, ratio: float = 1.0, between: Callable[[Placement], None] | None = None) -> None:
        super().__init__({
            f"placement GET /resource_providers/{PROVIDER}/inventories": lambda _: self._inventories(),
            f"placement GET /resource_providers/{PROVIDER}/allocations": lambda _: self._allocations(),
            "placement GET /allocations/": lambda _: self._consumer(),
            "placement PUT /allocations/": self._put,
        })  # fmt: skip
        self.generation, self.ratio, self.between = 3, ratio, between
        self.held: dict[str, dict[str, int]] = {}
        self.consumer = ""
        self.loose = False  # whether it lets in more than there is, as under concurrency
        self.written: list[Any] = []

    def ask(self, service: str, method: str, path: str, **more: Any) -> Answer:
        if path.startswith("/allocations/"):
            self.consumer = path.rpartition("/")[2]
        return super().ask(service, method, path, **more)

    def write(self, consumer: str, amounts: dict[str, int]) -> None:
        """Somebody writes an allocation."""
        self.held[consumer] = amounts
        self.generation += 1

    def used(self, kind: str) -> int:
        return sum(amounts.get(kind, 0) for amounts in self.held.values())

    def _inventories(self) -> Answer:
        each = {"reserved": 0, "allocation_ratio": self.ratio}
        inventories = {
            "VCPU": {"total": 16, "max_unit": 16, **each},
            "MEMORY_MB": {"total": 32768, "max_unit": 32768, **each},
        }
        return Answer(200, {"inventories": inventories, "resource_provider_generation": self.generation})

    def _allocations(self) -> Answer:
        held = {consumer: {"resources": dict(amounts)} for consumer, amounts in self.held.items()}
        return Answer(200, {"allocations": held, "resource_provider_generation": self.generation})

    def _consumer(self) -> Answer:
        mine = self.held.get(self.consumer)
        found: dict[str, Any] = {"allocations": {}}
        if mine:
            found = {"allocations": {PROVIDER: {"resources": mine}}, "consumer_generation": len(self.written)}
        return Answer(200, found)

    def _put(self, body: Any) -> Answer:
        if self.between is not None:
            self.between(self)
        for each in body["allocations"].values():
            if each["generation"] != self.generation:
                return refusal("placement.concurrent_update", "the generation has passed")
            others = {
                consumer: amounts for consumer, amounts in self.held.items() if consumer != self.consumer
            }
            for kind, amount in each["resources"].items():
                assert amount > 0, "Placement refuses nothing at all"
                total = 16 if kind == "VCPU" else 32768
                if amount + sum(held.get(kind, 0) for held in others.values()) > total and not self.loose:
                    return refusal("placement.undefined_code", f"Unable to create allocation for '{kind}'")
        self.written.append(body)
        if body["allocations"]:
            self.write(self.consumer, dict(body["allocations"][PROVIDER]["resources"]))
        else:
            self.held.pop(self.consumer, None)
            self.generation += 1
        return Answer(204, {})


def refusal(code: str, detail: str) -> Answer:
    """A 409 of Placement."""
    return Answer(409, {"errors": [{"status": 409, "title": "Conflict", "detail": detail, "code": code}]})
