"""What each mistake says: its code, its position, its message and the mend."""

from __future__ import annotations

import pytest
from wnodes_engine.findings import CODES
from wnodes_engine.language.parser import parse
from wnodes_engine.language.source import Source

# text, code, line:column, message, help (or what it begins with)
MISTAKES = [
    # Characters.
    ('deny "x" when a && b', "E003", "1:17", "`&&` does not belong here", "write `and`"),
    ('deny "x" when a || b', "E003", "1:17", "`||` does not belong here", "write `or`"),
    ('deny "x" when !a', "E003", "1:15", "`!` does not belong here", "write `not`"),
    ('deny "x" when a =< b', "E003", "1:17", "`=<` does not belong here", "write `<=`"),
    ('deny "x" when a ≥ b', "E003", "1:17", "`≥` does not belong here", "write `>=`"),
    ("deny 'x'", "E003", "1:6", "single quotes mean nothing here", 'write `"x"`'),
    ("deny “x”", "E003", "1:6", "`“` does not belong here", 'texts stand in double quotes: `"…"`'),
    ("let a = [1, 2]", "E003", "1:9", "`[` does not belong here", "sets and blocks stand in braces"),
    ("let a = 1;", "E003", "1:10", "`;` does not belong here", "statements need nothing between them"),
    ("share a 50 %", "E003", "1:12", "`%` does not belong here", "write it right behind its number: `50%`"),
    ("share größe 5%", "E003", "1:9", "`ö` does not belong here", "names are ASCII letters"),
    ("let a = image .approved", "E003", "1:15", "`.` does not belong here", "dotted names have no spaces"),
    ("let a =\N{NO-BREAK SPACE}1", "E003", "1:8", "`\N{NO-BREAK SPACE}` does not belong here",
     "this is a no-break"),
    ("let a = 1 @ 2", "E003", "1:11", "`@` does not belong here", "it reads: let NAME = VALUE"),
    ('deny "x', "E012", "1:6", "this quotation does not end on its line", 'close it with `"`'),
    ("deny \"x\nlet a = 1", "E012", "1:6", "this quotation does not end on its line", 'close it with `"`'),
    (r'deny "a\n"', "E003", "1:6", r"`\n` means nothing in a quoted text", r'only `\"` and `\\` are escapes'),
    ('deny "a\tb"', "E003", "1:6", "there is a tab in a quoted text", "write spaces"),
    # Numbers and units.
    ("cap memory 2GB", "E013", "1:12", "`GB` is not a unit", "write `2GiB`; sizes are in powers of 1024"),
    ("cap walltime 7days", "E013", "1:14", "`days` is not a unit", "write `7d`"),
    ("cap walltime 7y", "E013", "1:14", "`y` is not a unit", "units are s m h d w for time"),
    ("cap walltime 1h30m", "E013", "1:14", "`1h30m` is not a number", "a duration has one unit: `90m`"),
    ("cap cores 1_000", "E013", "1:11", "`1_000` is not a number", "write it without `_`: `1000`"),
    ("cap cores 1e3", "E013", "1:11", "`1e3` is not a number", "a number is digits"),
    ("cap walltime 12 h", "E013", "1:17", "`h` stands apart from its number", "write `12h`"),
    ("cap memory 2 GB", "E013", "1:14", "`GB` stands apart from its number", "write `2GiB`"),
    ("cap cores 99999999999999999", "E013", "1:11", "the number has too many digits", "at most"),
    ("cap memory 0.00000001MiB", "E013", "1:12", "`0.00000001MiB` has more decimals than are kept",
     "write fewer"),
    ("cap memory 99999999PiB", "E013", "1:12", "`99999999PiB` is too large", "at most"),
    # Operators.
    ('deny "x" when a = b', "E010", "1:17", "`=` gives a name to a value; it does not compare", "write `==`"),
    ("let a == 1", "E010", "1:7", "`==` compares; it does not give a name", "write `=`"),
    ("quota for each user: cores < 4", "E010", "1:28", "a quota's limits are written with `<=`",
     "write `<=`"),
    ("quota for each user: cores = 4", "E010", "1:28", "a quota's limits are written with `<=`",
     "write `<=`"),
    ("cap walltime <= 7d", "E010", "1:14", "`cap` takes its value without `<=`",
     "write `cap walltime` and then"),
    ("default cores = 1", "E010", "1:15", "`default` takes its value without `=`",
     "write `default cores` and"),
    ("let a = 1 < b < 3", "E010", "1:15", "comparisons do not chain", "write two and join them with `and`"),
    ("let a = not not b", "E010", "1:13", "`not` is written twice", "remove both, or use brackets"),
    ("let a = --b", "E010", "1:10", "`-` is written twice", "remove both, or use brackets"),
    # Conditions.
    ('deny "x" when a when b', "E014", "1:17", "`when` is written twice",
     "join the conditions with `and` or `or`"),
    ('deny "x" unless a unless b', "E014", "1:19", "`unless` is written twice", "join the conditions"),
    ('deny "x" unless a when b', "E010", "1:19", "`when` does not follow `unless`", "put `when …` before"),
    ('deny "x" if a', "E015", "1:10", "`if` is not known here", "did you mean `when`?"),
    ('deny "x" when a is b', "E015", "1:17", "`is` is not known here", "did you mean `==`?"),
    ('deny "x" when a contains b', "E015", "1:17", "`contains` is not known here", "did you mean `in`?"),
    ("assign a.b", "E016", "1:1", "an assignment needs a condition",
     "add `when …`, or `otherwise` to the last"),
    ('nodes "a*" only', "E016", "1:12", "`only` needs a condition", "add `when …`"),
    # Words.
    ("shar a 5%", "E015", "1:1", "`shar` is not known here", "did you mean `share`?"),
    ("asign a otherwise", "E015", "1:1", "`asign` is not known here", "did you mean `assign`?"),
    ("share a 5% borow any", "E015", "1:12", "`borow` is not known here", "did you mean `borrow`?"),
    ("share a 5% gpu", "E015", "1:12", "`gpu` is not known here", "did you mean `gpus`?"),
    ("assign a otherwize", "E015", "1:10", "`otherwize` is not known here", "did you mean `otherwise`?"),
    ("Share a 5%", "E015", "1:1", "`Share` is written in small letters", "write `share`"),
    ('deny "x" WHEN a', "E015", "1:10", "`WHEN` is written in small letters", "write `when`"),
    ('allow "x"', "E015", "1:1", "there is no `allow`", "whatever no `deny` matches is admitted"),
    ("frobnicate", "E015", "1:1", "`frobnicate` does not begin a statement",
     "statements begin with one of assign,"),
    ("place pool spread ovr a", "E015", "1:19", "`ovr` is not known here", "did you mean `over`?"),
    ("place pool spred", "E015", "1:12", "`spred` is not known here", "did you mean `spread`?"),
    ("order a by agee", "E015", "1:12", "`agee` is not known here", "did you mean `age`?"),
    ("order any by fairshare of user halflife 7d", "E015", "1:32", "`halflife` is not known here",
     "did you mean `half"),
    ("preempt a for b taking lowest runtime", "E015", "1:24", "`lowest` is not an end of runtime",
     "did you mean `longest`?"),
    ("preempt a for b taking lowest priorty", "E015", "1:31", "`priorty` is not what victims are ordered by",
     "did yo"),
    # Names.
    ("share default 5%", "E010", "1:7", "`default` is a word of the language and cannot be a name",
     "choose another"),
    ("let any = 5", "E010", "1:5", "`any` is a word of the language and cannot be a name",
     "choose another name"),
    ("share a.b 5%", "E010", "1:7", "a name that is given here has no dots",
     "write `share b` inside the braces of"),
    ("let a.b = 5", "E010", "1:5", "a name that is given here has no dots", "use letters, digits and `_`"),
    ("route job to slurm queue cloud", "E010", "1:26", "expected a text in quotes, found `cloud`",
     "put it in double quotes"),
    # Commas, brackets.
    ("share a 50% 10% gpus", "E010", "1:13", "a `,` is missing before `10%`", "it reads: share NAME AMOUNTS"),
    ('let a = {"x" "y"}', "E010", "1:14", 'a `,` is missing before `"y"`', "it reads: let NAME"),
    ("quota for each user: cores <= 4 gpus <= 1", "E010", "1:33", "a `,` is missing before `gpus`",
     "it reads: quota"),
    ("share a 5% {\n  share b 5%\n", "E011", "1:12", "this `{` is never closed",
     "add `}` at the end of the file"),
    ("share a 5% {\n  share b 5%\nlet c = 1", "E011", "1:12", "this `{` is never closed",
     "add `}` before line 3"),
    ("let a = (b or (c)\nlet d = 1", "E011", "1:9", "this `(` is never closed", "add `)` before line 2"),
    ("let a = {b, (c}", "E011", "1:13", "this `(` is never closed", "add `)` before line 1"),
    ("share a 5% }", "E011", "1:12", "this `}` closes nothing", "remove it"),
    # Statements that are not whole, or not in their place.
    ("let a =", "E016", "1:7", "`let` is not complete: expected a value after `=`",
     "it reads: let NAME = VALUE"),
    ("deny \"x\" when\nlet a = 1", "E016", "1:10",
     "`deny` is not complete: expected a condition after `when`", "it rea"),
    ("priority +10 per 1h", "E016", "1:18", "`priority` is not complete: expected `waited` after `1h`",
     "it reads"),
    ("share", "E016", "1:1", "`share` is not complete: expected a name after `share`",
     "it reads: share NAME"),
    ("during n {\n  route job to a\n}", "E010", "2:3", "`route` cannot stand inside `during`",
     "only shares, quotas,"),
    ("share a 5% {\n  deny \"x\"\n}", "E010", "2:3", "`deny` cannot stand inside `share`",
     "only shares can; move"),
    ("let a = 1\npolicy b", "E034", "2:1", "`policy` opens a file and stands nowhere else",
     "keep one, as the first"),
    # Clauses.
    ("share a 5% borrow any borrow none", "E014", "1:23", "`borrow` is written twice", "keep one of the two"),
    ("reclaim for any by delete by requeue", "E014", "1:27", "`by` is written twice", "keep one of the two"),
    ("preempt a for b even borrowing even borrowing", "E014", "1:32", "`even borrowing` is written twice",
     "keep"),
    ("reclaim for any even borrowing by delete", "E160", "1:17",
     "`even borrowing` does not belong to `reclaim`", "it takes back what others borrow"),
    ('route job to a queue "x" queue "y"', "E014", "1:26", "`queue` is written twice", "keep one of the two"),
    ("reclaim for any by delete, vm", "E016", "1:28", "`vm` follows an action without `for`",
     "write `delete for …, vm`"),
    # Anything else says what was expected, and how the statement reads.
    ("window w at 5", "E010", "1:10", "expected `=`, found `at`", "it reads: window NAME ="),
    ("policy 5", "E010", "1:8", "expected a name, found `5`", 'it reads: policy NAME "title"'),
    ("share a 5% { 7 }", "E010", "1:14", "expected `}` or the next statement, found `7`",
     "it reads: share NAME"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code", "place", "message", "mend"), MISTAKES, ids=[row[0] for row in MISTAKES]
)
def test_a_mistake_says_what_is_wrong_where_and_how_to_mend_it(text, code, place, message, mend):
    result = parse(Source("x.policy", text))
    assert result.policy is None
    (finding,) = result.findings
    assert (finding.code, finding.message) == (code, message)
    assert f"{finding.span.line}:{finding.span.column}" == place
    assert finding.help is not None
    assert finding.help.startswith(mend)


def test_every_mistake_has_a_code_of_the_table():
    assert {row[1] for row in MISTAKES} <= CODES.keys()


def test_a_clause_that_is_written_twice_points_to_the_first():
    (finding,) = parse(Source("x.policy", "reclaim for any\n  by delete\n  by requeue")).findings
    (note,) = finding.notes
    assert (finding.span.line, note.message, note.span.line) == (3, "the first one is here", 2)


def test_a_brace_that_is_never_closed_points_to_what_stands_outside():
    (finding,) = parse(Source("x.policy", "share a 5% {\n  share b 5%\n\nlet c = 1")).findings
    (note,) = finding.notes
    assert (note.span.line, note.span.column) == (4, 1)
