"""Random policies, as text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from hypothesis import strategies as st
from strategies import words
from strategies.conditions import atoms, followed, guard, of_state, one_of, placed, sometimes
from strategies.farms import Draw
from strategies.preemption import makes_room, makes_room_for_nearly_all


@dataclass(frozen=True)
class Asking:
    """What policies speak of: `hs23`, the farm's `state`, default walltimes; all leaves `strict`, or none.

    Without `rules`, there are only shares, assignments, orders and places, and no share is bounded: the
    nodes are what is short. With `time`, there are windows and downtimes, around when streams begin. With
    `groups`, every policy places parts over groups of nodes; with `room`, there are rules that make room;
    with `many`, there are so many rules of each kind that the engine looks them up.
    """

    hs23: bool = False
    state: bool = False
    walltimes: bool = True
    strict: bool | None = None
    rules: bool = True
    time: bool = False
    groups: bool = False
    room: bool = False
    many: bool = False


@st.composite
def policies(draw: Draw, asking: Asking = Asking()) -> str:
    """A policy that checks without errors: shares, rules, quotas, orders, nodes and routes."""
    shares, leaves, paths = draw(trees(asking))
    lines = paired(draw(_rules(asking)), paths)
    text = "\n".join(["policy random", *shares, *lines]) + "\n"
    text = re.sub(r"LEAF(\d+)", lambda found: leaves[int(found[1]) % len(leaves)], text)
    return re.sub(r"PATH(\d+)", lambda found: paths[int(found[1]) % len(paths)], text)


def eager(asking: Asking) -> st.SearchStrategy[str]:
    """Policies with a rule before all others that makes room for nearly everybody."""
    both = st.tuples(policies(asking), makes_room_for_nearly_all())
    return both.map(lambda drawn: drawn[0].replace("\n", f"\n{drawn[1]}\n", 1))


def paired(lines: list[str], paths: list[str]) -> list[str]:
    """The same lines, with two shares apart for each `PAIR3`; without those lines where there are none."""
    apart = [
        f"{one} for {other}"
        for one in paths
        for other in paths
        if not f"{one}.".startswith(f"{other}.") and not f"{other}.".startswith(f"{one}.")
    ]
    kept = [line for line in lines if apart or "PAIR" not in line]
    return [re.sub(r"PAIR(\d+)", lambda found: apart[int(found[1]) % len(apart)], line) for line in kept]


@cache
def _rules(asking: Asking) -> st.SearchStrategy[list[str]]:
    """Everything but the shares, with `LEAF3` and `PATH5` for shares that are not known yet.

    Strategies are slow to build and quick to draw from: hence the caches and the stand-ins.
    """
    rules = 1 if asking.rules else 0

    def some(rule: st.SearchStrategy[str], most: int, least: int = 0) -> st.SearchStrategy[list[str]]:
        least, most = (8, 24) if asking.many else (least, most)
        return st.lists(rule, min_size=least, max_size=most)

    sections = [
        some(_default(asking), 3 * rules),
        some(_cap(asking), rules),
        some(_assign(), 1 if asking.room else 3),
        st.just(_by_user() if asking.room else []),
        st.just(["assign LEAF0 otherwise"]),
        some(_deny(asking), 0 if asking.room else rules),
        some(_quota(asking), (1 if asking.room else 3) * rules),
        some(_priority(), 3),
        _orders(asking),
        some(_node_rule(), 2 * rules),
        st.just(GROUPS),
        some(_place(asking), 2, 1 if asking.groups else 0),
        some(_route(), 1),
        st.just(["route job, vmjob, vm, pool to simulated"]),
        st.lists(makes_room(), min_size=1, max_size=4) if asking.room else st.just([]),
        *([_windows(asking), st.lists(_downtime(), max_size=1)] if asking.time else []),
    ]
    return st.tuples(*sections).map(lambda drawn: [line for lines in drawn for line in lines])


# -------------------------------------------------------------------- shares


@st.composite
def trees(draw: Draw, asking: Asking = Asking()) -> tuple[list[str], list[str], list[str]]:
    """The share statements, the paths of the leaves, and all paths."""
    lines: list[str] = []
    leaves: list[str] = []
    paths: list[str] = []

    def grow(above: tuple[str, ...], depth: int, absolute: bool) -> None:
        names = ["red", "green", "blue"][: draw(st.integers(2 if asking.room else 1, 3))]
        amounts = draw(_siblings(len(names), absolute, asking))
        for name, amount in zip(names, amounts, strict=True):
            path = (*above, name) if depth == 0 else (*above, f"{name}{depth}")
            paths.append(".".join(path))
            bounds = draw(_bounds(asking)) if asking.rules else ""
            if depth < 2 and draw(st.sampled_from([False, False, True])):
                lines.append(f"share {path[-1]} {amount}{bounds} {{")
                grow(path, depth + 1, absolute and "%" in amount and "," not in amount)
                lines.append("}")
            else:
                lines.append(f"share {path[-1]} {amount}{bounds}")
                leaves.append(".".join(path))

    grow((), 0, absolute=True)
    return lines, leaves, paths


@st.composite
def _siblings(draw: Draw, count: int, absolute: bool, asking: Asking) -> list[str]:
    """What each of some siblings is granted, never over 100 % together; in amounts too, where they may be."""
    style = draw(
        st.sampled_from(["percent", "percent", "weight", *(["absolute", "mixed"] if absolute else [])])
    )
    percents: dict[int, list[list[float]]] = {
        1: [[100], [62.5]],
        2: [[50, 50], [70, 20], [90, 0]],
        3: [[33.33, 33.33, 33.33], [60, 30, 10]],
    }
    percent = draw(st.sampled_from(percents[count]))
    weights = [draw(st.integers(1, 5)) for _ in range(count)]
    cores = [draw(st.sampled_from([8, 4, 12, 0])) for _ in range(count)]
    mains = {
        "percent": [f"{p}%" for p in percent],
        "weight": [f"weight {w}" for w in weights],
        "absolute": [f"{c} cores" for c in cores],
        "mixed": [
            f"{cores[0]} cores",
            *(f"{p}%" for p in percent[1:2]),
            *(f"weight {w}" for w in weights[2:]),
        ],
    }[style]
    resource = draw(st.sampled_from(["gpus", "memory", "disk", *(["hs23"] if asking.hs23 else [])]))
    unit = "GiB " if resource in ("memory", "disk") else " "
    most = {"percent": [int(p // 2) for p in percent], "mixed": [0] * count}.get(style, [30] * count)
    named = [
        draw(
            st.sampled_from(
                ["", "", "", "", f", {most[i]}% {resource}"] + [f", 3{unit}{resource}"] * absolute
            )
        )
        for i in range(count)
    ]
    return [main + more for main, more in zip(mains, named, strict=True)]


@st.composite
def _bounds(draw: Draw, asking: Asking) -> str:
    resources = ["gpus", "memory", *(["hs23"] if asking.hs23 else [])]
    whole = ["", "", "", "", " {} any", " {} none", " {} 10%", " {} 50%"]
    parts = [" {} 2 cores", " {} 20%, 1 gpus", " {} 2GiB memory", *(f" {{}} 50% {r}" for r in resources)]
    return "".join(draw(st.sampled_from(whole + parts)).format(word) for word in ("borrow", "lend"))


# ---------------------------------------------------------------- statements


def _state(asking: Asking) -> st.SearchStrategy[str]:
    """Tests that may stand in caps and denials: of the farm's state too, if so asked."""
    return of_state() if asking.state else placed()


def _default(asking: Asking) -> st.SearchStrategy[str]:
    amounts = ["cores 2", "memory 1GiB", "gpus 1", "count 2", "disk 1GiB"]
    names = ['project "p1"', 'queue "long"', 'account "acc1"']
    walltimes = ["walltime 1h", "walltime 12h"] if asking.walltimes else []
    return followed(st.just("default "), one_of(*amounts, *names, *walltimes), sometimes(guard(atoms())))


def _cap(asking: Asking) -> st.SearchStrategy[str]:
    what = one_of("cores 4", "memory 4GiB", "walltime 1h", "walltime 1d", "count 2", "gpus 0")
    return followed(st.just("cap "), what, sometimes(guard(_state(asking))))


def _assign() -> st.SearchStrategy[str]:
    return followed(one_of(*(f"assign LEAF{n}" for n in range(6))), guard(atoms()))


def _by_user() -> list[str]:
    """Each user in a share of their own, as far as there are as many."""
    return [f'assign LEAF{n} when user == "{user}"' for n, user in enumerate(words.USERS)]


def _deny(asking: Asking) -> st.SearchStrategy[str]:
    test = _state(asking)
    return st.tuples(test, test).map(lambda pair: f'deny "no" when {pair[0]} and {pair[1]}')


@cache
def _quota(asking: Asking) -> st.SearchStrategy[str]:
    scopes = "user group project role share queue account image kind origin"
    each = [f"each {scope}" for scope in scopes.split()]
    one = [
        f'{scope} "{v}"'
        for scope, v in (("user", "ann"), ("group", "cms"), ("role", "ops"), ("project", "p1"))
    ]
    shares = [f"share PATH{n}" for n in range(4)]
    scope = st.one_of(one_of(*each), one_of(*one, 'image "sl6"', 'image "id-sl7"', *shares))
    within = one_of("", "", *(f" in PATH{n}" for n in range(4)))
    held = {
        "cores": ("6", "12", "farm.cores / 2"),
        "memory": ("8GiB", "20GiB"),
        "gpus": ("2", "0"),
        "volumes": ("2",),
        "running": ("3", "1"),
        "machines": ("4", "2"),
    }
    other = {
        "waiting": ("4", "2"),
        "core_hours": ("8 per 1h", "100 per 1d", "20 per 6h"),
        **({"hs23": ("8", "12")} if asking.hs23 else {}),
    }
    condition = sometimes(guard(placed()))
    of_many = followed(st.just("quota for "), scope, within, condition, _ceilings(held | other))
    on_nodes = {r: bounds for r, bounds in held.items() if r not in ("running", "hs23")}
    of_nodes = followed(st.just("quota for nodes "), _nodes(), within, condition, _ceilings(on_nodes))
    return st.one_of(of_many, of_many, of_many, of_nodes)


def _ceilings(bounds: dict[str, tuple[str, ...]]) -> st.SearchStrategy[str]:
    one = one_of(*(f"{r} <= {bound}" for r, values in bounds.items() for bound in values))
    some = st.lists(one, min_size=1, max_size=2, unique_by=lambda ceiling: ceiling.split()[0])

    def ended(drawn: tuple[list[str], str]) -> str:
        ceilings, outcome = ", ".join(drawn[0]), drawn[1]
        return f": {ceilings}{'' if 'waiting' in ceilings and outcome == ' else wait' else outcome}"

    return st.tuples(some, one_of("", " else wait", " else deny")).map(ended)


@cache
def _nodes() -> st.SearchStrategy[str]:
    names = [f'"{pattern}"' for pattern in words.NODE_PATTERNS]
    having = [f'with "{which}"' for which in words.PROPERTIES]
    return one_of(*names, '"a1", "b*"', *having, '"a*" with "ssd"', "all")


def _priority() -> st.SearchStrategy[str]:
    what = one_of("10", "5", "+3", "-2", "+1 per 1h waited", "+2 per 10m waited")
    return followed(st.just("priority "), what, sometimes(guard(placed())))


@cache
def _orders(asking: Asking) -> st.SearchStrategy[list[str]]:
    of = ("user", "group", "project", "account")
    fairshares = [f"fairshare of {whom} half-life {half}" for whom in of for half in ("10m", "1d")]
    key = st.one_of(one_of(*fairshares), one_of("priority", "age", "size"))
    keys = st.lists(key, min_size=1, max_size=3, unique_by=lambda text: text.split()[0]).map(", ".join)
    modes = {None: ("", " strict", " best effort"), True: (" strict",), False: ("", " best effort")}
    order = followed(keys, one_of(*modes[asking.strict]))
    whole = followed(st.just("order any by "), order).map(lambda line: [line])
    part = followed(one_of(*(f"order PATH{n} by " for n in range(6))), order).map(lambda line: [line])
    none: st.SearchStrategy[list[str]] = st.just([])
    every = whole if asking.strict else st.one_of(none, whole)
    return st.tuples(every, st.one_of(none, part)).map(lambda pair: pair[0] + pair[1])


@cache
def _node_rule() -> st.SearchStrategy[str]:
    how = one_of(" only", " preferred", " preferred")
    return followed(st.just("nodes "), _nodes(), how, guard(placed()))


@cache
def _kinds() -> st.SearchStrategy[str]:
    return st.lists(one_of(*words.KINDS), min_size=1, max_size=3, unique=True).map(", ".join)


GROUPS = [f"group g{name} = nodes {nodes}" for name, nodes in words.NODE_GROUPS.items()]
"""Names for some nodes, for places to speak of."""


def _place(asking: Asking) -> st.SearchStrategy[str]:
    how = one_of(" spread", " spread", " pack")
    groups = one_of("ga, gb", "gb, gg, ga", "gs, gi", "gone, gb")
    over = st.tuples(one_of(" over ", " in one of "), groups).map("".join)
    if asking.groups:
        return followed(st.just("place "), _kinds(), how, over)
    over = st.one_of(st.just(""), over)
    return followed(st.just("place "), _kinds(), how, over, sometimes(guard(placed())))


def _route() -> st.SearchStrategy[str]:
    where = one_of(" to slurm", " to openstack through slurm")
    return followed(st.just("route "), _kinds(), where, sometimes(guard(placed())))


def _windows(asking: Asking) -> st.SearchStrategy[list[str]]:
    """Two windows; only one changes shares, so that they may overlap."""
    share = followed(
        one_of(*(f"share LEAF{n}" for n in range(4))), one_of(" 5%", " weight 2", " 5% borrow none")
    )
    rule = st.one_of(_default(asking), _cap(asking), _deny(asking), _quota(asking), _priority())
    rules = st.lists(rule.filter(lambda line: not re.match(r"priority \d", line)), max_size=2)

    def written(drawn: tuple[str, str, list[str], list[str], list[str]]) -> list[str]:
        first, second, shares, some, others = drawn
        return [
            f"window one = {first}",
            f"window two = {second}",
            *["during one {", *shares, *some, "}"],
            *["during two {", *others, "}"],
        ]

    hours = one_of(
        '"22:14-22:40"', '"Mon-Fri 22:20-06:00"', '"Wed,Thu"', '"Tue 22:00-23:00", "Wed 04:30-00:00"'
    )
    return st.tuples(hours, hours, st.lists(share, max_size=1), rules, rules).map(written)


def _downtime() -> st.SearchStrategy[str]:
    when = one_of('"2023-11-14 22:30" to "2023-11-14 23:00"', '"2023-11-15 00:00" to "2023-11-16 12:00"')
    return followed(st.just("downtime "), when, st.just(" on nodes "), _nodes())
