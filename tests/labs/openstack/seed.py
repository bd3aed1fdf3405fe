"""What is in the lab's cloud before anybody uses it: projects, users, flavours, images, a network."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from labs.openstack.settings import HOSTS, PASSWORD, PATHS, TYPES, USERS

if TYPE_CHECKING:
    from labs.openstack.cloud import Cloud

FLAVOURS: Final = {
    "c1": (1, 1024, 1),
    "c2": (2, 4096, 5),
    "c4": (4, 8192, 10),
    "c8": (8, 16384, 20),
    "c16": (16, 32768, 40),
}
SIZE: Final = 45056


def identity(cloud: Cloud) -> None:
    """Roles, projects, users and the catalogue; nothing that is there is made again."""
    session = _session(cloud)
    roles = {
        name: _made(cloud, session, "roles", name)
        for name in ("admin", "member", "reader", "service", "wnodes")
    }
    projects = {
        name: _made(cloud, session, "projects", name, domain_id="default")
        for name in ("service", "wnodes", "share-a", "share-b")
    }

    def grant(user: str, project: str, *names: str) -> None:
        for name in names:
            session.put(f"{cloud.keystone}/projects/{projects[project]}/users/{user}/roles/{roles[name]}")

    for name, project, names in USERS:
        user = _made(cloud, session, "users", name, domain_id="default", password=PASSWORD)
        grant(user, project, *names)
    # As docs/openstack.md tells an administrator: one role of our own, in each project that WNoDeS serves.
    service = _made(cloud, session, "users", "wnodes", domain_id="default", password=PASSWORD)
    grant(service, "wnodes", "wnodes", "reader")
    for project in ("share-a", "share-b"):
        grant(service, project, "wnodes", "member")
    for name, kind in TYPES.items():
        url = f"http://127.0.0.1:{cloud.ports[name]}{PATHS.get(name, '')}"
        endpoint = _made(cloud, session, "services", name, type=kind)
        if not session.get(f"{cloud.keystone}/endpoints?service_id={endpoint}").json()["endpoints"]:
            for interface in ("public", "internal"):
                body = {"service_id": endpoint, "interface": interface, "url": url, "region_id": "RegionOne"}
                session.post(f"{cloud.keystone}/endpoints", json={"endpoint": body})


def wait_for_hosts(cloud: Cloud) -> None:
    """Wait until every host reports to Nova and to Placement."""
    session = _session(cloud)

    def there() -> bool:
        services = _get(session, "compute", "/os-services").get("services", [])
        up = {each["host"] for each in services if each["state"] == "up" and each["binary"] == "nova-compute"}
        names = {
            each["name"]
            for each in _get(session, "placement", "/resource_providers").get("resource_providers", [])
        }
        return set(HOSTS) <= up & names

    cloud.wait(120, "hosts that report", there)


def resources(cloud: Cloud) -> None:
    """Flavours, images, a network with a subnet, and a volume type."""
    session = _session(cloud)

    def post(kind: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = session.post(path, json=body, endpoint_filter=_at(kind))
        return dict(answer.json()) if answer.content else {}

    for name, (cores, memory, disk) in FLAVOURS.items():
        body = {"name": name, "vcpus": cores, "ram": memory, "disk": disk, "id": name}
        post("compute", "/flavors", {"flavor": body})
    for name, fields in (
        ("tiny", {"visibility": "public", "os_distro": "debian", "wnodes_approved": "yes"}),
        ("large", {"visibility": "public", "min_disk": 30, "min_ram": 2048}),
        ("queued", {"visibility": "public"}),
        ("private", {"visibility": "private"}),
    ):
        body = {"name": name, "container_format": "bare", "disk_format": "raw", **fields}
        image = post("image", "/v2/images", body)
        if name != "queued":
            headers = {"Content-Type": "application/octet-stream"}
            session.put(
                f"/v2/images/{image['id']}/file",
                data=os.urandom(SIZE),
                headers=headers,
                endpoint_filter=_at("image"),
            )
    network = post("network", "/v2.0/networks", {"network": {"name": "private", "shared": True}})["network"][
        "id"
    ]
    post(
        "network",
        "/v2.0/subnets",
        {"subnet": {"network_id": network, "ip_version": 4, "cidr": "10.9.0.0/20", "enable_dhcp": False}},
    )
    post("volumev3", "/types", {"volume_type": {"name": "lab"}})


def _at(kind: str) -> dict[str, str]:
    return {"service_type": kind, "interface": "public", "region_name": "RegionOne"}


def _session(cloud: Cloud) -> Session:
    auth = v3.Password(
        auth_url=cloud.keystone, username="admin", password=PASSWORD, project_name="admin",
        user_domain_name="Default", project_domain_name="Default",
    )  # fmt: skip
    return Session(auth, timeout=60)


def _get(session: Session, kind: str, path: str) -> dict[str, Any]:
    answer = session.get(path, endpoint_filter=_at(kind), raise_exc=False)
    return dict(answer.json()) if answer.status_code == 200 else {}


def _made(cloud: Cloud, session: Session, collection: str, name: str, **body: str) -> str:
    found = session.get(f"{cloud.keystone}/{collection}?name={name}").json()[collection]
    if found:
        return str(found[0]["id"])
    singular = collection[:-1]
    made = session.post(f"{cloud.keystone}/{collection}", json={singular: {**body, "name": name}})
    return str(made.json()[singular]["id"])
