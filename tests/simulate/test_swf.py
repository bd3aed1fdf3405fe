import gzip
import re
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wnodes_engine.documents import DocumentError
from wnodes_engine.simulate.swf import LARGEST, LONGEST, WIDEST, SwfJob, SwfLog, swf_lines

JOB = "1 10 5 60 4 -1 -1 8 600 2048 1 7 3 -1 2 9 -1 -1\n"


def log_of(tmp_path: Path, data: bytes | str, name: str = "log.swf") -> SwfLog:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return SwfLog(path)


def finding(log: SwfLog):
    with pytest.raises(DocumentError) as caught:
        list(log)
    (found,) = caught.value.findings
    return found


def test_a_job_is_read_field_by_field(tmp_path):
    assert list(log_of(tmp_path, JOB)) == [
        SwfJob(1, 10, 60, 8, memory=2048, walltime=600, user=7, group=3, queue=2, partition=9)
    ]


def test_what_was_used_stands_in_for_what_was_not_requested(tmp_path):
    (job,) = log_of(tmp_path, "1 0 -1 60 4 -1 512 -1 -1 -1 1 1 1 -1 1 1 -1 -1\n")
    assert (job.processors, job.memory, job.walltime) == (4, 512, -1)


def test_the_header_is_there_when_the_first_job_is(tmp_path):
    log = log_of(
        tmp_path, f"; Computer: SP2\n;UnixStartTime: 1132444805 \n; Note: a: b\n;\n{JOB}; MaxNodes: 3\n"
    )
    next(iter(log))
    assert log.header == {"Computer": "SP2", "UnixStartTime": "1132444805", "Note": "a: b"}
    assert log.start_time == 1132444805


@pytest.mark.parametrize("text", ["", "soon", "99999999999999999999", "-5"])
def test_a_start_time_that_is_none_is_the_epoch(tmp_path, text):
    log = log_of(tmp_path, f"; UnixStartTime: {text}\n{JOB}")
    list(log)
    assert log.start_time == 0


def test_a_gzipped_log_reads_like_a_plain_one(tmp_path):
    text = "".join(swf_lines((SwfJob(n, n, 5, 1) for n in range(1, 20_000)), {"MaxNodes": 3}))
    plain, zipped = log_of(tmp_path, text), log_of(tmp_path, gzip.compress(text.encode()), "log.swf.gz")
    assert list(plain) == list(zipped)
    assert plain.header == zipped.header == {"MaxNodes": "3"}
    assert plain.read == zipped.read == 1.0


@pytest.mark.parametrize(
    "text",
    [
        JOB.replace(" ", "\t"),
        JOB.replace("\n", "\r\n"),
        f"\n\n  {JOB}",
        JOB.rstrip(),
        JOB.replace(" -1 -1 8", " 3.75 -1.0 8"),
        f"; a comment in caf\xe9\n{JOB}".encode("latin-1"),
        f"{JOB}; a comment at the end",
    ],
)
def test_layout_comments_and_fractions_do_not_matter(tmp_path, text):
    assert list(log_of(tmp_path, text)) == list(log_of(tmp_path, JOB, "plain.swf"))


@given(
    st.lists(
        st.builds(
            SwfJob,
            number=st.just(0),
            submitted=st.integers(0, LONGEST),
            runtime=st.integers(-1, LONGEST),
            processors=st.integers(1, WIDEST),
            memory=st.integers(1, LARGEST),
            walltime=st.integers(-1, LONGEST),
            user=st.integers(-1, LARGEST),
            group=st.integers(-1, LARGEST),
            queue=st.integers(-1, LARGEST),
            partition=st.integers(-1, LARGEST),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_what_is_written_reads_back(tmp_path_factory, jobs):
    fields = [{field: getattr(job, field) for field in SwfJob.__struct_fields__} for job in jobs]
    fields.sort(key=lambda one: one["submitted"])
    ordered = [SwfJob(**{**one, "number": n}) for n, one in enumerate(fields, 1)]
    path = tmp_path_factory.mktemp("swf") / "log.swf"
    path.write_text("".join(swf_lines(ordered, {})))
    assert list(SwfLog(path)) == ordered


@pytest.mark.parametrize(
    ("data", "line", "column", "message", "mend"),
    [
        (JOB + "2 11 5\n", 2, 1, "a job has 18 fields, and this line has 3", "Workload Format"),
        (JOB + JOB[:-4] + "\n", 2, 1, "a job has 18 fields, and this line has 17", "-1"),
        (JOB + "2" + JOB[1:-1] + " 4\n", 2, 1, "a job has 18 fields, and this line has 19", "-1"),
        (JOB.replace("60", "1h"), 1, 8, "the run time has to be a number, not '1h'", "-1"),
        (JOB.replace("60", "1-2"), 1, 8, "the run time has to be a number, not '1-2'", "-1"),
        (JOB.replace("60", "1_0"), 1, 8, "the run time has to be a number, not '1_0'", "-1"),
        (JOB.replace("60", "--"), 1, 8, "the run time has to be a number, not '--'", "-1"),
        (JOB.replace("60", "--5"), 1, 8, "the run time has to be a number, not '--5'", "-1"),
        ("", 1, 1, "there is no job in this log", "wnodes-policy workload"),
        ("; MaxJobs: 0\n\n", 1, 1, "there is no job in this log", "wnodes-policy workload"),
        (JOB + "\n" * 1_000_001, 1_000_002, 1, "1,000,000 lines in a row hold no job", "Workload Format"),
        (JOB.replace("60", "９"), 1, 8, r"not '\xef\xbc\x99'", "Workload Format"),
        (JOB.replace("60", "6\0"), 1, 8, r"not '6\x00'", "Workload Format"),
        (b"\x7fELF\x02\x01" + b"\0" * 400, 1, 1, "the job number has to be a number", "Workload Format"),
        ("<html>\n", 1, 1, "the job number has to be a number, not '<html>'", "Workload Format"),
        (JOB.replace("60", "9" * 50), 1, 8, "is too large a number", None),
        (JOB.replace("60", str(LONGEST + 1)), 1, 8, "the run time, 17179869185, is too large", None),
        (JOB.replace("600", str(LONGEST + 1)), 1, 21, "the requested time, 17179869185, is too large", None),
        (JOB.replace(" 8 ", f" {WIDEST + 1} "), 1, 19, "the requested processors, 16777217, is too", None),
        (JOB.replace("2048", str(LARGEST + 1)), 1, 25, "the requested memory, 1099511627777, is too", None),
        (JOB + "2 9" + JOB[4:], 2, 3, "submitted at 9, before the one above it, at 10", "sort -s -n -k 2,2"),
        (JOB.replace("1 10", "1 -1", 1), 1, 3, "the submit time cannot be -1", "starts at 0"),
        (JOB + JOB, 2, 1, "the job numbers have to rise, and 1 does not come after 1", "awk"),
        (JOB + ";" + " " * 70_000 + "\n", 2, 1, "this line is longer than 64 KiB", "Workload Format"),
        (JOB + "2 " * 50_000, 2, 1, "this line is longer than 64 KiB", "Workload Format"),
    ],
)  # fmt: skip
def test_a_broken_line_is_named_with_its_place_and_its_mend(tmp_path, data, line, column, message, mend):
    log = log_of(tmp_path, data)
    found = finding(log)
    assert (found.span.path, found.span.line, found.span.column) == (str(log.path), line, column)
    assert message in found.message
    assert (mend is None and found.help is None) or mend in found.help


def test_a_log_that_is_not_there_is_an_error_in_words(tmp_path):
    assert re.fullmatch(r"cannot read .*: no such file or directory", finding(SwfLog(tmp_path / "x")).message)
    assert re.fullmatch(r"cannot read .*: is a directory", finding(SwfLog(tmp_path)).message)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-100], lambda data: data[:2000] + bytes(50) + data[2050:]]
)
def test_a_broken_compressed_file_is_an_error_after_its_last_whole_line(tmp_path, damage):
    text = "".join(swf_lines((SwfJob(n, n, n * 7919 % 1009, 1) for n in range(1, 20_000)), {}))
    found = finding(log_of(tmp_path, damage(gzip.compress(text.encode())), "log.swf.gz"))
    assert "compressed file" in found.message
    assert "gzip -t" in found.help


def test_a_line_of_a_gigabyte_is_refused_in_little_memory(tmp_path):
    path = tmp_path / "long.swf"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert finding(SwfLog(path)).message == "this line is longer than 64 KiB"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
