"""The Python client of the daemon: typed values in and out, over its socket or a URL, now or awaited."""

from wnodes_daemon.client.asynchronous import AsyncClient
from wnodes_daemon.client.reading import DEFAULT, ApiError, Caller, Unreachable, found_caller
from wnodes_daemon.client.sync import Client

__all__ = ["DEFAULT", "ApiError", "AsyncClient", "Caller", "Client", "Unreachable", "found_caller"]
