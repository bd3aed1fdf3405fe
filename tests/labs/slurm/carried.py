"""A site on the lab's cluster, and what has happened there to its jobs, by Slurm's accounting."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import yaml
from labs.slurm.cluster import Cluster
from sites.history import History
from sites.running import Site

POLICY = """
policy lab "a lab"
share work 100%
assign work otherwise
route job, vmjob, vm, pool to grid queue "grid" account "cloud"
"""
SETTLE = 25  # credentials live for 20 s here


def made(folder: Path, cluster: Cluster, **backend: Any) -> Site:
    """A site whose backend is the lab's cluster."""
    site = Site(folder)
    (folder / "little.policy").write_text(POLICY)
    options = {
        "submit_as": "uid",
        "service_user": "nobody",
        "min_uid": 2,
        "conf": str(cluster.conf),
        "workdir": "/tmp",
        "output": "/dev/null",
        "login": False,
        "limit": 10,
        "history": 3600,
    }
    written = {
        "name": "lab",
        "timezone": "UTC",
        "policy": "little.policy",
        "backends": {"grid": {"driver": "slurm", "options": options, **backend}},
        "daemon": {"tick": 0.5, "settle": SETTLE},
    }
    site.file.write_text(yaml.safe_dump(written))
    return site


def history(cluster: Cluster, site: Site) -> History:
    """What has happened to the jobs of a site's store. A job that runs anew is started once more."""
    with sqlite3.connect(site.folder / "wnodes.sqlite") as store:
        request_of = dict(store.execute("SELECT key, request FROM dispatches"))
    queued = {_key(name) for name in cluster.run("squeue", "-h", "-a", "-o", "%j").split()}
    events = sorted(_events(cluster, request_of), key=itemgetter("at"))
    return History([event for event in events if event["event"] != "end" or event["what"] not in queued])


def _events(cluster: Cluster, request_of: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    shown = cluster.run(
        "sacct", "-n", "-X", "-D", "-P", "-a", "-S", "now-1hours", "-o", "JobName,Start,End,NodeList,User"
    )
    for line in shown.splitlines():
        name, start, end, nodes, user = line.split("|")
        if (request := request_of.get(_key(name))) is None or user != "games":
            continue
        told = {"what": _key(name)}
        yield {"event": "submit", "at": "", "slot": {"name": f"wnodes-{request}"}, **told}
        if start not in {"None", "Unknown"} and not nodes.startswith("None"):
            yield {"event": "start", "at": f"{start} b", **told}
        after = "c" if end == start else "a"  # what ends in a second ends before what starts in it
        yield {"event": "end", "at": f"{end} {after}" if end != "Unknown" else "z", **told}


def _key(name: str) -> str:
    """The key in a name that we have given."""
    return name.split("-")[1] if name.startswith("wn-") and name.count("-") == 2 else ""
