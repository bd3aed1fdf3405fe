"""The commands that need no daemon: which drivers there are, and what their doctors say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stevedore import ExtensionManager
from wnodes_daemon.people import main
from wnodes_engine.drivers import DriverError, load_backends
from wnodes_engine.site import load_site

DRIVERS = """[wnodes.backends]
broken = broken_driver:Driver
strange = json:JSONDecoder
absent = nosuchmodule:Driver
"""


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers of others are installed: one with a fault, one that is none, one that is gone."""
    folder = tmp_path / "others"
    (folder / "others-1.dist-info").mkdir(parents=True)
    (folder / "others-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: others\nVersion: 1\n"
    )
    (folder / "others-1.dist-info" / "entry_points.txt").write_text(DRIVERS)
    (folder / "broken_driver.py").write_text("raise RuntimeError('libbatch.so is of another version')\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})  # what is installed was looked up before


def site(folder: Path, driver: str, **options: object) -> str:
    (folder / "farm.yaml").write_text("nodes:\n  - {name: 'n[1-3]', cores: 8, memory: 8GiB}\n")
    backend = {"driver": driver, "options": options}
    (folder / "site.yaml").write_text(
        json.dumps({"name": "x", "timezone": "UTC", "farm": "farm.yaml", "backends": {"farm": backend}})
    )
    return str(folder / "site.yaml")


@pytest.mark.usefixtures("others")
def test_drivers_are_listed_and_why_one_cannot_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backends"]) == 1
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "wnodes_simulated.backend:SimulatedBackend" in lines["simulated"]
    assert lines["simulated"].endswith("can be used")
    assert lines["broken"].endswith("RuntimeError: libbatch.so is of another version")
    assert "No module named 'nosuchmodule'" in lines["absent"]
    assert lines["strange"].endswith("it is not a subclass of wnodes_engine.backend.BatchBackend")


@pytest.mark.usefixtures("others")
def test_a_broken_driver_stands_in_nobodys_way_but_its_own(tmp_path: Path) -> None:
    assert set(load_backends(load_site(site(tmp_path, "simulated")))) == {"farm"}
    with pytest.raises(DriverError, match=r"backends\.farm\.driver: the driver broken .* another version"):
        load_backends(load_site(site(tmp_path, "broken")))


def test_a_driver_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match=r"no driver 'pbs' is installed; installed here: .*simulated"):
        load_backends(load_site(site(tmp_path, "pbs")))


def test_the_doctor_says_what_is_ill_and_how_to_mend_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--config", site(tmp_path, "simulated")]) == 1
    out = capsys.readouterr().out
    assert "well  farm: farm: 3 simulated nodes" in out
    assert "mend: set backends.farm.options.record to a file" in out
    assert main(["doctor", "--json", "--config", site(tmp_path, "simulated", record="./record")]) == 0
    assert [each["well"] for each in json.loads(capsys.readouterr().out)] == [True, True]


def test_a_site_that_cannot_be_read_is_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site.yaml").write_text("name: [")
    assert main(["doctor", "--config", str(tmp_path / "site.yaml")]) != 0
    assert main(["doctor", "--config", site(tmp_path, "pbs")]) == 1
    assert "no driver 'pbs'" in capsys.readouterr().err
