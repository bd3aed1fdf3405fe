"""Installs the peers, each by itself: one that cannot be had here must not keep the others away.

What could not be installed is told here, and again in the table.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[3] / "pyproject.toml"


def main() -> int:
    """0 in any case."""
    wanted: list[str] = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]["peers"]
    for requirement in wanted:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
        if subprocess.run(pip, check=False).returncode != 0:
            sys.stderr.write(f"{requirement} could not be installed: it will not be measured\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
