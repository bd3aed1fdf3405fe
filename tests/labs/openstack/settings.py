"""The configuration of a small OpenStack that lives in one folder, on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PASSWORD: Final = "lab-secret"
HOSTS: Final = ("alpha-1", "alpha-2", "beta-1", "beta-2")
VCPUS: Final = 16
MEMORY: Final = 32768
OFFSETS: Final = {
    "keystone": 1, "placement": 2, "glance": 3, "nova": 4, "neutron": 5, "mariadb": 6, "rabbitmq": 7,
    "epmd": 8, "distribution": 9, "cinder": 10, "swift": 11, "account": 12, "container": 13, "object": 14,
}  # fmt: skip
TYPES: Final = {
    "placement": "placement", "glance": "image", "nova": "compute", "neutron": "network",
    "cinder": "volumev3",
    "swift": "object-store",
}  # fmt: skip
PATHS: Final = {"nova": "/v2.1", "cinder": "/v3/%(project_id)s", "swift": "/v1/AUTH_%(project_id)s"}
FILTERS: Final = ",".join(
    f"{name}Filter"
    for name in (
        "Compute", "ComputeCapabilities", "ImageProperties", "ServerGroupAntiAffinity", "ServerGroupAffinity"
    )
)  # fmt: skip
DATABASES: Final = ("keystone", "placement", "glance", "nova_api", "nova", "nova_cell0", "neutron", "cinder")
# user, project, roles; the service that WNoDeS is gets its roles in other projects by `policies/`.
USERS: Final = (
    ("svc", "service", ("admin", "service")),
    ("ada", "share-a", ("member",)),
    ("reader", "share-a", ("reader",)),
    ("bob", "share-b", ("member",)),
)


def clouds(keystone: str) -> str:
    """clouds.yaml with an entry for each user, the administrator, and WNoDeS itself."""
    entries = {"admin": ("admin", "admin"), "wnodes": ("wnodes", "wnodes")}
    entries |= {user: (user, project) for user, project, _ in USERS}
    text = "clouds:\n"
    for name, (user, project) in entries.items():
        text += f"""  {name}:
    auth:
      auth_url: {keystone}
      username: {user}
      password: {PASSWORD}
      project_name: {project}
      user_domain_name: Default
      project_domain_name: Default
    region_name: RegionOne
    identity_api_version: 3
"""
    return text


def files(folder: Path, ports: dict[str, int], policies: Path | None) -> dict[str, str]:
    """Every configuration file by its path in the folder's `etc`."""
    database = f"mysql+pymysql://root@127.0.0.1:{ports['mariadb']}"
    rabbit = f"rabbit://guest:guest@127.0.0.1:{ports['rabbitmq']}/"
    keystone = f"http://127.0.0.1:{ports['keystone']}/v3"

    def auth(*sections: str) -> str:
        return "".join(
            f"[{section}]\nauth_type = password\nauth_url = {keystone}\nwww_authenticate_uri = {keystone}\n"
            f"username = svc\npassword = {PASSWORD}\nproject_name = service\nuser_domain_name = Default\n"
            "project_domain_name = Default\nregion_name = RegionOne\n"
            + ("send_service_user_token = true\n" if section == "service_user" else "")
            for section in sections
        )

    def policy(service: str) -> str:
        return f"[oslo_policy]\npolicy_file = {policies / service}.yaml\n" if policies is not None else ""

    lock = f"[oslo_concurrency]\nlock_path = {folder}/lock\n"
    return {
        "keystone/keystone.conf": f"""[DEFAULT]
log_file = {folder}/log/keystone.log
[database]
connection = {database}/keystone
[token]
provider = fernet
expiration = 86400
[fernet_tokens]
key_repository = {folder}/keys/fernet
[credential]
key_repository = {folder}/keys/credential
[identity]
password_hash_rounds = 4
[cache]
enabled = true
backend = oslo_cache.dict
""",
        "placement/placement.conf": f"""[DEFAULT]
log_file = {folder}/log/placement.log
[placement_database]
connection = {database}/placement
[api]
auth_strategy = keystone
"""
        + policy("placement")
        + auth("keystone_authtoken"),
        "glance/glance-api.conf": f"""[DEFAULT]
log_file = {folder}/log/glance.log
enabled_backends = file:file
node_staging_uri = file://{folder}/images/staging
[database]
connection = {database}/glance
[glance_store]
default_backend = file
[file]
filesystem_store_datadir = {folder}/images/store
[os_glance_staging_store]
filesystem_store_datadir = {folder}/images/staging
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/images/tasks
[paste_deploy]
flavor = keystone
config_file = {folder}/etc/glance/glance-api-paste.ini
"""
        + lock
        + auth("keystone_authtoken"),
        "glance/glance-api-paste.ini": GLANCE_PASTE,
        "nova/api-paste.ini": NOVA_PASTE,
        "nova/nova.conf": f"""[DEFAULT]
transport_url = {rabbit}
state_path = {folder}/state
compute_driver = fake.LabDriver
cpu_allocation_ratio = 1.0
ram_allocation_ratio = 1.0
disk_allocation_ratio = 1.0
reserved_host_memory_mb = 0
heal_instance_info_cache_interval = -1
update_resources_interval = 0
report_interval = 5
service_down_time = 20
rpc_response_timeout = 60
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
[api_database]
connection = {database}/nova_api
[database]
connection = {database}/nova
[conductor]
workers = 1
[scheduler]
workers = 1
discover_hosts_in_cells_interval = -1
[filter_scheduler]
enabled_filters = {FILTERS}
[quota]
instances = -1
cores = -1
ram = -1
[glance]
endpoint_override = http://127.0.0.1:{ports["glance"]}
[vnc]
enabled = false
[cinder]
catalog_info = volumev3:cinder:publicURL
[oslo_messaging_rabbit]
heartbeat_timeout_threshold = 0
[oslo_messaging_notifications]
driver = noop
"""
        + lock
        + policy("nova")
        + auth("keystone_authtoken", "placement", "service_user", "neutron").replace(
            "[neutron]\n", "[neutron]\nservice_metadata_proxy = false\n"
        ),
        **{
            f"nova/compute-{host}.conf": f"[DEFAULT]\nhost = {host}\nstate_path = {folder}/state/{host}\n"
            f"log_file = {folder}/log/nova-compute-{host}.log\n"
            for host in HOSTS
        },
        "neutron/neutron.conf": f"""[DEFAULT]
transport_url = {rabbit}
state_path = {folder}/state/neutron
core_plugin = ml2
service_plugins =
api_paste_config = {folder}/etc/neutron/api-paste.ini
log_file = {folder}/log/neutron.log
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
[database]
connection = {database}/neutron
[oslo_messaging_notifications]
driver = noop
"""
        + lock
        + auth("keystone_authtoken", "nova", "placement"),
        "neutron/ml2_conf.ini": """[ml2]
type_drivers = local
tenant_network_types = local
mechanism_drivers = lab
[securitygroup]
enable_security_group = true
""",
        "cinder/cinder.conf": f"""[DEFAULT]
transport_url = {rabbit}
state_path = {folder}/state/cinder
enabled_backends = fake
auth_strategy = keystone
log_file = {folder}/log/cinder.log
glance_api_servers = http://127.0.0.1:{ports["glance"]}
default_volume_type = lab
api_paste_config = {folder}/etc/cinder/api-paste.ini
resource_query_filters_file = {folder}/etc/cinder/resource_filters.json
[database]
connection = {database}/cinder
[fake]
volume_driver = wnodes_lab_volumes.LabVolumes
volume_backend_name = fake
[oslo_messaging_notifications]
driver = noop
"""
        + lock
        + auth("keystone_authtoken", "service_user", "nova"),
    }


GLANCE_PASTE: Final = """[pipeline:glance-api-keystone]
pipeline = versionnegotiation authtoken context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
"""

NOVA_PASTE: Final = """[composite:osapi_compute]
use = call:nova.api.openstack.urlmap:urlmap_factory
/: versions
/v2.1: versions_v2
/v2.1/+: api
[composite:api]
use = call:nova.api.auth:pipeline_factory_v21
keystone = compute_req_id faultwrap request_log sizelimit authtoken keystonecontext app_v21
[pipeline:versions]
pipeline = faultwrap request_log versions_app
[pipeline:versions_v2]
pipeline = compute_req_id faultwrap request_log versions_v2_app
[filter:request_log]
paste.filter_factory = nova.api.openstack.requestlog:RequestLog.factory
[filter:compute_req_id]
paste.filter_factory = nova.api.compute_req_id:ComputeReqIdMiddleware.factory
[filter:faultwrap]
paste.filter_factory = nova.api.openstack:FaultWrapper.factory
[filter:sizelimit]
paste.filter_factory = oslo_middleware:RequestBodySizeLimiter.factory
[filter:keystonecontext]
paste.filter_factory = nova.api.auth:NovaKeystoneContext.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
[app:app_v21]
paste.app_factory = nova.api.openstack.compute:APIRouterV21.factory
[app:versions_app]
paste.app_factory = nova.api.openstack.compute.versions:Versions.factory
[app:versions_v2_app]
paste.app_factory = nova.api.openstack.compute.versions:VersionsV2.factory
"""
