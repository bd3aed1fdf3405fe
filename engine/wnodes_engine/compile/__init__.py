"""From a checked policy to one specialised Python module."""

from wnodes_engine.compile.policy import compile_policy

__all__ = ["compile_policy"]
