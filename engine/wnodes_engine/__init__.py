"""The WNoDeS policy engine: policy text in, decisions out. Imports no plugin and no daemon."""

__version__ = "0.1.0"
