"""From a policy's text to what the engine and the oracle read."""

from __future__ import annotations
