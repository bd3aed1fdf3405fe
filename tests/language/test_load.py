"""Policies of several files: includes in place, once each, without circles, below the main file's folder."""

from __future__ import annotations

import os

import pytest
from wnodes_engine.language import load as loading
from wnodes_engine.language.load import load, load_text


@pytest.fixture
def folder(tmp_path):
    """Writes files, and gives their folder, which lies in another one."""

    def write(**files):
        root = tmp_path / "policies"
        for name, text in files.items():
            path = root / name.replace("__", "/")
            path = path.with_name(f"{path.name}.policy")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return root

    return write


def test_what_is_included_stands_where_the_include_stood(folder):
    root = folder(
        main='policy m\nlet a = 1\ninclude "sub/one.policy"\nlet d = 4',
        sub__one='let b = 2\ninclude "two.policy"',
        sub__two="let c = 3",
    )
    program = load(root / "main.policy")
    assert [statement.name for statement in program.policy.statements] == ["a", "b", "c", "d"]
    assert [source.path for source in program.sources] == [
        str(root / name) for name in ("main.policy", "sub/one.policy", "sub/two.policy")
    ]


def test_spans_of_included_statements_lie_in_their_own_file(folder):
    root = folder(main='policy m\ninclude "one.policy"', one="# first\nlet b = 2")
    (let,) = load(root / "main.policy").policy.statements
    assert (let.span.path, let.span.line) == (str(root / "one.policy"), 2)


def test_paths_are_shown_as_the_user_named_them(folder, monkeypatch):
    root = folder(main='policy m\ninclude "sub/../sub/one.policy"', sub__one="let b = = 2")
    monkeypatch.chdir(root.parent)
    (finding,) = load("policies/main.policy").findings
    assert finding.span.path == "policies/sub/one.policy"


def test_the_main_text_need_not_be_on_disk(folder):
    root = folder(one="let b = 2")
    program = load_text('policy m\ninclude "one.policy"', root / "unsaved.policy")
    assert [statement.name for statement in program.policy.statements] == ["b"]
    assert list(program.texts) == [str(root / "unsaved.policy"), str(root / "one.policy")]


def test_an_error_in_an_included_file_says_where_it_was_included(folder):
    root = folder(main='policy m\n\ninclude "one.policy"', one="let b = 2GB")
    (finding,) = load(root / "main.policy").findings
    (note,) = finding.notes
    assert (finding.code, finding.span.line) == ("E013", 1)
    assert (note.message, note.span.path, note.span.line) == ("included here", str(root / "main.policy"), 3)


def test_errors_of_all_files_are_reported_in_one_run(folder):
    root = folder(
        main='policy m\ninclude "one.policy"\ninclude "two.policy"\nshare a 5GB', one="let = 1", two="let = 2"
    )
    program = load(root / "main.policy")
    assert program.policy is None
    assert [finding.code for finding in program.findings] == ["E013"]  # a file with errors is not followed
    root = folder(main='policy m\ninclude "one.policy"\ninclude "two.policy"\ninclude "none.policy"')
    assert [finding.code for finding in load(root / "main.policy").findings] == ["E010", "E010", "E030"]


@pytest.mark.parametrize(
    ("files", "code", "line", "message"),
    [
        ({"main": 'policy m\ninclude "main.policy"'}, "E031", 2, "`main.policy` includes itself"),
        (
            {
                "main": 'policy m\ninclude "a.policy"',
                "a": 'let a = 1\ninclude "b.policy"',
                "b": '\n\ninclude "a.policy"',
            },
            "E031",
            3,
            "`a.policy` includes itself, by this or by way of others",
        ),
        (
            {"main": 'policy m\ninclude "a.policy"\ninclude "./a.policy"', "a": ""},
            "E035",
            3,
            "`./a.policy` is included twice",
        ),
        ({"main": 'policy m\ninclude "../a.policy"'}, "E032", 2, "`../a.policy` lies outside"),
        (
            {"sub__a": 'include "../../x"', "main": 'policy m\ninclude "sub/a.policy"'},
            "E032",
            1,
            "`../../x` lies",
        ),
        ({"main": 'policy m\ninclude "/etc/passwd"'}, "E032", 2, "`/etc/passwd` lies outside"),
        ({"main": 'policy m\ninclude ""'}, "E032", 2, "`` lies outside"),
        (
            {"main": 'policy m\ninclude "none.policy"'},
            "E030",
            2,
            "`none.policy` cannot be read: no such file",
        ),
        ({"main": 'policy m\ninclude "."', "a": ""}, "E030", 2, "`.` cannot be read: "),
        ({"main": f'policy m\ninclude "{"x" * 300}"'}, "E030", 2, "cannot be read: file name too long"),
        (
            {"main": 'policy m\ninclude "a.policy"', "a": "\npolicy b"},
            "E034",
            2,
            "an included file has no `policy`",
        ),
        ({"main": "let a = 1"}, "E034", 1, "the policy has no name"),
        (
            {"main": 'policy m\ninclude "a.policy"', "a": b'# \xc3\xa9\ndeny "\xff"'},
            "E001",
            2,
            "the byte 0xFF is not",
        ),
    ],
)
def test_an_include_that_cannot_be_is_a_finding(folder, files, code, line, message, monkeypatch):
    root = folder(**files)
    monkeypatch.chdir(root)
    program = load("main.policy")
    assert program.policy is None
    (finding,) = program.findings
    assert (finding.code, finding.span.line) == (code, line)
    assert message in finding.message
    assert finding.span.path in program.texts


def test_symbolic_links_do_not_lead_out_of_the_folder(folder):
    root = folder(main='policy m\ninclude "link.policy"')
    (root.parent / "secret.policy").write_text("let a = 1")
    (root / "link.policy").symlink_to(root.parent / "secret.policy")
    (finding,) = load(root / "main.policy").findings
    assert finding.code == "E032"


def test_two_names_of_one_file_are_one_file(folder):
    root = folder(main='policy m\ninclude "a.policy"\ninclude "link.policy"', a="let a = 1")
    (root / "link.policy").symlink_to("a.policy")
    (finding,) = load(root / "main.policy").findings
    assert (finding.code, finding.span.line) == ("E035", 3)


def test_a_link_to_a_policy_includes_what_is_beside_the_policy(folder):
    root = folder(real__main='policy m\ninclude "a.policy"', real__a="let a = 1")
    (root / "current.policy").symlink_to("real/main.policy")
    program = load(root / "current.policy")
    assert program.findings == ()
    assert list(program.texts) == [str(root / "current.policy"), str(root / "real" / "a.policy")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_not_waited_for(folder):
    root = folder(main='policy m\ninclude "pipe"')
    os.mkfifo(root / "pipe")
    (finding,) = load(root / "main.policy").findings
    assert finding.message.endswith("it is not a regular file")


def test_the_number_of_files_is_bounded(folder):
    chain = {f"f{n}": f'include "f{n + 1}.policy"' for n in range(loading.MOST_FILES + 5)}
    root = folder(main='policy m\ninclude "f0.policy"', **chain)
    program = load(root / "main.policy")
    assert [finding.code for finding in program.findings] == ["E033"]
    assert len(program.sources) == loading.MOST_FILES


def test_the_size_of_all_files_together_is_bounded(folder, monkeypatch):
    monkeypatch.setattr(loading, "MOST_BYTES", 100)
    root = folder(main='policy m\ninclude "a.policy"\ninclude "b.policy"', a="#" * 200, b="")
    assert [(finding.code, finding.span.line) for finding in load(root / "main.policy").findings] == [
        ("E033", 3)
    ]


@pytest.mark.parametrize(
    ("raw", "code", "place", "message"),
    [
        (b"policy m\nlet a = \xe9", "E001", (2, 9), "the byte 0xE9 is not UTF-8"),
        (b"policy m # \xc3\xa9\xc3", "E001", (1, 13), "the byte 0xC3 is not UTF-8"),
        (b"\xff\xfep\x00", "E001", (1, 1), "the byte 0xFF is not UTF-8"),
        (b"#" * (4 * 1024 * 1024 + 1), "E002", (1, 1), "is larger than 4 MiB"),
    ],
)
def test_a_file_that_is_not_a_text_is_a_finding(folder, raw, code, place, message):
    (finding,) = load(folder(main=raw) / "main.policy").findings
    assert (finding.code, (finding.span.line, finding.span.column)) == (code, place)
    assert message in finding.message


def test_a_byte_order_mark_is_no_part_of_the_text(folder):
    program = load(folder(main=b"\xef\xbb\xbfpolicy m") / "main.policy")
    assert (program.policy.name, program.policy.span.column) == ("m", 1)


@pytest.mark.parametrize("name", ["none.policy", ".", "none/none.policy", "a\0b"])
def test_a_main_file_that_cannot_be_read_is_a_finding(tmp_path, name):
    program = load(tmp_path / name)
    assert (program.policy, [finding.code for finding in program.findings]) == (None, ["E001"])
