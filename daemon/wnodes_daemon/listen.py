"""Where the daemon listens: a UNIX socket for local users, or a loopback port."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from pathlib import Path
from typing import Final

from wnodes_engine.site import Daemon

_MODE: Final = 0o660
_LONGEST_PATH: Final = 107  # what the kernel has room for


class ListenError(Exception):
    """There is no listening there; the message says why, and how to mend it."""


def bind(daemon: Daemon) -> tuple[socket.socket, str]:
    """A bound socket, not yet listening, and its address as clients write it. Raises ListenError."""
    if daemon.socket is not None:
        return _bind_unix(daemon.socket), f"unix:{daemon.socket}"
    return _bind_loopback(daemon.host, daemon.port)


def unbind(bound: socket.socket) -> None:
    """Close a socket, and remove its file if it has one."""
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


def _bind_loopback(host: str, port: int) -> tuple[socket.socket, str]:
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ListenError(f"daemon.listen.host: {host} is not an address: write 127.0.0.1") from None
    if not address.is_loopback:
        raise ListenError(
            f"daemon.listen.host: {host} can be reached from other machines, and requests would be believed "
            "whatever they say of their user: listen on 127.0.0.1 or on a UNIX socket"
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
    return bound, f"http://{shown}:{bound.getsockname()[1]}"
