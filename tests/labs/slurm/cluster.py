"""A real Slurm of several nodes on this machine: started, broken and mended by the tests.

`python -m labs.slurm.cluster` starts one by hand, and ends it with Ctrl-C. Everything is in one folder, every
process is a child of this one, and nothing of the system's own Slurm is touched.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from labs.slurm import settings

PORT = int(os.environ.get("WNODES_SLURM_PORT", "31400"))
PROGRAMS = ("slurmctld", "slurmd", "slurmdbd", "munged", "mariadbd", "mariadb-install-db", "sacct", "sudo")
PACKAGES = ("slurm-wlm", "slurmdbd", "slurm-wlm-mysql-plugin", "munge", "mariadb-server", "sudo")


def missing() -> str:
    """Why there can be no cluster here; empty if there can."""
    if os.geteuid() != 0:
        return "a Slurm of our own takes root"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking and os.environ.get("WNODES_LAB_INSTALL") and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        apt = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600")
        for argv in ((*apt, "update"), (*apt, "install", "-y", "--no-install-recommends", *PACKAGES)):
            done = subprocess.run(argv, env=environment, capture_output=True, text=True)
            if done.returncode:
                return f"{' '.join(argv)} failed: {done.stderr.strip()[-300:]}"
        lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(lacking)} (Debian: {' '.join(PACKAGES)})" if lacking else ""


class Cluster:
    """One cluster in a folder."""

    def __init__(self, folder: Path, nodes: int = 4, port: int = PORT) -> None:
        self.folder, self.port = folder, port
        self.nodes = [f"g{at}" for at in range(1, nodes + 1)]
        self.conf = folder / "etc" / "slurm.conf"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C",
            "TZ": "UTC0",
            "SLURM_CONF": str(self.conf),
        }

    # ---------------------------------------------------------- start and stop

    def start(self) -> None:
        """From nothing to nodes that take work, some twenty seconds."""
        for name in (
            "etc",
            "pid",
            "log",
            "state",
            "munge",
            "jobs",
            *(f"spool/{node}" for node in self.nodes),
        ):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name in ("", "etc", "munge"):
            (self.folder / name).chmod(0o755)
        (self.folder / "jobs").chmod(0o1777)
        self.configure()
        (self.folder / "etc" / "gres.conf").write_text("NodeName=g1 Name=gpu File=/dev/null,/dev/zero\n")
        (self.folder / "etc" / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        dbd = self.folder / "etc" / "slurmdbd.conf"
        dbd.write_text(settings.slurmdbd_conf(self.folder, self.port))
        dbd.chmod(0o600)
        self.start_munge()
        self._start_database()
        self.start_accounting()
        self._make_accounts()
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)
        self.wait(60, "nodes that take work", lambda: self._idle() >= len(self.nodes))

    def stop(self) -> None:
        """End everything, the controller first, and what its jobs have left."""
        order = sorted(self.processes, key=lambda name: (name != "slurmctld", not name.startswith("g")))
        for name in order:
            self.kill(name, signal.SIGTERM)
        for pid in self.left():
            with _nothing_wrong():
                os.kill(pid, signal.SIGKILL)

    def configure(self, **more: str) -> None:
        """Write slurm.conf, with these settings in the place of ours."""
        host = socket.gethostname().partition(".")[0]
        self.conf.write_text(settings.slurm_conf(self.folder, host, self.port, len(self.nodes), more))

    def start_controller(self) -> None:
        """Start slurmctld, and wait until it answers."""
        self._launch("slurmctld", "slurmctld", "-D")
        self.wait(30, "the controller", lambda: not self.fails("scontrol", "ping"))

    def start_accounting(self) -> None:
        """Start slurmdbd, and wait until it answers."""
        self._launch("slurmdbd", "slurmdbd", "-D")
        self.wait(60, "slurmdbd", lambda: not self.fails("sacctmgr", "-n", "-i", "show", "cluster"))

    def start_node(self, node: str) -> None:
        """Start one slurmd."""
        self._launch(node, "slurmd", "-D", "-N", node)

    def kill(self, name: str, by: signal.Signals = signal.SIGKILL) -> None:
        """End one daemon, and wait until it has."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGCONT)
        process.send_signal(by)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextmanager
    def hung(self, name: str) -> Iterator[None]:
        """A daemon that is there and does not move."""
        self.processes[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.processes[name].send_signal(signal.SIGCONT)

    # ---------------------------------------------------------------- commands

    def run(self, *argv: str, stdin: str = "", user: str | None = None) -> str:
        """What a command prints; it has to succeed."""
        command = ("runuser", "-u", user, "--", *argv) if user else argv
        done = subprocess.run(
            command, input=stdin, env=self.environment, cwd="/", capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}: {done.stderr}"
        return done.stdout.strip()

    def fails(self, *argv: str) -> bool:
        """Whether a command does not succeed."""
        return subprocess.run(argv, env=self.environment, cwd="/", capture_output=True).returncode != 0

    def native(self, *options: str, user: str = "games", script: str = "#!/bin/sh\nsleep 600\n") -> str:
        """The id of a job that a user submits without us."""
        given = ("--parsable", "--output=/dev/null", "--chdir=/tmp", *options)
        return self.run("sbatch", *given, stdin=script, user=user)

    def clear(self) -> None:
        """Cancel all jobs and take all nodes back.

        Slurm may find only meanwhile that a node had not answered, as after a hang of munge, and with
        ReturnToService=0 the node stays down: it is looked at until all take work.
        """

        def takes_work() -> bool:
            self.mend_nodes()
            return self._idle() >= len(self.nodes)

        self.mend_nodes()
        for user in settings.USERS:
            self.run("scancel", f"--user={user}")
        self.wait(60, "an empty queue", lambda: not self.run("squeue", "-h", "-o", "%i"))
        self.wait(60, "nodes that take work", takes_work)

    def mend_nodes(self) -> None:
        """Start what was killed, and take back what Slurm has drained, as after two jobs of one id."""
        for node in self.nodes:
            if node not in self.processes:
                self.start_node(node)
        for node, state in self._states().items():
            if "drain" in state or "down" in state:  # others would not respond for a while
                for action in ("undrain", "resume"):
                    argv = ("scontrol", "update", f"nodename={node}", f"state={action}")
                    subprocess.run(argv, env=self.environment, capture_output=True)

    @staticmethod
    def wait(seconds: float, what: str, holds: Callable[[], object]) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{what} did not come to be within {seconds} s"
            time.sleep(0.1)

    # ----------------------------------------------------------------- details

    def _launch(self, name: str, *argv: str) -> None:
        with (self.folder / "log" / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                argv,
                env=self.environment,
                cwd=self.folder / "log",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_munge(self) -> None:
        """Start munged, with the key that there is, or a new one."""
        key = self.folder / "munge" / "key"
        if not key.exists():
            key.write_bytes(secrets.token_bytes(1024))
            key.chmod(0o600)
        at = self.folder / "munge"
        files = {
            "socket": "socket",
            "key-file": "key",
            "pid-file": "pid",
            "log-file": "log",
            "seed-file": "seed",
        }
        options = (f"--{option}={at / name}" for option, name in files.items())
        self._launch("munged", "munged", "--foreground", "--force", *options)
        self.wait(10, "munge", lambda: not self.fails("munge", "-n", "-S", str(at / "socket")))

    def _start_database(self) -> None:
        data, sock = self.folder / "mysql", self.folder / "mysql.sock"
        data.mkdir(exist_ok=True)
        self.run(
            "mariadb-install-db",
            "--no-defaults",
            "--auth-root-authentication-method=socket",
            "--skip-test-db",
            "--user=root",
            f"--datadir={data}",
        )
        self._launch(
            "mariadbd",
            "mariadbd",
            "--no-defaults",
            "--user=root",
            f"--datadir={data}",
            f"--socket={sock}",
            "--bind-address=127.0.0.1",
            f"--port={self.port + 2}",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-lock-wait-timeout=900",
            "--skip-name-resolve",
        )
        client = ("mariadb", "--no-defaults", f"--socket={sock}")
        self.wait(60, "the database", lambda: not self.fails(*client, "-e", "SELECT 1"))
        self.run(
            *client,
            "-e",
            "CREATE DATABASE slurm_acct; CREATE USER slurm@'127.0.0.1' IDENTIFIED BY 'slurm';"
            "GRANT ALL ON slurm_acct.* TO slurm@'127.0.0.1'",
        )

    def _make_accounts(self) -> None:
        self.run("sacctmgr", "-i", "-Q", "add", "cluster", "lab")
        self.run("sacctmgr", "-i", "-Q", "add", "qos", "low", "Priority=0", "PreemptMode=requeue")
        self.run("sacctmgr", "-i", "-Q", "add", "qos", "high", "Priority=100", "Preempt=low,normal")
        file = self.folder / "etc" / "associations"
        file.write_text(settings.associations())
        self.run("sacctmgr", "-i", "load", str(file))

    def _idle(self) -> int:
        return sum(state == "idle" for state in self._states().values())

    def _states(self) -> dict[str, str]:
        """What sinfo calls the state of each node; a `*` after it is one that does not respond."""
        argv = ("sinfo", "-h", "-N", "-p", "grid", "-o", "%N %T")
        shown = subprocess.run(argv, env=self.environment, capture_output=True, text=True)
        return dict(line.split() for line in shown.stdout.splitlines())

    def left(self) -> list[int]:
        """Processes of jobs and steps of this cluster, by their environment."""
        ours = f"SLURM_CONF={self.conf}".encode()
        left: list[int] = []
        for process in Path("/proc").glob("[0-9]*"):
            with _nothing_wrong():
                environment = (process / "environ").read_bytes().split(b"\0")
                is_job = any(each.startswith(b"SLURM_JOB_ID=") for each in environment)
                steps = b"slurmstepd" in (process / "cmdline").read_bytes()
                if ours in environment and (is_job or steps):
                    left.append(int(process.name))
        return left


@contextmanager
def _nothing_wrong() -> Iterator[None]:
    with suppress(OSError, ValueError):  # it has ended meanwhile
        yield


@contextmanager
def running(nodes: int = 4) -> Iterator[Cluster]:
    """A cluster in a folder of its own, which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="wnodes-slurm-"))
    cluster = Cluster(folder, nodes)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        if not os.environ.get("WNODES_LAB_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if reason := missing():
        sys.exit(reason)
    with running() as cluster:
        sys.stdout.write(f"export SLURM_CONF={cluster.conf}\n")
        sys.stdout.flush()
        signal.pause()
