"""Starts one process of OpenStack: `launch.py api NAME PORT THREADS [ARGUMENT…] | svc NAME [ARGUMENT…]`.

Nothing of WNoDeS is imported here, and nothing of this by WNoDeS: it runs in the lab's own environment.
"""

# mypy: ignore-errors
from __future__ import annotations

import importlib
import os
import sys


def keystone():
    from keystone.server import wsgi

    return wsgi.initialize_public_application()


def placement():
    from placement import wsgi

    return wsgi.init_application()


def glance():
    from glance.common import wsgi_app

    return wsgi_app.init_app()


def nova():
    os.environ.setdefault("OS_NOVA_DISABLE_EVENTLET_PATCHING", "yes")
    from nova.api.openstack import wsgi_app

    return wsgi_app.init_application("osapi_compute", "nova-api")


def neutron():
    from neutron.wsgi import api

    return api.application


def cinder():
    from cinder.wsgi import api

    return api.application


APIS = {each.__name__: each for each in (keystone, placement, glance, nova, neutron, cinder)}
SERVICES = {
    "nova-compute": "nova.cmd.compute",
    "nova-conductor": "nova.cmd.conductor",
    "nova-scheduler": "nova.cmd.scheduler",
    "nova-manage": "nova.cmd.manage",
    "keystone-manage": "keystone.cmd.manage",
    "glance-manage": "glance.cmd.manage",
    "placement-manage": "placement.cmd.manage",
    "cinder-manage": "cinder.cmd.manage",
    "cinder-scheduler": "cinder.cmd.scheduler",
    "cinder-volume": "cinder.cmd.volume",
    "neutron-db-manage": "neutron.db.migration.cli",
}


def serve(name, port, threads):
    sys.argv = [f"{name}-api", *sys.argv[5:]]
    application = APIS[name]()
    import waitress

    waitress.serve(
        application,
        host="127.0.0.1",
        port=int(port),
        threads=int(threads),
        ident=None,
        channel_timeout=600,
        connection_limit=500,
        clear_untrusted_proxy_headers=True,
    )


def run(name, arguments):
    sys.argv = [name, *arguments]
    main = importlib.import_module(SERVICES[name]).main  # first of all: it may patch the standard library
    if name == "nova-compute":
        sized()
    sys.exit(main())


def sized():
    """A fake hypervisor as large as the environment says.

    A nova-compute that is started again has to find its node again: only this base keeps the node's id.
    """
    from nova.virt import fake

    class LabDriver(fake.FakeDriverWithoutFakeNodes):
        vcpus = int(os.environ["WNODES_LAB_VCPUS"])
        memory_mb = int(os.environ["WNODES_LAB_MEMORY"])
        local_gb = 500

        def get_console_output(self, context, instance):
            return f"the fake machine {instance.uuid} has booted\nlogin:\n".encode()

    fake.LabDriver = LabDriver


if __name__ == "__main__":
    if sys.argv[1] == "api":
        serve(*sys.argv[2:5])
    else:
        run(sys.argv[2], sys.argv[3:])
