"""The driver before LSF's commands, in each of the forms that they come in."""

from __future__ import annotations

from pathlib import Path

import pytest
from backends.lsf.driving import DIALECTS, Clock, Lab


@pytest.fixture(params=DIALECTS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    return Lab(tmp_path, request.param, Clock())


@pytest.fixture
def recorded_lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, "volclava", Clock())
