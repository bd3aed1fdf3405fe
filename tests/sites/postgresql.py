"""A PostgreSQL of the tests' own: a private cluster in a temporary folder, with databases made on demand."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa

FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")


def programs() -> Path | None:
    """Where the server's programs are; None where they are not installed."""
    found = [folder for pattern in FOLDERS for folder in Path("/").glob(pattern[1:])]
    newest = sorted(found, key=lambda folder: float(folder.parent.name.removeprefix("pgsql-")))
    return newest[-1] if newest else None


class Cluster:
    """A server that listens on a UNIX socket in its own folder, and ends with `close`.

    `address` is one that it listens on as well, on port 5432, and believes everybody of its /24 there.
    """

    def __init__(self, bin_: Path, address: str = "") -> None:
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="pg", dir=memory if memory.is_dir() else None))
        self._bin = bin_
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # the server refuses to be root
            user = pwd.getpwnam("postgres" if "postgres" in {u.pw_name for u in pwd.getpwall()} else "nobody")
            shutil.chown(self.folder, user.pw_uid)
            self._user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.folder.chmod(0o755)
        self._address = address
        self._run("initdb", "-D", self.data, "-U", "wnodes", "-A", "trust", "-E", "UTF8", "--no-sync")
        if address:
            with (Path(self.data) / "pg_hba.conf").open("a") as known:
                known.write(f"host all all {address}/24 trust\n")
        self.start()
        self._made = 0

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses={self._address} -c max_connections=200 -c fsync=off"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", self.data, "-o", options, "-l", log, "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def close(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://wnodes@/{name}?host={self.folder}"

    def database(self) -> str:
        """The URL of a database that is new."""
        self._made += 1
        name = f"wnodes{self._made}"
        socket = str(self.folder / ".s.PGSQL.5432")
        engine = sa.create_engine(
            "postgresql+pg8000://wnodes@/postgres",
            connect_args={"unix_sock": socket},
            isolation_level="AUTOCOMMIT",
        )
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        argv = [str(self._bin / program), *arguments]
        done = subprocess.run(argv, cwd="/", capture_output=True, text=True, timeout=60, **self._user)
        assert done.returncode == 0, done.stdout + done.stderr
