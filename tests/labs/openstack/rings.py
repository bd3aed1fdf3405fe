"""A Swift of one device in a folder: rings, and the configuration of its four servers."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from labs.openstack.settings import PASSWORD

_PROXY: Final = "catch_errors gatekeeper cache authtoken keystoneauth container-quotas proxy-server"


def prepare(folder: Path, ports: dict[str, int], keystone: str) -> None:
    """Write everything that is needed before the servers start."""
    from labs.openstack.cloud import cache

    etc, device = folder / "etc" / "swift", folder / "swift" / "d1"
    etc.mkdir(parents=True, exist_ok=True)
    device.mkdir(parents=True, exist_ok=True)
    (etc / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = lab\n")
    builder = str(cache() / "venv" / "bin" / "swift-ring-builder")
    for name in ("account", "container", "object"):
        file = str(etc / f"{name}.builder")
        if not Path(file).exists():
            for words in (
                ("create", "4", "1", "1"),
                ("add", f"r1z1-127.0.0.1:{ports[name]}/d1", "1"),
                ("rebalance",),
            ):
                done = subprocess.run((builder, file, *words), capture_output=True, text=True)
                assert done.returncode in {0, 1}, done.stdout + done.stderr
        (etc / f"{name}-server.conf").write_text(
            f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {ports[name]}\nworkers = 0\nuser = root\n"
            f"swift_dir = {etc}\ndevices = {folder}/swift\nmount_check = false\n"
            f"[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n"
        )
    (etc / "proxy-server.conf").write_text(f"""[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {ports["swift"]}
swift_dir = {etc}
workers = 0
user = root
[pipeline:main]
pipeline = {_PROXY}
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
auth_type = password
auth_url = {keystone}
www_authenticate_uri = {keystone}
username = svc
password = {PASSWORD}
project_name = service
user_domain_name = Default
project_domain_name = Default
delay_auth_decision = true
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member, wnodes
[filter:container-quotas]
use = egg:swift#container_quotas
""")
