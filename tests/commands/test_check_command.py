"""wnodes-policy check as it is run: what it prints, and with which status it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from wnodes_engine.cli import main

SOUND = "policy t\nshare a 100%\nassign a otherwise\nroute job, vmjob, vm, pool to farm\n"
WARNED = SOUND + 'let unused = {"x"}\n'
BROKEN = SOUND + 'deny "no" when walltime > 7\ndeny "no" when cores > 4GiB\n'


def written(folder: Path, text: str, name: str = "t.policy") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize(
    ("text", "options", "status", "last"),
    [
        (SOUND, [], 0, "t.policy: no findings"),
        (WARNED, [], 0, "t.policy: 1 warning"),
        (WARNED, ["--strict"], 1, "t.policy: 1 warning"),
        (BROKEN, [], 1, "t.policy: 2 errors"),
        (BROKEN + "deny when\n", [], 1, "t.policy: 1 error"),
    ],
)
def test_the_status_says_whether_the_policy_can_be_used(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    options: list[str],
    status: int,
    last: str,
) -> None:
    assert main(["check", written(tmp_path, text), *options]) == status
    assert capsys.readouterr().out.splitlines()[-1].endswith(last)


def test_a_finding_is_shown_in_its_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, BROKEN)
    main(["check", path])
    assert capsys.readouterr().out.startswith(
        f"{path}:5:27: error[E110]: a duration is wanted here, and `7` is a number\n"
        "  |\n"
        '5 | deny "no" when walltime > 7\n'
        "  |                           ^\n"
        "  = help: give it a unit: `7s` or `7d`\n"
    )


def test_findings_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, BROKEN)
    assert main(["check", path, "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["errors"], document["warnings"]) == (2, 0)
    first = document["findings"][0]
    assert (first["code"], first["file"], first["line"], first["column"]) == ("E110", path, 5, 27)


def test_several_policies_are_checked_in_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [written(tmp_path, SOUND, "a.policy"), written(tmp_path, BROKEN, "b.policy")]
    assert main(["check", *paths]) == 1
    assert capsys.readouterr().out.endswith("2 policies: 2 errors\n")


def test_a_missing_policy_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "missing.policy")]) == 1
    assert "error[E001]" in capsys.readouterr().out


def test_a_broken_site_file_is_a_finding_and_no_other_names_are_blamed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = written(tmp_path, SOUND + 'deny "no" when has experiment\n')
    site = written(tmp_path, "name: x\ntimezone: Mars/Base\n", "site.yaml")
    assert main(["check", policy, "--site", site]) == 1
    shown = capsys.readouterr().out
    assert "site.yaml:2:11: error[E193]: unknown time zone 'Mars/Base'" in shown
    assert shown.endswith(": 1 error\n")


@pytest.mark.parametrize("arguments", [[], ["check"], ["chekc", "x"], ["check", "x", "--format", "xml"]])
def test_a_wrong_command_line_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: wnodes-policy" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    path = written(tmp_path, SOUND + 'deny "no" when walltime > 7\n' * 2000)
    process = subprocess.Popen(
        [sys.executable, "-m", "wnodes_engine.cli", "check", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 141


def test_a_terminal_of_another_encoding_is_served(tmp_path: Path) -> None:
    path = written(tmp_path, SOUND + 'deny "Müon" when walltime > 7\n')
    shown = subprocess.run(
        [sys.executable, "-m", "wnodes_engine.cli", "check", path],
        env={"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert shown.returncode == 1
    assert b"M\\xfcon" in shown.stdout


def test_checking_without_a_site_loads_no_reader_of_documents(tmp_path: Path) -> None:
    program = (
        "import sys; from wnodes_engine.cli import main\n"
        f"main(['check', {written(tmp_path, SOUND)!r}])\n"
        "print([name for name in ('yaml', 'jsonschema', 'sqlalchemy', 'httpx') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.endswith("no findings\n[]\n")


FARM = """nodes:
  - {name: "wn[1-4]", cores: 8, memory: 1GiB, properties: [ssd]}
  - {name: wn5, cores: 8, memory: 1GiB, properties: [ssd, ib]}
"""


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ('group g = nodes "wn[1-3]"\ngroup h = nodes "wn[4-9]"\n', "no findings"),
        ('group g = nodes "wn*"\ngroup h = nodes "vm*"\n', "warning[W111]: no node of the site is in `h`"),
        (
            'group g = nodes with "ssd"\ngroup h = nodes with "ib"\n',
            "error[E173]: `g` and `h` overlap: node wn5 is in both",
        ),
        ('group g = nodes "wn1*"\ngroup h = nodes "wn?5", "wn4"\n', "no findings"),
    ],
)
def test_groups_are_looked_at_on_the_nodes_of_the_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], groups: str, said: str
) -> None:
    written(tmp_path, FARM, "farm.yaml")
    site = written(tmp_path, "name: x\ntimezone: UTC\nfarm: farm.yaml\n", "site.yaml")
    policy = written(tmp_path, SOUND + groups + "place pool spread over g, h\n")
    main(["check", policy, "--site", site])
    assert said in capsys.readouterr().out


def test_a_farm_that_cannot_be_read_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = written(tmp_path, "name: x\ntimezone: UTC\nfarm: farm.yaml\n", "site.yaml")
    assert main(["check", written(tmp_path, SOUND), "--site", site]) == 1
    assert "farm.yaml" in capsys.readouterr().out
