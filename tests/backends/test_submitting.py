"""Whether jobs can be submitted in their users' names: what sudo said, and what comes of it."""

from __future__ import annotations

import asyncio

import pytest
from wnodes_batch.identity import Means
from wnodes_batch.runner import Answer
from wnodes_batch.submitting import submission
from wnodes_engine.backend import Health

LISTED = """Matching Defaults entries for wnodes on vm:
    env_reset, mail_badpass,
    secure_path=/usr/local/sbin\\:/usr/local/bin\\:/usr/sbin\\:/usr/bin\\:/sbin\\:/bin,
    use_pty

User wnodes may run the following commands on vm:
    (%grid) {rule}
"""


def asked(
    answer: Answer, means: Means = Means.SUDO, *, is_root: bool = False, itself: Health | None = None
) -> Health:
    """What is found where `sudo -n -l` answers like this."""

    async def run(argv: tuple[str, ...]) -> Answer:
        assert argv == ("sudo", "-n", "-l")
        return answer

    work = submission(means, "sbatch", run, own="wnodes", is_root=is_root, itself=itself)
    return asyncio.run(work)


def listed(rule: str) -> Answer:
    """What `sudo -n -l` lists for one who may do this."""
    return Answer(0, LISTED.format(rule=rule).encode())


@pytest.mark.parametrize(
    ("rule", "well"),
    [
        ("SETENV: NOPASSWD: /usr/bin/sbatch", True),
        ("NOPASSWD: /usr/bin/scancel, /usr/bin/sbatch", True),
        ("NOPASSWD: ALL", True),
        ("/usr/bin/sbatch", False),
        ("NOPASSWD: /usr/bin/sbatch-wrapper", False),
        ("NOPASSWD: /usr/bin/my.sbatch", False),
    ],
)
def test_a_rule_counts_that_lets_the_daemon_submit_without_a_password(rule: str, well: bool) -> None:
    assert asked(listed(rule)).well is well


@pytest.mark.parametrize(
    "answer",
    [
        Answer(1, said="sudo: a password is required"),
        Answer(None, said="sudo cannot be run: No such file or directory", began=False),
        Answer(None, said="sudo did not end within 30 s"),
    ],
)
def test_without_a_rule_the_doctor_says_what_sudo_said_and_which_rule_is_lacking(answer: Answer) -> None:
    found = asked(answer)
    assert not found.well
    assert answer.said in found.found
    assert "wnodes ALL=(%GROUP) NOPASSWD:SETENV: PATH/sbatch" in found.mend


@pytest.mark.parametrize(
    ("means", "is_root", "well"),
    [
        (Means.SELF, False, True),
        (Means.SELF, True, False),
        (Means.RUNUSER, True, True),
        (Means.RUNUSER, False, False),
        (Means.SUDO, True, True),
    ],
)
def test_other_means_depend_on_who_the_daemon_is(means: Means, is_root: bool, well: bool) -> None:
    assert asked(Answer(1), means, is_root=is_root).well is well


def test_where_the_batch_system_submits_for_others_its_own_rules_count() -> None:
    itself = Health("submission", False, "for root only", "submit_as: sudo")
    assert asked(Answer(1), Means.UID, itself=itself) is itself
