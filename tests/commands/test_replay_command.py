"""wnodes-policy replay as it is run: what it prints, and with which status it exits."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from decision_log.logs import NODES, logged, sealed, some_log
from jsonschema import Draft202012Validator
from strategies import streams
from strategies.fixed import POLICY
from wnodes_engine import __version__
from wnodes_engine.cli import main
from wnodes_engine.values import Request

SCHEMA = Path(__file__).parents[2] / "schemas" / "replay.json"
KINDS = [json.loads(line)["do"] for line in some_log().splitlines()]
RECORDS = len(KINDS) - sum(KINDS.count(kind) for kind in ("head", "policy", "state", "part", "end"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(some_log())
    return path


def test_a_sound_log_is_confirmed(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(log)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{RECORDS:,} records confirmed: the same decisions, the same states\n"
    assert err == ""


def test_a_compressed_log_is_known_by_what_is_in_it(log: Path) -> None:
    log.write_bytes(gzip.compress(some_log()))
    assert main(["replay", str(log)]) == 0


def test_the_first_record_that_differs_is_shown_field_by_field(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = some_log().splitlines()
    at = next(n for n, line in enumerate(lines) if b'"outcome":"deny"' in line)
    lines[at] = lines[at].replace(b'"limit":30', b'"limit":31')
    log.write_bytes(b"\n".join(lines))
    assert main(["replay", str(log)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        rf"{re.escape(str(log))}:{at + 1}: submit of wide at 2023-11-14 23:13:20 UTC differs: "
        "this line was altered after it was written",
        out[0],
    )
    assert out[1:4] == [
        "  answer.reasons[1].limit",
        "    the log says    31",
        "    comes out now   30",
    ]
    assert out[-1] == "1 record before it confirmed"


def test_json_says_the_same_to_programs(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert main(["replay", str(log), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(validator.iter_errors(told)) == []
    assert (told["confirmed"], told["records"], told["difference"]) == (True, RECORDS, None)
    assert told["logs"][0]["end"] == "end"

    log.write_bytes(some_log().replace(b'"do":"cancel","policy":1', b'"do":"cancel","policy":2', 1))
    assert main(["replay", str(log), "--format", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert list(validator.iter_errors(told)) == []
    assert told["difference"]["do"] == "cancel"
    assert {"field": "policy", "log": 2, "now": 1} in told["difference"]["fields"]


def test_limit_confirms_no_more_than_that(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(log), "--limit", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("3 records confirmed")
    assert err == ""


@pytest.mark.parametrize(
    ("more", "said"),
    [(b"", "has no end: it is still written to"), (b'{"do":"fi', "breaks off behind line 1,1")],
)
def test_what_breaks_off_is_confirmed_and_told(
    log: Path, capsys: pytest.CaptureFixture[str], more: bytes, said: str
) -> None:
    data = some_log()
    log.write_bytes(data[: data.rindex(b'{"do":"end"')] + more)
    assert main(["replay", str(log)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{RECORDS:,} records confirmed")
    assert said in err


def test_a_log_of_another_version_is_tried_all_the_same(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = some_log().splitlines()
    lines[0] = lines[0].replace(f'"engine":"{__version__}"'.encode(), b'"engine":"0.0.1"')
    log.write_bytes(sealed(lines))
    assert main(["replay", str(log)]) == 0
    out, err = capsys.readouterr()
    assert "confirmed" in out
    assert f"was written by version 0.0.1; this is version {__version__}" in err


def test_logs_that_carry_on_each_other_are_confirmed_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = Request("?", "job", "local", "ann", "cms", streams.BEGIN, cores=2)
    stream: list[streams.Event] = [streams.Submit(request), streams.Schedule()] * 20
    files = logged(POLICY, NODES, stream, most=10).files
    names = [str(tmp_path / f"{at}.jsonl") for at in range(len(files))]
    for name, data in zip(names, files, strict=True):
        Path(name).write_bytes(data)
    assert len(names) > 3
    assert main(["replay", *names]) == 0
    assert capsys.readouterr().out == "40 records confirmed: the same decisions, the same states\n"
    assert main(["replay", names[0], names[2]]) == 1
    assert "this log does not carry on the one before it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "no such file or directory"),
        (b"", "this log is empty"),
        (b"; UnixStartTime: 0\n1 0 -1 1\n", "this is not JSON"),
        (b'{"do":"end"}\n', "a decision log begins with its head"),
        (
            b'{"do":"head","format":9,"engine":"9.9"}\n',
            "this log is of format 9, and only format 1 can be read",
        ),
        (b'{"do":"head","format":1,"engine":"9","more":1}\n', "this is no record"),
    ],
)
def test_what_is_no_log_is_named_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes | None, said: str
) -> None:
    path = tmp_path / "x.jsonl"
    if data is not None:
        path.write_bytes(data)
    assert main(["replay", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{path}:1:1: error[E196]" in err
    assert said in err


@pytest.mark.parametrize("words", [[], ["x", "--limit", "0"], ["x", "--limit", "9" * 5000], ["x", "--fast"]])
def test_misuse_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["replay", *words])
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
