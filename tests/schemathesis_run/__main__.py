"""Bring up a daemon, and let schemathesis try its API: `python -m schemathesis_run [EXAMPLES]`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sites.issuing import Issuer
from sites.running import Site

LONGEST = 900.0
"""Seconds for all of it."""


def main(examples: str = "50") -> int:
    """Schemathesis' exit status: 0 if it has found nothing."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        issuer = Issuer(site.folder / "keys.json")
        listen = {"socket": "wnodesd.sock", "port": 0}
        site.write(daemon={"listen": listen, "access": {"issuers": [issuer.config()], "rate": 0}})
        site.start()
        try:
            address = next(line["on"] for line in site.log() if line["event"] == "serving")[-1]
            admin = {"wlcg.groups": ["/cms", "/wnodes/admins"], "exp": int(time.time() + 2 * LONGEST)}
            program = str(Path(sys.executable).with_name("st"))
            config = str(Path(__file__).with_name("schemathesis.toml"))
            argv = [program, "--config-file", config, "run", f"{address}/v1/openapi.json"]
            status = subprocess.run(
                [*argv, "--max-examples", examples],
                env={**os.environ, "WNODES_TOKEN": issuer.token(**admin)},
                timeout=LONGEST,
                check=False,
            ).returncode
            faults = [line for line in site.log() if line["level"] in {"error", "critical"}]
            for line in faults:
                sys.stderr.write(f"the daemon's log: {line}\n")
            return status or int(bool(faults))
        finally:
            site.end()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
