"""How jobs have ended: nothing left out, nothing told twice, and of a second look."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from backends.lsf.driving import DIALECTS, Clock, Lab
from wnodes_engine.backend import (
    Action,
    BackendUnavailable,
    Ending,
    Fate,
    JobRef,
    Verdict,
)


@pytest.mark.parametrize("acct", [False, True], ids=["commands", "lsb.acct"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_driver_that_was_made_anew_goes_on_from_the_cursor(
    dialect: Any, acct: bool, tmp_path: Path
) -> None:
    lab = Lab(tmp_path, dialect, Clock(), acct=acct)
    ref = lab.taken(held=False, script="#!/bin/sh\nexit 3\n", cores=2)
    lab.clock.now += 1
    lab.lsf.advance()
    lab.clock.now += 1
    lab.lsf.advance()
    first = lab.finished()
    assert [(each.ref, each.exit_status, each.cores) for each in first.records] == [(ref, 3, 2)]
    assert lab.finished(first.cursor).records == ()
    again = lab.finished(first.cursor, lab.driver())
    assert {each.ref for each in again.records} <= {ref}
    assert lab.finished("nonsense:x:y").records == first.records


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_ended_longer_ago_than_bjobs_remembers_is_told_by_bacct_or_bhist(
    dialect: Any, tmp_path: Path
) -> None:
    lab = Lab(tmp_path, dialect, Clock())
    cursor = lab.finished().cursor
    ref = lab.taken(held=False, script="#!/bin/sh\nsleep 1\n")
    for _ in range(3):
        lab.clock.now += 1
        lab.lsf.advance()
    forgotten, lab.clock.now = lab.lsf.jobs[:], lab.clock.now + 20_000
    bjobs = lab.lsf._bjobs

    def forgets(*args: Any) -> Any:
        lab.lsf.jobs = []
        said = bjobs(*args)
        lab.lsf.jobs = forgotten
        return said

    lab.lsf._bjobs = forgets  # type: ignore[method-assign]
    page = lab.finished(cursor, lab.driver())
    assert [each.ref for each in page.records] == [ref]
    assert page.records[0].ended_at < lab.clock.now - 19_000


def test_a_second_look_tells_the_end_of_the_very_job_or_nothing(lab: Lab) -> None:
    ended = lab.taken(held=False, script="#!/bin/sh\nexit 3\n")
    lab.clock.now += 1
    lab.lsf.advance()
    lab.clock.now += 1
    running = lab.taken("k2")
    other = JobRef("grid", ended.id, "k3", ended.submitted_at)
    absent = JobRef("grid", "999", "k4", 0)
    fates = asyncio.run(lab.backend.look_again([ended, running, other, absent, JobRef("x", "-1", "", 0)]))
    fate = fates.pop(ended)
    assert isinstance(fate, Ending)
    assert fate.exit_status == 3
    assert set(fates.values()) == {Fate.UNKNOWN}


def test_a_job_that_was_requeued_has_not_ended_though_lsb_acct_says_so(tmp_path: Path) -> None:
    for dialect in ("ibm", "volclava"):
        lab = Lab(tmp_path, dialect, Clock(), acct=True)  # type: ignore[arg-type]
        ref = lab.taken(held=False, script="#!/bin/sh\nsleep 600\n")
        for _ in range(2):
            lab.clock.now += 1
            lab.lsf.advance()
        assert lab.act(Action.REQUEUE, ref) is Verdict.DONE
        lab.clock.now += 1
        lab.lsf.advance()
        assert "JOB_FINISH" in (tmp_path / "lsb.acct").read_text()
        assert lab.finished().records == ()
        (tmp_path / "lsb.acct").unlink()


def test_a_record_that_is_written_in_two_parts_is_told_once_and_whole(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "ibm", Clock(), acct=True)
    ref = lab.taken(held=False)
    lab.clock.now += 1
    lab.lsf.advance()
    lab.clock.now += 100
    lab.lsf.advance()
    path = tmp_path / "lsb.acct"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    page = lab.finished()
    assert page.records == ()
    path.open("ab").write(whole[100:])
    assert [each.ref for each in lab.finished(page.cursor).records] == [ref]


def test_accounting_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "ibm", Clock(), acct=True)
    (tmp_path / "lsb.acct").unlink()
    with pytest.raises(BackendUnavailable, match=r"lsb\.acct"):
        lab.finished()
