"""Cinder's fake driver, which in this lab fetches no image either: there is nothing to write it to."""

# mypy: ignore-errors
from __future__ import annotations

from cinder.tests.fake_driver import FakeLoggingVolumeDriver


class LabVolumes(FakeLoggingVolumeDriver):
    """Volumes that exist in Cinder alone."""

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        return {}, True
