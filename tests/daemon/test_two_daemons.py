"""Two daemons on one database: one leads, and when it is gone the other does; never both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from daemon.test_store import entry
from sites.history import History
from sites.postgresql import Cluster
from sites.running import Site, form, until
from wnodes_daemon import leading
from wnodes_daemon.client import ApiError, Unreachable
from wnodes_daemon.leading import Lease
from wnodes_daemon.records import NewEntry, State
from wnodes_daemon.store import Store, StoreUnavailable

# ------------------------------------------------------------------ the lease


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "LENGTH", 0.6)
    monkeypatch.setattr(leading, "_RENEWED", 0.1)


def lease(url: str, address: str = "unix:/a") -> Lease:
    return Lease(url, address)


@pytest.fixture
def url(postgresql: Cluster) -> str:
    found = postgresql.database()
    Store(found).close()
    first = Lease(found, "")
    first.take()  # makes the row
    first.give_back()
    return found


def test_one_leads_until_it_gives_back_and_then_the_other(url: str, quick: None) -> None:
    one, two = lease(url, "unix:/one"), lease(url, "unix:/two")
    assert one.take()
    assert not two.take()
    time.sleep(0.8)  # longer than the lease: it is renewed
    assert one.holds()
    assert not two.take()
    assert two.leader().address == "unix:/one"
    one.give_back()
    assert not one.holds()
    assert two.take()
    assert two.term == one.term + 1
    two.give_back()


def test_a_leader_that_renews_no_longer_knows_before_another_can_lead(url: str, quick: None) -> None:
    one, two = lease(url), lease(url)
    assert one.take()
    one._over.set()  # its thread stands still
    while not two.take():
        assert time.monotonic() < one._until or not one.holds()
        time.sleep(0.02)
    assert not one.holds()
    two.give_back()
    one.give_back()


def test_no_commit_of_an_old_term_succeeds(url: str, quick: None) -> None:
    one, two, store = lease(url), lease(url), Store(url)
    store.fence = one.fence
    assert one.take()
    store.commit([NewEntry(entry(1))])
    one._over.set()
    until(two.take)
    with pytest.raises(StoreUnavailable, match="does not lead any more"):
        store.commit([NewEntry(entry(2))])
    assert [known.id for known in store.live()] == [1]
    store.close()
    two.give_back()
    one.give_back()


def test_a_new_term_waits_for_a_commit_that_is_under_way_and_a_renewal_does_not(
    url: str, quick: None
) -> None:
    one, two, store = lease(url), lease(url), Store(url)
    assert one.take()
    taken: list[bool] = []
    taking = threading.Thread(target=lambda: taken.append(two.take()))

    def busy(connection: sa.Connection, times: int) -> None:
        for _ in range(times):
            connection.execute(sa.text("SELECT 1"))
            time.sleep(0.1)

    with store._writer.begin() as connection:
        one.fence(connection)
        until_renewed = one._until
        until(lambda: one._until > until_renewed)
        one._over.set()
        busy(connection, 8)  # longer than the lease
        taking.start()
        busy(connection, 4)
        assert taken == []
    taking.join()
    assert taken == [True]
    store.close()
    two.give_back()
    one.give_back()


def test_a_session_that_stands_still_in_a_commit_keeps_nobody_waiting(url: str, quick: None) -> None:
    one, two, store = lease(url), lease(url), Store(url)
    assert one.take()
    connection = store._writer.connect()
    connection.begin()
    one.fence(connection)
    one._over.set()  # and nothing more comes, as from a process that was stopped

    def leads() -> bool:
        try:
            return two.take()
        except StoreUnavailable:
            return False

    until(leads)
    with pytest.raises((sa.exc.DBAPIError, OSError)):
        connection.execute(sa.text("SELECT 1"))
    connection.invalidate()
    connection.close()
    store.close()
    two.give_back()
    one.give_back()


# --------------------------------------------------------------- real daemons


class Pair:
    """Two sites that differ in their socket, on one database and one farm."""

    def __init__(self, folder: Path, url: str, other: str | None = None) -> None:
        self.one, self.two = Site(folder), Site(folder)
        self.two.file = folder / "second.yaml"
        for site, name, place in ((self.one, "one", url), (self.two, "two", other or url)):
            site.write(daemon={"store": place, "listen": {"socket": f"{name}.sock"}, "settle": 2}, speed=30)
            site.socket = folder / f"{name}.sock"  # type: ignore[attr-defined]

    def client(self, site: Site) -> Any:
        from wnodes_daemon.client import Client

        return Client(f"unix:{site.socket}")  # type: ignore[attr-defined]

    def launch(self, site: Site) -> None:
        site.process = site.launch()

    def leads(self, site: Site) -> Callable[[], bool]:
        def ask() -> bool:
            try:
                return bool(self.client(site).health().status == "ok")
            except (ApiError, Unreachable, httpx.HTTPError):
                return False

        return ask

    def stands_by(self, site: Site) -> Callable[[], bool]:
        def ask() -> bool:
            try:
                self.client(site).health()
            except ApiError as error:
                return error.problem.status == 503 and error.problem.leader is not None
            except (Unreachable, httpx.HTTPError):
                pass
            return False

        return ask


@pytest.fixture
def pair(tmp_path: Path, url: str) -> Iterator[Pair]:
    made = Pair(tmp_path, url)
    yield made
    for site in (made.one, made.two):
        if site.process is not None:
            os.kill(site.process.pid, signal.SIGCONT)
            site.process.kill()
            site.process.wait()


def started(pair: Pair) -> list[str]:
    """The first leads, the second stands by, and some requests are there."""
    pair.launch(pair.one)
    until(pair.leads(pair.one))
    pair.launch(pair.two)
    until(pair.stands_by(pair.two))
    items = pair.client(pair.one).submit_all([form(user=f"u{at}", walltime=60) for at in range(12)])
    return [item.request.id for item in items]


def carried_out_once(pair: Pair, leader: Site, ids: list[str]) -> None:
    client = pair.client(leader)
    until(lambda: all(client.show(id_).state is State.DONE for id_ in ids))
    history = History(pair.one.record())
    assert history.twice == []
    assert [history.started(id_) for id_ in ids] == [1] * len(ids)


def test_the_one_that_stands_by_reads_and_says_who_leads(pair: Pair) -> None:
    ids = started(pair)
    client = pair.client(pair.two)
    assert {view.id for view in client.requests()} == set(ids)
    assert client.show(ids[0]).id == ids[0]
    with pytest.raises(ApiError) as caught:
        client.submit(form())
    assert caught.value.problem.leader == f"unix:{pair.one.socket}"  # type: ignore[attr-defined]
    assert "this daemon stands by" in caught.value.problem.detail


def test_when_the_leader_is_killed_the_other_goes_on_with_its_work(pair: Pair) -> None:
    ids = started(pair)
    pair.one.end(signal.SIGKILL)
    until(pair.leads(pair.two))
    ids.append(pair.client(pair.two).submit(form(user="late", walltime=60)).id)
    carried_out_once(pair, pair.two, ids)
    pair.launch(pair.one)
    until(pair.stands_by(pair.one))


def test_a_leader_that_was_stopped_does_nothing_more_when_it_wakes(pair: Pair) -> None:
    ids = started(pair)
    assert pair.one.process is not None
    pair.one.process.send_signal(signal.SIGSTOP)
    until(pair.leads(pair.two))
    ids.append(pair.client(pair.two).submit(form(user="late", walltime=60)).id)
    pair.one.process.send_signal(signal.SIGCONT)
    until(pair.stands_by(pair.one))
    carried_out_once(pair, pair.two, ids)


def test_an_orderly_end_hands_over_at_once(pair: Pair) -> None:
    ids = started(pair)
    assert pair.one.end() == 0
    until(pair.leads(pair.two))
    carried_out_once(pair, pair.two, ids)


PROXY = """
import os, select, socket, sys
to, at = sys.argv[1:]
listening = socket.socket(socket.AF_UNIX)
listening.bind(at)
os.chmod(at, 0o777)
listening.listen(50)
ways = {}
while True:
    for ready in select.select([listening, *ways], [], [])[0]:
        if ready is listening:
            one, other = listening.accept()[0], socket.socket(socket.AF_UNIX)
            other.connect(to)
            ways[one], ways[other] = other, one
        elif ready in ways:
            try:
                data = ready.recv(65536)
                if data:
                    ways[ready].sendall(data)
                    continue
            except OSError:
                pass
            other = ways.pop(ready)
            ways.pop(other, None)
            ready.close()
            other.close()
"""


def proxied(folder: Path, cluster: Cluster, url: str) -> tuple[subprocess.Popen[bytes], str]:
    """A way to the server that can be stopped, and the URL that goes through it."""
    way = folder / "p"
    way.mkdir()
    at = way / ".s.PGSQL.5432"
    argv = [sys.executable, "-c", PROXY, str(cluster.folder / ".s.PGSQL.5432"), str(at)]
    proxy = subprocess.Popen(argv)
    until(at.exists)
    return proxy, url.replace(str(cluster.folder), str(way))


def test_a_leader_that_is_cut_off_from_the_database_stops_and_the_other_leads(
    tmp_path: Path, url: str, postgresql: Cluster
) -> None:
    proxy, through = proxied(tmp_path, postgresql, url)
    pair = Pair(tmp_path, through, other=url)
    try:
        ids = started(pair)
        proxy.send_signal(signal.SIGSTOP)
        until(pair.leads(pair.two))
        assert not pair.leads(pair.one)()
        carried_out_once(pair, pair.two, ids)
        proxy.send_signal(signal.SIGCONT)
        until(pair.stands_by(pair.one))
    finally:
        proxy.kill()
        proxy.wait()
        for site in (pair.one, pair.two):
            if site.process is not None:
                site.process.kill()
                site.process.wait()
