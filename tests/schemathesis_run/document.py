"""Print the OpenAPI document, as `schemas/openapi.json` has it."""

from __future__ import annotations

import sys

import msgspec
from wnodes_daemon.api import OPERATIONS
from wnodes_daemon.openapi import document

sys.stdout.write(msgspec.json.format(msgspec.json.encode(document(OPERATIONS)), indent=2).decode() + "\n")
