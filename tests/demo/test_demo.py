import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "demo" / "demo.py"


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(DEMO), *words], capture_output=True, text=True, timeout=100)


def test_the_demo_checks_decides_counts_and_stops():
    done = demo("--requests", "200", "--seconds", "3")
    assert done.returncode == 0, done.stderr
    assert "tier1.policy: no findings" in done.stdout
    assert "start  job" in done.stdout
    assert "$ wnodes why" in done.stdout or "nothing waits any more" in done.stdout
    assert "wnodesd has ended, with status 0" in done.stdout
    shares = [
        line.split()[0] for line in done.stdout.splitlines() if line.rstrip().endswith(tuple("0123456789"))
    ]
    assert {"farm", "grid", "lhc", "small", "local", "cloud", "services", "personal"} <= set(shares)


def test_a_broken_log_stops_the_demo_before_it_starts(tmp_path):
    (tmp_path / "log.swf").write_text("1 0 x\n")
    done = demo("--trace", str(tmp_path / "log.swf"))
    assert done.returncode == 1
    assert "log.swf:1:5: error" in done.stderr
    assert "Traceback" not in done.stderr
