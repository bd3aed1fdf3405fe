"""The policy of a running daemon: taken only if it is sound, tried out before, and taken back at a word."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from sites.running import POLICY, Site, form, until
from wnodes_daemon.client import ApiError, Client
from wnodes_daemon.live_policy import previous
from wnodes_daemon.people import main
from wnodes_daemon.records import KnownPolicy, State
from wnodes_daemon.views import Standing

MORE = POLICY.replace("cores <= 12", "cores <= 20")
LESS = POLICY.replace("cores <= 12", "cores <= 4")
BROKEN = POLICY + "\nshare grid 99%\n"


def held_back(site: Site) -> tuple[Client, list[str]]:
    """Three requests of 6 cores of one user, who may have 12."""
    site.write(speed=1)
    client = site.start()
    items = client.submit_all([form(user="ada", cores=6, walltime="unlimited")] * 3)
    ids = [item.request.id for item in items if item.request is not None]
    until(lambda: client.show(ids[1]).state is State.RUNNING)
    return client, ids


def file(site: Site) -> Path:
    return site.folder / "little.policy"


def test_a_changed_file_is_taken_by_itself_if_it_is_sound(site: Site) -> None:
    client, ids = held_back(site)
    before = client.policy()
    assert (before.number, before.origin, before.problem) == (1, "start", "")
    file(site).write_text(BROKEN)
    until(lambda: "little.policy" in client.policy().problem)
    assert client.policy().digest == before.digest
    file(site).write_text(MORE)
    until(lambda: client.policy().digest != before.digest)
    now = client.policy()
    assert (now.number, now.origin, now.problem) == (2, "files", "")
    until(lambda: client.show(ids[2]).state is State.RUNNING)
    decision = client.show(ids[2]).decision
    assert decision is not None
    assert decision.policy_digest == now.digest


def test_a_policy_that_is_not_sound_is_refused_with_what_is_wrong(site: Site) -> None:
    client, _ = held_back(site)
    file(site).write_text(BROKEN)
    for ask in (lambda: client.policy("reload"), lambda: client.try_out(BROKEN), client.try_out):
        with pytest.raises(ApiError) as caught:
            ask()
        assert caught.value.problem.status == 409
        assert caught.value.problem.errors[0].path.endswith(f"little.policy:{BROKEN.count(chr(10))}")
    elsewhere = POLICY.replace("to farm", "to nowhere")
    with pytest.raises(ApiError, match="nowhere"):
        client.try_out(elsewhere)


def test_trying_out_tells_what_would_change_and_changes_nothing(site: Site) -> None:
    client, ids = held_back(site)
    more = client.try_out(MORE)
    assert (more.requests, more.changed, more.counts) == (3, 1, {"waits -> starts": 1})
    (change,) = more.changes
    assert (change.id, change.user) == (ids[2], "ada")
    assert (change.now, change.then) == (Standing("waits", "local"), Standing("starts", "local"))
    less = client.try_out(LESS)
    assert less.counts == {"waits -> denied": 1}
    assert less.changes[0].reasons[0].code == "quota"
    moved = POLICY.replace("share local 40%", "share home 40%").replace("assign local", "assign home")
    moved = client.try_out(moved.replace("user in local", "user in home"))
    assert [(one.now.share, one.then.share) for one in moved.changes] == [("local", "home")] * 3
    same = client.try_out()
    assert same.changed == 0
    assert client.policy().number == 1
    assert [client.show(id_).state for id_ in ids] == [State.RUNNING, State.RUNNING, State.WAITING]


def test_one_command_goes_back_and_it_stays_so_over_a_restart(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    client, _ = held_back(site)
    first = client.policy()
    file(site).write_text(MORE)
    second = client.policy("reload")
    assert main(["policy", "rollback", "--daemon", site.address]) == 0
    assert "number 3" in capsys.readouterr().out
    assert client.policy().digest == first.digest
    site.end(signal.SIGKILL)
    client = site.start()
    back = client.policy()
    assert (back.digest, back.origin) == (first.digest, "rollback to 1")
    with pytest.raises(ApiError, match="this is the first"):
        client.policy("rollback")
    assert client.policy("reload").digest == second.digest
    file(site).write_text(MORE + "# a word\n")
    until(lambda: client.policy().digest not in {first.digest, second.digest})


def test_the_command_shows_what_is_in_force_and_what_would_change(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held_back(site)
    other = tmp_path / "other.policy"
    other.write_text(MORE)
    assert main(["policy", "--daemon", site.address]) == 0
    assert "policy little, number 1, in force since" in capsys.readouterr().out
    assert main(["policy", "dry-run", str(other), "--daemon", site.address]) == 0
    assert "would change 1 of 3 requests" in capsys.readouterr().out
    assert main(["policy", "dry-run", str(tmp_path / "none"), "--daemon", site.address]) == 2


def known(*rows: tuple[str, str]) -> list[KnownPolicy]:
    return [KnownPolicy(at, digest, "p", 0, origin, ()) for at, (digest, origin) in enumerate(rows, 1)]


@pytest.mark.parametrize(
    ("rows", "number"),
    [
        ([("a", "start")], None),
        ([("a", "start"), ("b", "files")], 1),
        ([("a", "start"), ("b", "files"), ("b", "files")], 1),
        ([("a", "start"), ("b", "files"), ("c", "files"), ("b", "rollback to 2")], 1),
        ([("a", "start"), ("b", "files"), ("a", "rollback to 1")], None),
        ([("a", "start"), ("b", "files"), ("a", "rollback to 1"), ("c", "files")], 2),
    ],
)
def test_going_back_again_goes_further_back(rows: list[tuple[str, str]], number: int | None) -> None:
    found = previous(known(*rows))
    assert (found.number if found is not None else None) == number
