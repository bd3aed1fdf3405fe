"""The OpenAPI document, made from the table of operations and their types, so that it cannot drift."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from starlette.responses import Response
from wnodes_engine import __version__
from wnodes_engine.access import Right

from wnodes_daemon.access.identity import Scope
from wnodes_daemon.problems import TITLES
from wnodes_daemon.views import Problem


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a call, in its `path`, its `query`, or a `header`; lists have commas between."""

    name: str
    where: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: its handler's docstring is its description; several types mean any of them.

    It is for whoever has the `right`, and for tokens with the `scope`; None for both is for anybody.
    """

    method: str
    path: str
    handler: Callable[..., Awaitable[Response]]
    answers: Mapping[int, Any]
    body: tuple[Any, ...] = ()
    problems: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = field(default=())
    scope: Scope | None = Scope.READ
    right: Right = Right.USER
    media: str = "application/json"


_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "WLCG or SciTokens JWT"},
    "keystone": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
}
"""How it is told who calls; on the UNIX socket the kernel does."""


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these operations."""
    operations = tuple(operations)
    types = dict.fromkeys([Problem, *(type_ for operation in operations for type_ in _types(operation))])
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "WNoDeS",
            "version": __version__,
            "description": "One farm, three ways in: requests, decisions, shares and nodes of a site.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
        "security": [{}, *({name: []} for name in _SCHEMES)],
    }


def _types(operation: Operation) -> list[Any]:
    return [*operation.body, *(type_ for types in operation.answers.values() for type_ in _tuple(types))]


def _problems(operation: Operation) -> set[int]:
    return {*operation.problems, 429, 500} | ({401, 403, 503} if operation.scope is not None else set())


def _tuple(types: Any) -> tuple[Any, ...]:
    return types if isinstance(types, tuple) else (types,)


def _described(operation: Operation, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": operation.handler.__doc__,
        "responses": {
            str(status): _content("As asked", [schema_of[type_] for type_ in _tuple(types)], operation.media)
            for status, types in operation.answers.items()
        }
        | {
            str(status): _content(TITLES[status][1], [schema_of[Problem]], "application/problem+json")
            for status in sorted(_problems(operation))
        },
    }
    if operation.scope is None:
        described["security"] = []
    elif operation.right is not Right.USER:
        described["description"] = f"For {operation.right}s."
    if operation.parameters:
        described["parameters"] = [
            {
                "name": parameter.name,
                "in": parameter.where,
                "description": parameter.description,
                "required": parameter.where == "path",
                "schema": parameter.schema,
                **({"style": "form", "explode": False} if parameter.schema.get("type") == "array" else {}),
            }
            for parameter in operation.parameters
        ]
    if operation.body:
        body = _content("", [schema_of[type_] for type_ in operation.body])
        described["requestBody"] = {"required": True, "content": body["content"]}
    return described


def _content(description: str, schemas: list[Any], media: str = "application/json") -> dict[str, Any]:
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {"description": description, "content": {media: {"schema": schema}}}
