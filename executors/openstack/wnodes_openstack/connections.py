"""Calls of the cloud's APIs: a bounded pool of threads, and in each a connection for each project."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import openstack
from keystoneauth1 import exceptions
from openstack.config import OpenStackConfig
from openstack.connection import Connection
from openstack.exceptions import ConfigException, SDKException

from wnodes_openstack.errors import Answer, NoSuchProject, NotLetIn, Unanswered
from wnodes_openstack.options import Options

R = TypeVar("R")

_MOST_PROJECTS: Final = 32
"""Connections that a thread keeps; the one that was not used for longest goes first."""
_LARGEST: Final = 256 << 20
_TRIES: Final = 3
_PAUSE: Final = 0.5
_NEVER_SENT: Final = (
    "Failed to establish a new connection",
    "Name or service not known",
    "NewConnectionError",
)
_ID: Final = re.compile(r"[0-9a-f]{32}")


class Link:
    """One project's connection, in one thread."""

    def __init__(self, connection: Connection, timeout: float, counted: Counter[str]) -> None:
        self._connection = connection
        self._timeout = timeout
        self._counted = counted
        self.project = self._authorized(lambda: str(connection.current_project_id))
        self.user = self._authorized(lambda: str(connection.current_user_id))

    def ask(
        self,
        service: str,
        method: str,
        path: str,
        *,
        version: str | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One call, made once, or for a GET up to three times. Raises Unanswered and NotLetIn."""
        tries = _TRIES if method in {"GET", "HEAD"} else 1
        for again in range(tries):
            if again:
                time.sleep(_PAUSE * again)
            try:
                answer = self._ask(service, method, path, version, json, headers)
            except Unanswered:
                if again == tries - 1:
                    raise
            else:
                if answer.status not in {429, 502, 503, 504} or again == tries - 1:
                    return answer
        raise AssertionError("unreachable")

    def has(self, service: str) -> bool:
        """Whether the catalogue names such a service."""
        return self._authorized(lambda: bool(self._connection.has_service(service.replace("_", "-"))))

    def versions(self, service: str) -> str:
        """The highest microversion that a service speaks; empty if it does not say."""
        proxy = getattr(self._connection, service)
        data = self._authorized(proxy.get_endpoint_data)
        return ".".join(map(str, data.max_microversion)) if data and data.max_microversion else ""

    def endpoint(self, service: str) -> str:
        """Where a service answers."""
        return str(self._authorized(getattr(self._connection, service).get_endpoint) or "")

    def close(self) -> None:
        """Let go of the sockets."""
        self._connection.close()

    def _ask(
        self,
        service: str,
        method: str,
        path: str,
        version: str | None,
        json: Any,
        headers: Mapping[str, str] | None,
    ) -> Answer:
        if not self.has(service):
            raise NotLetIn(f"this cloud has no {service.replace('_', '-')} service")
        try:
            proxy = self._authorized(lambda: getattr(self._connection, service))
        except Unanswered as error:  # it was looked for only: nothing was asked of it yet
            raise Unanswered(str(error), sent=False) from None
        self._counted[f"{service} {method}"] += 1
        more: dict[str, Any] = {} if json is None else {"json": json}
        if version is not None:
            more["microversion"] = version
        if headers is not None:
            more["headers"] = dict(headers)
        answer = self._authorized(
            lambda: proxy.request(
                path,
                method,
                raise_exc=False,
                timeout=self._timeout,
                connect_retries=0,
                status_code_retries=0,
                **more,
            )
        )
        if len(answer.content) > _LARGEST:
            raise Unanswered(f"the answer to {method} {path} is larger than {_LARGEST >> 20} MiB", sent=True)
        try:
            body = answer.json() if answer.content else {}
        except ValueError:
            body = answer.text
        return Answer(answer.status_code, body, dict(answer.headers))

    @staticmethod
    def _authorized(call: Callable[[], R]) -> R:
        try:
            return call()
        except exceptions.Unauthorized as error:
            raise NotLetIn(f"Keystone does not let us in: {error.message}") from None
        except (
            exceptions.ConnectTimeout,
            exceptions.ConnectFailure,
            exceptions.UnknownConnectionError,
        ) as error:
            sent = not any(text in str(error) for text in _NEVER_SENT)
            raise Unanswered(str(error).partition("(Caused")[0].strip(), sent=sent) from None
        except exceptions.EndpointNotFound as error:
            raise NotLetIn(f"the cloud's catalogue has no such service: {error}") from None
        except (exceptions.ClientException, SDKException) as error:
            text = str(error)
            if "401" in text:
                raise NotLetIn(f"Keystone does not let us in: {text}") from None
            sent = not any(each in text for each in _NEVER_SENT)
            raise Unanswered(text, sent=sent) from None


class Connections:
    """The threads. Nothing here is made before it is used."""

    def __init__(self, name: str, options: Options) -> None:
        """Raises ValueError where `clouds.yaml` does not name the cloud."""
        self.counted: Counter[str] = Counter()
        self._options = options
        self._local = threading.local()
        self._links: list[OrderedDict[str, Link]] = []
        self._threads = ThreadPoolExecutor(options.threads, f"openstack-{name}")
        files = [options.clouds] if options.clouds is not None else None
        try:
            self._config = OpenStackConfig(config_files=files)
            self._config.get_one(options.cloud)
        except (ConfigException, OSError) as error:
            known = ", ".join(sorted(self._names())) or "none"
            raise ValueError(
                f"executors.{name}.options.cloud: {options.cloud!r} cannot be used: {error} "
                f"(clouds.yaml has: {known})"
            ) from None

    def _names(self) -> list[str]:
        config = getattr(self, "_config", None)
        return list(config.get_cloud_names()) if config is not None else []

    async def run(self, call: Callable[[Link], R], project: str = "") -> R:
        """Carry out a call in a thread, as ourselves or in somebody's project.

        Raises Unanswered, NotLetIn, and whatever the call does. A call that is cancelled runs on.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: call(self._link(project)))

    def close(self) -> None:
        """Wait for what is under way, and let go of everything."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for links in self._links:
            for link in links.values():
                link.close()

    def _link(self, project: str) -> Link:
        links: OrderedDict[str, Link] | None = getattr(self._local, "links", None)
        if links is None:
            links = self._local.links = OrderedDict()
            self._links.append(links)
        if project not in links:
            links[project] = self._linked(project)
            if len(links) > _MOST_PROJECTS:
                links.popitem(last=False)[1].close()
        links.move_to_end(project)
        return links[project]

    def _linked(self, project: str) -> Link:
        scope: dict[str, Any] = {}
        if project:
            by_id = _ID.fullmatch(project) is not None
            scope = {"project_id": project if by_id else None, "project_name": None if by_id else project}
        region = self._config.get_one(self._options.cloud, **scope)
        connection = openstack.connection.Connection(config=region, app_name="wnodes")
        connection.session.timeout = self._options.timeout
        try:
            return Link(connection, self._options.timeout, self.counted)
        except NotLetIn as error:
            if not project:
                raise
            self._link("")  # if we are let in nowhere, it is not for this project
            why = "there is none of that name, or WNoDeS has no role there"
            raise NoSuchProject(f"the project {project!r} cannot be used: {why}") from error
