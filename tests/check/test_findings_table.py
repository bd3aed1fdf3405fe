"""What the checker says about each mistake: the code, the exact words underlined, and the mend.

In the policies, «…» marks what has to be underlined.
"""

import pytest
from wnodes_engine.check.policy import check_policy
from wnodes_engine.findings import CODES, Finding
from wnodes_engine.language.load import load_text

HEAD = 'policy t "a test"\nshare a 60% { share x 50%  share y 50% }\nshare b 40%\n'
ASSIGN = "assign a.x when origin == grid\nassign a.y when kind == vm\nassign b otherwise\n"
ROUTE = "route job, vmjob, vm, pool to farm\n"


def findings_of(text: str) -> list[Finding]:
    program = load_text(text, "t.policy")
    assert program.policy is not None, program.findings
    return check_policy(program)[1]


def whole(fragment: str) -> str:
    """The fragment with what it leaves out of a complete policy."""
    text = fragment if fragment.startswith("policy") else HEAD + fragment
    text += "\n" + ("" if "assign" in fragment else ASSIGN)
    return text + ("" if "route" in fragment else ROUTE)


AT_SITE = {"W111", "W114", "W115"}
"""What only the nodes of a site can show: see the tests of the command."""

MISTAKES = [
    # Names.
    ("E101", 'deny "no" when «corse» > 4', "did you mean `cores`?"),
    ("E101", 'deny "no" when origin == «gird»', "did you mean `grid`?"),
    ("E101", 'deny "no" when kind == «container»', "`job`, `vmjob`, `vm` and `pool`"),
    ("E101", 'deny "no" when group == «cms»', '`"cms"`'),
    ("E101", 'deny "no" when group in «lhc»', "let lhc"),
    ("E101", 'deny "no" when kind == vm and «image.aproved»', "did you mean `image.approved`?"),
    ("E101", 'deny "no" when group in {"a", «cms»}', '`"cms"`'),
    ("E101", 'deny "no" when has «color»', "`has` tests"),
    ("E101", "default «wall» 7d", "did you mean `walltime`?"),
    ("E101", "place «jbo» pack", "did you mean `job`?"),
    ("E101", 'quota for group «cms»: cores <= 4', '`group "cms"`'),
    ("E102", "assign «a.xx» when origin == grid\nassign b otherwise", "did you mean `a.x`?"),
    ("E102", "assign «x» when origin == grid\nassign b otherwise", "write its whole path: `a.x`"),
    ("E102", 'deny "no" when in «c»', "the shares are"),
    ("E102", "quota for share «bb»: cores <= 4", "did you mean `b`?"),
    ("E102", "reclaim for «c» by requeue for job", "the shares are"),
    ("E103", "share «b» 0%", "another name"),
    ("E103", 'let s = {"a"}\nlet «s» = {"b"}\ndeny "no" when group in s', "another name"),
    ("E103", "order a by age\n«order a by priority»", "keep one"),
    ("E103", "order a by age, «age»", "keep one"),
    ("E103", "quota for each user: cores <= 4, «cores <= 5»", "keep one"),
    ("E103", "share c 0%, «0% cores»", "keep one"),
    ("E103", "reclaim for any by requeue for job, delete for «job»", "keep one"),
    ("E103", "reclaim for any at most 2 per hour, «3 per hour» by requeue for job", "keep one"),
    ("E104", 'default «user» "root"', "can be given to"),
    ("E105", "during «nigth» { share b 30% }", 'window nigth = "'),
    ("E106", "nodes «gpunodes» only when gpus > 0", "in quotes"),
    ("E107", 'let «cores» = 7', "another name"),
    ("E107", 'deny «""» when cores > 4', "why"),
    # Types.
    ("E110", 'deny "no" when cores > «"4"»', None),
    ("E110", 'deny "no" when walltime > «7»', "`7s` or `7d`"),
    ("E110", 'deny "no" when memory > «4»', "`4MiB` or `4GiB`"),
    ("E110", 'deny "no" when cores > «4GiB»', "`4`"),
    ("E110", 'deny "no" when kind == «"vm"»', "`vm`, without quotes"),
    ("E110", 'deny "no" when kind in {«"vm"»}', "`vm`, without quotes"),
    ("E110", 'deny "no" when «"a" < "b"»', "`==` or `!=`"),
    ("E110", 'deny "no" when «cores»', "compares something"),
    ("E110", 'deny "no" when «a»', "`in a`"),
    ("E110", 'deny "no" when «roles == "ops"»', "`\"…\" in roles`"),
    ("E110", 'let s = {"a"}\ndeny "no" when group == «s»', "with `in`"),
    ("E110", 'deny "no" when «walltime + cores» > 1h', "same unit"),
    ("E110", 'deny "no" when «walltime * walltime» > 1h', "plain number"),
    ("E110", 'deny "no" when «"x"» * 2 > 4', None),
    ("E110", 'deny "no" when «unlimited» + 1h < walltime', "compared"),
    ("E110", 'quota for each user: memory <= «4»', "`4MiB` or `4GiB`"),
    ("E111", "priority +10 per «5» waited", "`5s` or `5d`"),
    ("E111", "priority «7d»", "`7`"),
    ("E111", "share c «10»", "`10%` or `10 cores`"),
    ("E111", "share c «20TiB»", "`20TiB memory`"),
    ("E111", "share c «20TiB» cores", "4000 cores"),
    ("E111", "order a by fairshare of group half-life «7»", "`7s` or `7d`"),
    ("E111", "quota for each user: cores <= «10%»", "`10`"),
    ("E111", "reclaim for any by requeue for job after «5»", "`5s` or `5d`"),
    ("E112", 'deny "no" when cores > «1.5»', "without a fraction"),
    ("E112", "share c weight «0.5»", "weight 3"),
    ("E112", "default cores «0»", None),
    ("E112", "quota for each user: cores <= «1 - 2»", None),
    ("E112", "reclaim for any at most «0» per hour by requeue for job", None),
    ("E112", "quota for each user: core_hours <= 5 per «10s»", "longer"),
    ("E113", "assign a.x when «in b»\nassign b otherwise", "`assign` that decides"),
    ("E113", "default walltime 1h when «share» == b", "`assign` that decides"),
    ("E113", "priority 5 when «waited» > 1h", "priority +10 per 1h waited"),
    ("E113", "assign a.x when «user.cores» > 5\nassign b otherwise", "`deny`"),
    ("E114", 'deny "no" when «image.approved»', "has image"),
    ("E114", 'deny "no" when «project» == "x"', "has project"),
    ("E114", 'deny "no" when kind == vm or «image.approved»', "has image"),
    ("E114", 'deny "no" when kind in {vm, job} unless «image.approved»', "has image"),
    ("E114", 'deny "no" when «has cores»', "leave"),
    ("E114", 'route job to farm queue «"{queue}"»\nroute vm, pool, vmjob to farm', "default queue"),
    ("E115", "default cores «count»", "number"),
    ("E115", "let big = «cores»", "number"),
    ("E116", 'deny "no" when cores / «count» > 4', "other side"),
    ("E116", 'deny "no" when cores / «0» > 4', None),
    # Shares.
    ("E120", "share «c»", "50%"),
    ("E120", "policy «t»\nassign a otherwise\nroute job, vm, pool, vmjob to farm", "share everything"),
    ("E121", "share c «10%»", "take 10% away"),
    ("E121", "share c «110%»", "at most"),
    ("E121", "share c «0%, 20% gpus»", None),
    ("E121", "share c 0% { share d 60%  share e «60%» }", "take 20% away"),
    ("E121", "policy t\nshare a 10 cores { share b «11 cores» }\nassign a.b otherwise", "take 1 cores away"),
    ("E121", 'window w = "Sat"\nduring w { share b «50%» }', "take 10% away"),
    ("E122", "share c 0% lend «101%»", "lend any"),
    ("E122", "share c 0% borrow «weight 2»", "borrow 10%"),
    ("E123", "assign «a» when origin == grid\nassign b otherwise", "`a.x` and `a.y`"),
    ("E124", 'window w = "Sat"\nduring w { share b 10%  share «b» 20% }', "keep one"),
    # Holes.
    ("E130", "«assign a.x when origin == grid»", "otherwise"),
    ("E131", "«route job, vm, pool to farm»", "route vmjob to BACKEND"),
    ("E131", 'route vm, pool, vmjob to farm\n«route job to farm when group == "cms"»', "every other job"),
    # Quotas, orders, preemption.
    ("E140", "quota for «each usr»: cores <= 4", "did you mean `user`?"),
    ("E140", 'quota for share «"a"»: cores <= 4', "without quotes"),
    ("E140", 'let s = {"a"}\nquota for group «s»: cores <= 4', "for each group when group in s"),
    ("E141", "quota for each user: «core <= 4»", "did you mean `cores`?"),
    ("E141", "quota for each user: «core_hours <= 4»", "per 30d"),
    ("E141", "quota for each user: cores <= 4 per «30d»", "leave"),
    ("E141", "quota for each user: «waiting <= 4» else wait", "else deny"),
    ("E141", 'quota for nodes "gpu*": «waiting <= 4»', "it can limit `cores`"),
    ("E150", "order a by «fairshare of usr»", "did you mean `user`?"),
    ("E151", "priority «10» per 1h waited", "priority +10 per 1h waited"),
    ("E151", "priority -«10» per 1h waited", "priority +10 per 1h waited"),
    ("E160", "«reclaim for any when waited > 5m»", "by requeue for job"),
    ("E160", "reclaim for any by shelve for «job»", "`requeue`"),
    ("E160", "reclaim for any at most «5 per day» by requeue for job", "per hour"),
    ("E161", "preempt a for «a.x» by requeue for job", "preempt self in a"),
    ("E161", "«preempt self in a by requeue for job»", "victim.priority"),
    # Time and nodes.
    ("E170", 'window w = «"Mon-Fri 8-20"»\nduring w { share b 10% }', "Mon-Fri 20:00-08:00"),
    ("E170", 'window w = «"Mox"»\nduring w { share b 10% }', "Mon Tue"),
    ("E170", 'window w = «"25:00-26:00"»\nduring w { share b 10% }', "24:00"),
    ("E170", 'downtime «"tomorrow"» to "2026-12-04 18:00" on nodes all', "2026-12-03 06:00"),
    ("E170", 'downtime "2026-12-04 18:00" to «"2026-12-04 17:00"» on nodes all', "exchange"),
    ("E170", 'downtime «"2026-02-30 18:00"» to "2026-12-04 17:00" on nodes all', "2026-12-03 06:00"),
    ("E171", 'window v = "Sat"\nwindow w = "Sat"\nduring v { share b 9% }\nduring w { share «b» 5% }', "end"),
    ("E172", "\n".join(f'window {"«w»" if n == 200 else f"w{n}"} = "Sat"' for n in range(201)), "many times"),
    ("E175", 'group g = nodes "g*" with "ssd"\nnodes «g», "h*" only when gpus > 0', "one statement for each"),
    ("E180", 'route job, vm, pool, vmjob to farm queue «"{shore}"»', "did you mean `share`?"),
    ("E180", 'route job, vm, pool, vmjob to farm queue «"{share"»', "{share}"),
    # Groups of nodes.
    (
        "E173",
        'group g = nodes "a*"\ngroup h = nodes "*b"\nplace job spread over g, «h»',
        "let each node be in one",
    ),
    ("E173", 'group g = nodes "a*"\nplace job pack in one of g, «g»', "let each node be in one"),
    ("E173", 'group g = nodes "r[1-4]*"\ngroup h = nodes "r?" with "ib"\nplace job pack over g, «h»', None),
    ("E106", "place pool spread over «racks»", "in quotes"),
    # Warnings.
    ("W101", 'assign a.x when has name and «name» == "x"\nassign b otherwise', "vouches"),
    ("W101", 'deny "no" when cores > 4 unless "vip" in «tags»', "vouches"),
    ("W101", 'priority +5 when "vip" in «tags»', "vouches"),
    ("W102", '«deny "no" when kind == job and kind == vm»', "remove"),
    ("W102", '«deny "no" when cores < 1»', "remove"),
    ("W103", '«deny "no" when cores > 4 or cores < 8»', "leave the condition out"),
    ("W103", '«deny "no"»', "add `when …`"),
    ("W109", "«default walltime 8d when origin == grid»\ncap walltime 7d", "lower the default"),
    ("W104", "assign b otherwise\n«assign a.x when origin == grid»", "move it up"),
    ("W104", "assign b when origin != local\n«assign a.x when origin == grid»\nassign a.y otherwise", "up"),
    ("W104", "default cores 2\n«default cores 4 when gpus > 0»", "move it up"),
    ("W104", 'window w = "Sat"\ndefault cores 2\nduring w { «default cores 4» }', "move it up"),
    ("W104", "priority 5\n«priority 7 when gpus > 0»", "move it up"),
    ("W104", "place job, pool pack\n«place job spread when cores > 8»", "move it up"),
    ("W105", 'let «s» = {"a"}', "remove"),
    ("W105", 'window «w» = "Sat"', "remove"),
    ("W105", 'group «g» = nodes "g*"', "remove"),
    ("W106", "assign b otherwise\n", "assign a.x when"),
    ("W106", "share c «weight 2»", "weights divide"),
    ("W107", "preempt a for b by requeue for job\n«preempt b for a by requeue for job»", "more urgent"),
    ("W108", "quota for each user: cores <= 5\nquota for each user: «cores <= 8»", "keep one"),
    ("W108", "quota for «share b» in a: cores <= 8", "leave"),
    ("W112", 'deny "no" when gpus > 0\n«deny "never" when gpus > 2 and kind == job»', "remove it"),
    ("W112", "cap cores 64\n«cap cores 128 unless in b»", "remove it"),
    ("W112", 'deny "a" when cores < 9\ndeny "b" when cores > 8 and gpus > 0\n«deny "c" when gpus > 1»', None),
    ("W113", "quota for each user when cores >= 8: «cores <= 4»", "raise the limit"),
    ("W113", "quota for each user: «running <= 0»", "raise the limit"),
    ("W110", 'deny "no" when group in {"a", «"a"»}', "leave one out"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "fragment", "mend"), MISTAKES)
def test_a_mistake_is_named_underlined_and_mended(code: str, fragment: str, mend: str | None) -> None:
    marked = whole(fragment)
    if code == "W106" and "«" not in marked:
        marked = marked.replace("share x", "share «x»")
    start, stop = marked.index("«"), marked.index("»") - 1
    text = marked.replace("«", "").replace("»", "")
    found = findings_of(text)
    matching = [finding for finding in found if finding.code == code]
    assert matching, found
    finding = next((finding for finding in matching if finding.span.start == start), matching[0])
    assert text[finding.span.start : finding.span.end] == text[start:stop]
    assert (finding.span.line, finding.span.column) == (
        text.count("\n", 0, start) + 1,
        start - text.rfind("\n", 0, start),
    )
    assert finding.help
    assert mend is None or mend in finding.help


@pytest.mark.parametrize(("code", "fragment", "mend"), MISTAKES)
def test_one_mistake_is_told_once(code: str, fragment: str, mend: str | None) -> None:
    found = findings_of(whole(fragment).replace("«", "").replace("»", ""))
    if code.startswith("E"):
        assert [finding.code for finding in found if finding.code.startswith("E")] == [code]
    else:
        assert not [finding for finding in found if finding.code.startswith("E")]


def test_every_code_of_the_checker_is_in_the_table() -> None:
    tested = {code for code, _, _ in MISTAKES}
    checkers = {code for code in CODES if code[0] == "W" or "E1" < code < "E181"}
    assert checkers - AT_SITE == tested
