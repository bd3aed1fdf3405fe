"""A disk that is full, read-only, or not of this machine: told as it is, and nothing half done."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from sites.running import Site, form, until
from wnodes_daemon import database
from wnodes_daemon.client import ApiError
from wnodes_daemon.store import Store, StoreError


def test_a_full_disk_is_told_and_all_goes_on_once_there_is_room(site: Site) -> None:
    client = site.start()
    assert site.process is not None
    answered = [client.submit(form(user="eve", cores=8)).id]
    size = (site.folder / "wnodes.sqlite-wal").stat().st_size
    free = resource.RLIM_INFINITY
    resource.prlimit(site.process.pid, resource.RLIMIT_FSIZE, (size + 40_000, free))
    problem = None
    while problem is None:
        try:
            answered.append(client.submit(form(user=f"u{len(answered)}", cores=8)).id)
        except ApiError as error:
            problem = error.problem
    assert problem.status == 503
    assert "the store did not answer" in problem.detail
    assert client.health().store_error
    resource.prlimit(site.process.pid, resource.RLIMIT_FSIZE, (free, free))
    until(lambda: not client.health().store_error)
    answered.append(client.submit(form(user="eve", cores=8)).id)
    assert [view.id for view in client.requests(limit=1000)] == answered
    assert "Traceback" not in (site.folder / "log").read_text()


def test_a_store_that_cannot_be_written_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "s")
    monkeypatch.setattr(database, "PRAGMAS", (*database.PRAGMAS, "query_only = ON"))
    with pytest.raises(StoreError, match="make the file and its folder writable"):
        Store(path)


MOUNTS = r"""22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:40 / /home rw shared:5 - {kind} server:/home rw,vers=4.2
24 23 8:2 / /home/local\040disk rw - xfs /dev/sdb1 rw
"""


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "lustre", "gpfs", "fuse.sshfs"])
def test_a_network_file_system_is_refused(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(kind=kind))
    with pytest.raises(StoreError, match=rf"network file system \({kind}\)"):
        database.refuse_network("/home/site/wnodes.sqlite", str(mounts))
    for fine in ("/home/local disk/wnodes.sqlite", "/var/wnodes.sqlite", "/homes/wnodes.sqlite"):
        database.refuse_network(fine, str(mounts))
