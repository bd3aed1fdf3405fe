"""A cloud that `clouds.yaml` does not name, or that is not there; and who does not need openstacksdk."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from wnodes_engine.backend import Verdict
from wnodes_engine.drivers import EXECUTORS, installed
from wnodes_engine.executor import ExecutorUnavailable, MachineSpec
from wnodes_openstack.executor import OpenStackExecutor


@pytest.fixture
def nobody(tmp_path: Path) -> dict[str, str]:
    """The options of a cloud where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(
        "clouds:\n  here:\n    auth: {username: w, password: secret-word, "
        f"auth_url: 'http://127.0.0.1:{port}/v3',"
        " project_name: w, user_domain_name: Default, project_domain_name: Default}\n    region_name: R\n"
    )
    return {"cloud": "here", "clouds": str(clouds)}


def test_a_cloud_that_is_not_in_clouds_yaml_is_named_with_those_that_are(nobody: dict[str, str]) -> None:
    with pytest.raises(
        ValueError, match=r"executors\.c\.options\.cloud: 'there' cannot be used.*has: .*here"
    ):
        OpenStackExecutor("c", nobody | {"cloud": "there"})


def test_a_cloud_that_does_not_answer_is_an_error_of_queries_and_passing_for_the_rest(
    nobody: dict[str, str],
) -> None:
    async def drive() -> None:
        ours = OpenStackExecutor("c", nobody)
        with pytest.raises(ExecutorUnavailable, match="the cloud here: ") as error:
            await ours.inventory()
        assert "secret-word" not in str(error.value)
        answers = (await ours.prepare(MachineSpec("k", "n", "p", "i")), await ours.set_ballast("h", {}))
        assert [answer.verdict for answer in answers if not hasattr(answer, "spec")] == [Verdict.PASSING] * 2
        [health] = await ours.doctor()
        assert (health.well, "openstack --os-cloud here" in health.mend) == (False, True)
        await ours.close()

    asyncio.run(drive())


def test_stevedore_finds_both_executors() -> None:
    found = installed(EXECUTORS)
    assert {name: driver.error for name, driver in found.items()} == {"openstack": "", "simulated": ""}


def test_checking_a_policy_does_not_need_openstacksdk(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['openstack'] = None; sys.modules['keystoneauth1'] = None\n"
        "from wnodes_engine.cli import main\n"
        f"sys.exit(main(['check', {str(tmp_path / 'p.policy')!r}]))"
    )
    (tmp_path / "p.policy").write_text(
        'policy p "p"\nshare local 100%\nassign local otherwise\nroute job, vmjob, vm, pool to farm\n'
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
