"""A real OpenStack on this machine: started, broken and mended by the tests.

`python -m labs.openstack.cloud [FOLDER]` starts one by hand, and ends it with Ctrl-C. Keystone, Placement,
Glance, Nova, Neutron, Cinder and Swift are the released ones; what is not real is below them: four
hypervisors that are Nova's fake driver, ports that a driver of ours binds, volumes that Cinder's fake driver
makes.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from labs.openstack import rings, settings
from labs.openstack.settings import HOSTS, OFFSETS, PASSWORD

PORT: Final = int(os.environ.get("WNODES_OPENSTACK_PORT", "31600"))
PROGRAMS: Final = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-dump", "epmd")
PACKAGES: Final = ("rabbitmq-server", "mariadb-server", "python3-venv")
HERE: Final = Path(__file__).resolve().parent
POLICIES: Final = HERE.parents[2] / "executors" / "openstack" / "policies"
_ORDER: Final = ("epmd", "rabbitmq", "mariadb")  # these end last


def cache() -> Path:
    """Where the programs of OpenStack are kept between runs: outside the repository."""
    given = os.environ.get("WNODES_LAB_CACHE")
    base = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "wnodes"
    return base / "openstack-2026.2"


def missing() -> str:
    """Why there can be no cloud here; empty if there can. Installs what is missing if asked to."""
    if os.geteuid() != 0:
        return "an OpenStack of our own takes root"
    install = bool(os.environ.get("WNODES_LAB_INSTALL"))
    lacking = _lacking()
    if lacking and install and shutil.which("apt-get"):
        if said := _apt():
            return said
        lacking = _lacking()
    if lacking:
        return f"not installed: {', '.join(lacking)} (Debian: {' '.join(PACKAGES)})"
    if not (cache() / "ready").exists():
        if not install:
            return f"OpenStack is not installed in {cache()}: WNODES_LAB_INSTALL=1 does it"
        return _pip()
    return ""


def _lacking() -> list[str]:
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    return lacking if _rabbit() else [*lacking, "rabbitmq-server"]


def _rabbit() -> Path | None:
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    return found[-1] if found else None


def _apt() -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    apt = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600")
    for argv in ((*apt, "update"), (*apt, "install", "-y", "--no-install-recommends", *PACKAGES)):
        done = subprocess.run(argv, env=environment, capture_output=True, text=True)
        if done.returncode:
            return f"{' '.join(argv)} failed: {done.stderr.strip()[-300:]}"
    return ""


def _pip() -> str:
    venv = cache() / "venv"
    venv.parent.mkdir(parents=True, exist_ok=True)
    pip = (str(venv / "bin" / "pip"), "install", "-q", "-r", str(HERE / "requirements.txt"))
    for argv in ((sys.executable, "-m", "venv", str(venv)), pip):
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            return f"{' '.join(argv)} failed: {done.stderr.strip()[-300:]}"
    (cache() / "ready").touch()
    return ""


class Cloud:
    """One cloud in a folder."""

    def __init__(self, folder: Path, port: int = PORT) -> None:
        self.folder = folder
        self.ports = {name: port + offset for name, offset in OFFSETS.items()}
        self.python = cache() / "venv" / "bin" / "python"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.clouds = folder / "clouds.yaml"
        self.keystone = f"http://127.0.0.1:{self.ports['keystone']}/v3"
        self.environment = {
            "PATH": f"{self.python.parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": str(folder),
            "PYTHONPATH": str(folder / "lib"),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
            "WNODES_LAB_VCPUS": str(settings.VCPUS),
            "WNODES_LAB_MEMORY": str(settings.MEMORY),
            "OS_NEUTRON_CONFIG_DIR": str(folder / "etc" / "neutron"),
            "OS_NEUTRON_CONFIG_FILES": "neutron.conf;ml2_conf.ini",
            "OS_CINDER_CONFIG_DIR": str(folder / "etc" / "cinder"),
            **{
                f"OS_{name.upper()}_CONFIG_DIR": str(folder / "etc" / name)
                for name in ("keystone", "placement", "glance", "nova")
            },
        }

    # ---------------------------------------------------------- start and stop

    def start(self) -> None:
        """From nothing to hosts that take servers, about a minute; the first time two."""
        from labs.openstack import seed

        self._write()
        self._start_rabbit()
        self._start_database()
        self._make_databases()
        rings.prepare(self.folder, self.ports, self.keystone)
        for name, threads in (
            ("keystone", 6),
            ("placement", 2),
            ("glance", 4),
            ("neutron", 4),
            ("cinder", 4),
        ):
            self.start_api(name, threads)
        for name in ("account", "container", "object", "proxy"):
            program, file = f"swift-{name}-server", self.folder / "etc" / "swift" / f"{name}-server.conf"
            self._launch("swift" if name == "proxy" else f"swift-{name}", program, str(file))
        self.wait(90, "Keystone", lambda: self._answers("keystone"))
        seed.identity(self)
        self.start_api("nova", 8)
        for name in ("conductor", "scheduler"):
            self.start_nova(name)
        for host in HOSTS:
            self.start_compute(host)
        for name in ("scheduler", "volume"):
            self._launch(
                f"cinder-{name}", *self._service(f"cinder-{name}", *self._config("cinder/cinder.conf"))
            )
        for name in ("placement", "glance", "neutron", "cinder", "swift", "nova"):
            self.wait(90, name, lambda name=name: self._answers(name))
        seed.wait_for_hosts(self)
        self.run("nova-manage", *self._config("nova/nova.conf"), "cell_v2", "discover_hosts", "--by-service")
        seed.resources(self)

    def stop(self) -> None:
        """End everything, the database last."""
        for name in self.processes.keys() - set(_ORDER):
            with suppress(ProcessLookupError):
                os.killpg(self.processes[name].pid, signal.SIGTERM)
        time.sleep(1)
        for name in sorted(self.processes, key=lambda name: (name in _ORDER, name == "epmd")):
            self.kill(name, signal.SIGTERM if name in _ORDER else signal.SIGKILL)

    def start_api(self, name: str, threads: int = 6) -> None:
        """Start an API; it does not answer yet."""
        arguments = self._config("cinder/cinder.conf") if name == "cinder" else ()
        port = str(self.ports[name])
        self._launch(
            name, str(self.python), "-P", str(HERE / "launch.py"), "api", name, port, str(threads), *arguments
        )

    def start_nova(self, name: str) -> None:
        """Start the conductor or the scheduler."""
        log = ("--log-file", str(self.folder / "log" / f"nova-{name}.log"))
        self._launch(f"nova-{name}", *self._service(f"nova-{name}", *self._config("nova/nova.conf"), *log))

    def start_compute(self, host: str) -> None:
        """Start the nova-compute of a host."""
        files = self._config("nova/nova.conf", f"nova/compute-{host}.conf")
        self._launch(f"compute-{host}", *self._service("nova-compute", *files))

    def kill(self, name: str, by: signal.Signals = signal.SIGKILL) -> None:
        """End one process and its children, and wait until they have."""
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)
            os.killpg(process.pid, by)
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @contextmanager
    def hung(self, name: str) -> Iterator[None]:
        """A process that is there and does not move."""
        os.killpg(self.processes[name].pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.processes[name].pid, signal.SIGCONT)

    def wait_for(self, name: str) -> None:
        """Wait until an API answers again."""
        self.wait(60, name, lambda: self._answers(name))

    # ----------------------------------------------------------------- details

    def run(self, *argv: str) -> str:
        """What an administrator's command prints; it has to succeed."""
        done = subprocess.run(
            self._service(*argv),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{' '.join(argv)}: {done.returncode}: {done.stderr[-2000:]}"
        return done.stdout

    @staticmethod
    def wait(seconds: float, what: str, holds: Callable[[], object]) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{what} did not come to be within {seconds} s"
            time.sleep(0.2)

    def _answers(self, name: str) -> bool:
        process = self.processes[name]
        log = self.folder / "log" / f"{name}.out"
        assert process.poll() is None, f"{name} has ended: {log.read_text(errors='replace')[-1500:]}"
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[name]), 1):
            return True
        return False

    def _config(self, *names: str) -> tuple[str, ...]:
        return tuple(word for name in names for word in ("--config-file", str(self.folder / "etc" / name)))

    def _service(self, name: str, *arguments: str) -> tuple[str, ...]:
        return (str(self.python), "-P", str(HERE / "launch.py"), "svc", name, *arguments)

    def _launch(self, name: str, *argv: str, **environment: str) -> None:
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                argv,
                env={**self.environment, **environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _write(self) -> None:
        for name in (
            "log",
            "lock",
            "state/neutron",
            "state/cinder",
            "images/store",
            "images/staging",
            "images/tasks",
        ):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for host in HOSTS:
            (self.folder / "state" / host).mkdir(exist_ok=True)
        for name in ("fernet", "credential"):
            (self.folder / "keys" / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, text in settings.files(self.folder, self.ports, POLICIES).items():
            path = self.folder / "etc" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        shipped = cache() / "venv" / "etc"
        for name in ("neutron/api-paste.ini", "cinder/api-paste.ini", "cinder/resource_filters.json"):
            shutil.copy(shipped / name, self.folder / "etc" / name)
        plugin = self.folder / "lib" / "wnodes_lab-1.dist-info"
        plugin.mkdir(parents=True, exist_ok=True)
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: wnodes-lab\nVersion: 1\n")
        (plugin / "entry_points.txt").write_text(
            "[neutron.ml2.mechanism_drivers]\nlab = wnodes_lab_mechanism:LabMechanism\n"
        )
        for name in ("mechanism", "volumes"):
            shutil.copy(HERE / f"{name}.py", self.folder / "lib" / f"wnodes_lab_{name}.py")
        self.clouds.write_text(settings.clouds(self.keystone))
        self.clouds.chmod(0o600)

    def _start_rabbit(self) -> None:
        home, program = self.folder / "rabbit", _rabbit()
        assert program is not None
        home.mkdir(exist_ok=True)
        cookie = home / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(os.urandom(20).hex())
            cookie.chmod(0o400)
        (home / "plugins").write_text("[].\n")
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.ports['rabbitmq']}\nlog.file.level = warning\n"
            "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 100MB\n"
        )
        self._launch("epmd", "epmd", "-port", str(self.ports["epmd"]), "-address", "127.0.0.1")
        time.sleep(0.3)
        self._launch(
            "rabbitmq",
            str(program),
            HOME=str(home),
            ERL_EPMD_PORT=str(self.ports["epmd"]),
            ERL_EPMD_ADDRESS="127.0.0.1",
            RABBITMQ_NODENAME="wnodes@localhost",
            RABBITMQ_DIST_PORT=str(self.ports["distribution"]),
            RABBITMQ_MNESIA_BASE=str(home / "db"),
            RABBITMQ_LOG_BASE=str(self.folder / "log"),
            RABBITMQ_CONFIG_FILE=str(home / "rabbitmq.conf"),
            RABBITMQ_CONF_ENV_FILE="/dev/null",
            RABBITMQ_ENABLED_PLUGINS_FILE=str(home / "plugins"),
            RABBITMQ_PID_FILE=str(home / "pid"),
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=(
                "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"
            ),
        )

    def _start_database(self) -> None:
        data = self.folder / "mysql"
        data.mkdir(exist_ok=True)
        user = "--user=root"
        install = (
            "mariadb-install-db", "--no-defaults", user, f"--datadir={data}",
            "--auth-root-authentication-method=normal", "--skip-test-db",
        )  # fmt: skip
        if not (data / "mysql").exists():
            subprocess.run(install, check=True, capture_output=True, timeout=120)
        self._launch(
            "mariadb", "mariadbd", "--no-defaults", user, f"--datadir={data}", f"--socket={data}/sock",
            f"--pid-file={data}/pid", f"--port={self.ports['mariadb']}", "--bind-address=127.0.0.1",
            "--skip-name-resolve", "--skip-log-bin", "--transaction-isolation=READ-COMMITTED",
            "--max-connections=1000", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0",
            "--innodb-buffer-pool-size=128M", "--performance-schema=off",
        )  # fmt: skip
        self.wait(60, "MariaDB", lambda: self._answers("mariadb"))

    def _make_databases(self) -> None:
        """Empty schemas, and the keys that belong to them, kept from the first time on these ports."""
        kept, keys = (
            cache() / f"schemas-{self.ports['keystone']}.sql",
            cache() / f"keys-{self.ports['keystone']}",
        )
        client = ("mariadb", "--no-defaults", "-uroot", "-h127.0.0.1", f"-P{self.ports['mariadb']}")
        if kept.exists() and keys.exists():
            with kept.open("rb") as dump:
                subprocess.run(client, stdin=dump, check=True, timeout=120)
            shutil.copytree(keys, self.folder / "keys", dirs_exist_ok=True)
            return
        for name in settings.DATABASES:
            subprocess.run((*client, "-e", f"CREATE DATABASE {name} CHARACTER SET utf8mb3"), check=True)
        for argv in self._syncs():
            self.run(*argv)
        dump_ = ("mariadb-dump", *client[1:], "--databases", *settings.DATABASES, "--single-transaction")
        with kept.open("wb") as out:
            subprocess.run((*dump_, "--add-drop-database"), stdout=out, check=True, timeout=120)
        shutil.rmtree(keys, ignore_errors=True)
        shutil.copytree(self.folder / "keys", keys)

    def _syncs(self) -> Sequence[tuple[str, ...]]:
        keystone = ("keystone-manage", *self._config("keystone/keystone.conf"))
        nova = ("nova-manage", *self._config("nova/nova.conf"))
        cell0 = f"mysql+pymysql://root@127.0.0.1:{self.ports['mariadb']}/nova_cell0"
        owner = ("--keystone-user", "root", "--keystone-group", "root")
        urls = [
            w for kind in ("admin", "internal", "public") for w in (f"--bootstrap-{kind}-url", self.keystone)
        ]
        return (
            (*keystone, "fernet_setup", *owner),
            (*keystone, "credential_setup", *owner),
            (*keystone, "db_sync"),
            (
                *keystone,
                "bootstrap",
                "--bootstrap-password",
                PASSWORD,
                *urls,
                "--bootstrap-region-id",
                "RegionOne",
            ),
            ("placement-manage", *self._config("placement/placement.conf"), "db", "sync"),
            (*nova, "api_db", "sync"),
            (*nova, "cell_v2", "map_cell0", "--database_connection", cell0),
            (*nova, "db", "sync"),
            (*nova, "cell_v2", "create_cell", "--name", "cell1"),
            ("glance-manage", *self._config("glance/glance-api.conf"), "db_sync"),
            (
                "neutron-db-manage",
                *self._config("neutron/neutron.conf", "neutron/ml2_conf.ini"),
                "upgrade",
                "heads",
            ),
            ("cinder-manage", *self._config("cinder/cinder.conf"), "db", "sync"),
        )


@contextmanager
def running() -> Iterator[Cloud]:
    """A cloud from start to end, in a folder that is then gone."""
    with tempfile.TemporaryDirectory(prefix="wnodes-openstack-") as folder:
        cloud = Cloud(Path(folder))
        try:
            cloud.start()
            yield cloud
        finally:
            cloud.stop()


if __name__ == "__main__":
    os.environ.setdefault("WNODES_LAB_INSTALL", "1")
    if reason := missing():
        sys.exit(reason)
    began = time.monotonic()
    by_hand = Cloud(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="wnodes-openstack-")))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        by_hand.start()
        sys.stderr.write(
            f"up after {time.monotonic() - began:.0f} s: export OS_CLIENT_CONFIG_FILE={by_hand.clouds}",
            flush=True,
        )
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        by_hand.stop()
