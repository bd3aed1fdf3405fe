import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from wnodes_engine.cli import main
from wnodes_engine.validation import problems

TIER1 = Path(__file__).parents[2] / "policies" / "tier1.policy"
MAPPING = Path(__file__).parents[2] / "policies" / "mappings" / "lcg.yaml"
FARM = "nodes:\n  - {name: 'wn[01-10]', cores: 24, memory: 96GiB}\n"


@pytest.fixture
def site(tmp_path, capsys):
    """A folder with a farm and a log of 300 jobs of the model."""
    main(["workload", "--jobs", "300", "--seed", "3", "--widest", "64", "--load", "0.9", "--cores", "240"])
    (tmp_path / "log.swf").write_text(capsys.readouterr().out)
    (tmp_path / "farm.yaml").write_text(FARM)
    return tmp_path


def arguments(site: Path, *more: str) -> list[str]:
    trace, farm = str(site / "log.swf"), str(site / "farm.yaml")
    return ["simulate", str(TIER1), "--trace", trace, "--farm", farm, "--map", str(MAPPING), *more]


def test_the_report_accounts_for_every_job_and_is_valid(site, capsys):
    assert main(arguments(site, "--format", "json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert problems(report, "simulation") == []
    assert report["jobs"].pop("read") == 300 == sum(report["jobs"].values())
    assert {row["path"] for row in report["shares"] if row["jobs"]} >= {"farm", "grid", "local"}


def test_jobs_limits_how_much_of_the_log_is_read(site, capsys):
    assert main(arguments(site, "--format", "json", "--jobs", "7")) == 0
    assert json.loads(capsys.readouterr().out)["jobs"]["read"] == 7


def test_the_text_is_plain_and_there_is_no_bar_where_nobody_looks(site, capsys):
    assert main(arguments(site, "--jobs", "50")) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    assert "50 read" in out


def test_nothing_depends_on_the_order_of_hashes(site):
    reports = []
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-m", "wnodes_engine.cli", *arguments(site, "--format", "json")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=120,
        )
        report = json.loads(done.stdout)
        del report["run"]
        reports.append(report)
    assert reports[0] == reports[1]


@pytest.mark.parametrize(
    ("file", "text", "where", "said"),
    [
        ("log.swf", "1 0 -1 60 1\n", "log.swf:1:1", "a job has 18 fields"),
        ("log.swf", "", "log.swf:1:1", "there is no job in this log"),
        ("log.swf", "\x00\x00\n", "log.swf:1:1", "the job number has to be a number"),
        ("farm.yaml", "nodes: [\n", "farm.yaml:2:1", "not YAML"),
        (
            "farm.yaml",
            "nodes:\n- {name: a, cores: 1, memory: 1TB}",
            "farm.yaml:2:31",
            "not of the right form",
        ),
        ("farm.yaml", None, "farm.yaml:1:1", "no such file or directory"),
        ("log.swf", None, "log.swf:1:1", "no such file or directory"),
    ],
)
def test_bad_input_is_named_with_its_place_on_stderr(site, capsys, file, text, where, said):
    (site / file).unlink()
    if text is not None:
        (site / file).write_text(text)
    assert main(arguments(site)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{site / where}: error" in err
    assert said in err


@pytest.mark.parametrize("words", [["--jobs", "0"], ["--jobs", "-1"], ["--jobs", "9" * 5000], ["--fast"]])
def test_misuse_is_2(site, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments(site, *words))
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--jobs", "x"], ["--load", "0"], ["--load", "nan"], ["--widest", "1e9"], ["--cores", "0"]]
)
def test_misuse_of_workload_is_2(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["workload", *words])
    assert stopped.value.code == 2


def test_a_load_without_a_farm_means_nothing(capsys):
    assert main(["workload", "--load", "0.5"]) == 2
    assert "--load and --cores belong together" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["decisions.jsonl", "decisions.jsonl.gz"])
def test_the_log_of_a_simulation_is_confirmed_and_is_a_trace_of_its_own(site, capsys, name):
    log = str(site / name)
    assert main(arguments(site, "--format", "json", "--log", log)) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["replay", log, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["logs"][0]["kinds"]["submit"] == 300
    assert told["logs"][0]["kinds"]["finish"] == first["jobs"]["finished"] + first["jobs"]["killed"]

    farm = str(site / "farm.yaml")
    assert main(["simulate", str(TIER1), "--trace", log, "--farm", farm, "--format", "json"]) == 0
    again = json.loads(capsys.readouterr().out)
    for report in (first, again):
        for volatile in ("run", "trace", "denials", "jobs"):  # who was denied has no run time in the log
            report.pop(volatile)
    assert again == first


def test_a_decision_log_is_not_mapped(site, capsys):
    log = str(site / "decisions.jsonl")
    assert main(arguments(site, "--log", log)) == 0
    farm = str(site / "farm.yaml")
    assert main(["simulate", str(TIER1), "--trace", log, "--farm", farm, "--map", str(MAPPING)]) == 2
    assert "requests already" in capsys.readouterr().err


def test_a_log_that_cannot_be_written_is_told(site, capsys):
    assert main(arguments(site, "--log", str(site / "nowhere" / "d.jsonl"))) == 1
    assert "cannot write" in capsys.readouterr().err
