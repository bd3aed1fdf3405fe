"""Where the daemon listens: a UNIX socket for local users, a port for bearers of tokens, or both."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wnodes_engine.site import Daemon

_MODE: Final = 0o666
"""Anybody of this machine may knock: the kernel says who it is, and the site what they may do."""

_LONGEST_PATH: Final = 107  # what the kernel has room for


class ListenError(Exception):
    """There is no listening there; the message says why, and how to mend it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A bound socket, not yet listening, and its address as clients write it.

    `tls` has the certificate and the key, where that is spoken.
    """

    bound: socket.socket
    address: str
    tls: tuple[Path, Path] | None = None


def bind(daemon: Daemon) -> tuple[Endpoint, ...]:
    """All that the site says, the one that other machines may reach last. Raises ListenError."""
    endpoints = []
    if daemon.socket is not None:
        endpoints.append(Endpoint(_bind_unix(daemon.socket), f"unix:{daemon.socket}"))
    if daemon.port is not None:
        try:
            endpoints.append(_bind_port(daemon, daemon.port))
        except ListenError:
            unbind(endpoints)
            raise
    return tuple(endpoints)


def unbind(endpoints: Iterable[Endpoint]) -> None:
    """Close sockets, and remove their files."""
    for endpoint in endpoints:
        bound = endpoint.bound
        path = bound.getsockname() if bound.family == socket.AF_UNIX else ""
        bound.close()
        if path:
            Path(path).unlink(missing_ok=True)


def _bind_unix(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ListenError(f"daemon.listen.socket: {path} has more than {_LONGEST_PATH} bytes: choose another")
    _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o777 & ~_MODE)  # the mode has to be right from the first moment
    try:
        bound.bind(os.fspath(path))
    except OSError as error:
        bound.close()
        raise ListenError(f"cannot listen on {path}: {error.strerror}") from None
    finally:
        os.umask(mask)
    return bound


def _remove_stale(path: Path) -> None:
    """A socket that nobody listens on was left behind by a daemon that was killed."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ListenError(f"cannot listen on {path}: there is a file of that name; move it away")
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise ListenError(f"cannot listen on {path}: another process does")


def _bind_port(daemon: Daemon, port: int) -> Endpoint:
    host, tls = daemon.host, None
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ListenError(f"daemon.listen.host: {host} is not an address: write 127.0.0.1") from None
    if daemon.certificate is not None and daemon.key is not None:
        tls = _checked(daemon.certificate, daemon.key)
    elif not address.is_loopback:
        raise ListenError(
            f"daemon.listen.host: {host} can be reached from other machines, and tokens would go there for "
            "all to read: add `certificate` and `key`, or listen on 127.0.0.1 or on a UNIX socket"
        )
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((str(address), port))
    except OSError as error:
        bound.close()
        raise ListenError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    shown = f"[{address}]" if address.version == 6 else str(address)
    if address.is_unspecified:
        shown = socket.getfqdn()
    return Endpoint(bound, f"{'https' if tls else 'http'}://{shown}:{bound.getsockname()[1]}", tls)


def _checked(certificate: Path, key: Path) -> tuple[Path, Path]:
    """The pair, if it can be used, and nobody else can read the key. Raises ListenError."""
    try:
        others = key.stat().st_mode & 0o077
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ListenError(f"daemon.listen.certificate: {certificate} with {key}: {error}") from None
    if others:
        raise ListenError(f"daemon.listen.key: others can read {key}: run chmod 600 {key}")
    return certificate, key
