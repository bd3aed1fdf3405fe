"""The one canonical layout of a policy: other blanks and line ends, the same words, every comment kept."""

from wnodes_engine.format.policy import ChangedMeaningError, Formatted, formatted

__all__ = ["ChangedMeaningError", "Formatted", "formatted"]
