"""Random policies, as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from strategies import words

Draw = Callable[[st.SearchStrategy[Any]], Any]

UNITS = {"cores": "", "gpus": "", "disk": "GiB", "memory": "GiB", "volumes": "", "count": ""}


@dataclass(frozen=True)
class Asking:
    """What policies speak of: `hs23`, the farm's `state`, default walltimes; all leaves `strict`, or none."""

    hs23: bool = False
    state: bool = False
    walltimes: bool = True
    strict: bool | None = None


@st.composite
def policies(draw: Draw, asking: Asking = Asking()) -> str:
    """A policy that checks without errors: shares, rules, quotas, orders, nodes and routes."""
    shares, leaves, paths = draw(trees(asking))
    sections = [
        ["policy random"],
        shares,
        draw(st.lists(_default(asking), max_size=3)),
        draw(st.lists(_cap(paths, leaves, asking), max_size=2)),
        draw(st.lists(_assign(leaves), max_size=3)),
        [f"assign {draw(st.sampled_from(leaves))} otherwise"],
        draw(st.lists(_deny(paths, leaves, asking), max_size=2)),
        draw(st.lists(_quota(paths, leaves, asking), max_size=3)),
        draw(st.lists(_priority(paths, leaves), max_size=3)),
        draw(_orders(paths, asking)),
        draw(st.lists(_node_rule(paths, leaves), max_size=2)),
        draw(st.lists(_place(paths, leaves), max_size=2)),
        draw(st.lists(_route(paths, leaves), max_size=1)),
        ["route job, vmjob, vm, pool to simulated"],
    ]
    return "\n".join(line for section in sections for line in section) + "\n"


# -------------------------------------------------------------------- shares


@st.composite
def trees(draw: Draw, asking: Asking = Asking()) -> tuple[list[str], list[str], list[str]]:
    """The share statements, the paths of the leaves, and all paths."""
    lines: list[str] = []
    leaves: list[str] = []
    paths: list[str] = []

    def grow(above: tuple[str, ...], depth: int) -> None:
        names = ["red", "green", "blue"][: draw(st.integers(1, 3))]
        amounts = draw(_siblings(len(names), asking))
        for name, amount in zip(names, amounts, strict=True):
            path = (*above, name) if depth == 0 else (*above, f"{name}{depth}")
            paths.append(".".join(path))
            bounds = draw(_bounds(asking))
            if depth < 2 and draw(st.integers(0, 2)) == 0:
                lines.append(f"share {path[-1]} {amount}{bounds} {{")
                grow(path, depth + 1)
                lines.append("}")
            else:
                lines.append(f"share {path[-1]} {amount}{bounds}")
                leaves.append(".".join(path))

    grow((), 0)
    return lines, leaves, paths


@st.composite
def _siblings(draw: Draw, count: int, asking: Asking) -> list[str]:
    """What each of some siblings is granted, never over 100 % together."""
    style = draw(st.sampled_from(["percent", "percent", "weight", "absolute", "mixed"]))
    percent = [draw(st.sampled_from([0, 10, 25, 33.33])) for _ in range(count)]
    weights = [draw(st.integers(1, 5)) for _ in range(count)]
    cores = [draw(st.integers(0, 6)) for _ in range(count)]
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
    named = [
        "",
        f", {draw(st.sampled_from([0, 10, 30]))}% {resource}",
        f", {draw(st.integers(0, 4))}{unit}{resource}",
    ]
    styles = [draw(st.sampled_from([0, 0, 0, 1, 2])) for _ in range(count)]
    return [main + named[style] for main, style in zip(mains, styles, strict=True)]


@st.composite
def _bounds(draw: Draw, asking: Asking) -> str:
    resources = ["gpus", "memory", *(["hs23"] if asking.hs23 else [])]
    limit = st.sampled_from(
        [
            "",
            "",
            " {} any",
            " {} none",
            " {} 10%",
            " {} 50%",
            " {} 2 cores",
            " {} 20%, 1 gpus",
            " {} 2GiB memory",
        ]
        + [f" {{}} 50% {resource}" for resource in resources]
    )
    return "".join(draw(limit).format(word) for word in ("borrow", "lend"))


# --------------------------------------------------------------- expressions


def _atoms() -> list[st.SearchStrategy[str]]:
    """Tests of the request alone, that may stand anywhere."""
    compare = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])

    def equal(name: str, values: tuple[str, ...]) -> st.SearchStrategy[str]:
        return st.builds(
            '{} {} "{}"'.format, st.just(name), st.sampled_from(["==", "!="]), st.sampled_from(values)
        )

    def within(name: str, values: tuple[str, ...], quote: str) -> st.SearchStrategy[str]:
        chosen = st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)
        listed = chosen.map(lambda items: ", ".join(f"{quote}{item}{quote}" for item in items))
        return st.builds("{} {} {{{}}}".format, st.just(name), st.sampled_from(["in", "not in"]), listed)

    return [
        st.builds("kind == {}".format, st.sampled_from(words.KINDS)),
        st.builds("origin != {}".format, st.sampled_from(words.ORIGINS)),
        within("kind", words.KINDS, ""),
        within("origin", words.ORIGINS, ""),
        equal("user", words.USERS),
        equal("group", words.GROUPS),
        within("user", words.USERS, '"'),
        within("group", words.GROUPS, '"'),
        st.sampled_from(['group startswith "a"', 'user like "?n*"', 'group like "*m*"', 'user like "a"']),
        st.builds('"{}" in roles'.format, st.sampled_from(words.ROLES)),
        st.builds('"{}" not in tags'.format, st.sampled_from(words.TAGS)),
        st.builds("cores {} {}".format, compare, st.sampled_from([1, 2, 3])),
        st.builds("cores * count {} {}".format, compare, st.sampled_from([2, 3, 6])),
        st.builds("memory / 2 {} {}".format, compare, st.sampled_from(["1GiB", "512MiB"])),
        st.builds("gpus + cores {} {}".format, compare, st.sampled_from([1, 2, 3])),
        st.builds("walltime {} {}".format, compare, st.sampled_from(["10m", "2h", "1d", "unlimited"])),
        st.builds("count {} {}".format, compare, st.sampled_from([1, 2])),
        st.sampled_from(["has project", "not has queue", "has image", "not has name"]),
        st.builds('has project and project == "{}"'.format, st.sampled_from(words.PROJECTS)),
        st.builds('has queue and queue != "{}"'.format, st.sampled_from(words.QUEUES)),
        st.just("has image and image.approved"),
        st.just("kind == vm and not image.approved"),
        st.just('has image and image.name == "sl6"'),
    ]


def _placed(paths: list[str], leaves: list[str]) -> list[st.SearchStrategy[str]]:
    """Tests of the share, that may stand after the assignment."""
    return [
        st.builds("in {}".format, st.sampled_from(paths)),
        st.builds("not in {}".format, st.sampled_from(paths)),
        st.builds("share == {}".format, st.sampled_from(leaves)),
    ]


def _state() -> list[st.SearchStrategy[str]]:
    """Tests of the farm's state, for caps and denials."""
    scope = st.sampled_from(["user", "group", "share"])
    return [
        st.builds("{}.cores {} {}".format, scope, st.sampled_from(["<", ">="]), st.sampled_from([1, 4])),
        st.builds("{}.running > {}".format, scope, st.sampled_from([0, 2])),
        st.builds("{}.waiting > {}".format, scope, st.sampled_from([0, 2])),
        st.builds("{}.machines > 1".format, scope),
        st.builds("{}.memory > 1GiB".format, scope),
        st.just("has project and project.cores > 2"),
        st.builds("farm.used.cores > {}".format, st.sampled_from([0, 5])),
        st.builds("farm.waiting > {}".format, st.sampled_from([0, 3])),
        st.builds("farm.cores < {}".format, st.sampled_from([4, 12])),
        st.builds("share.nominal.cores < {}".format, st.sampled_from([2, 5])),
    ]


def conditions(atoms: list[st.SearchStrategy[str]]) -> st.SearchStrategy[str]:
    """Atoms joined by and, or and not."""
    return st.recursive(
        st.one_of(atoms),
        lambda inner: st.one_of(
            st.builds("({} and {})".format, inner, inner),
            st.builds("({} or {})".format, inner, inner),
            st.builds("not ({})".format, inner),
        ),
        max_leaves=3,
    )


def _guard(atoms: list[st.SearchStrategy[str]], always: bool = True) -> st.SearchStrategy[str]:
    condition = conditions(atoms)
    forms = [
        st.builds(" when {}".format, condition),
        st.builds(" unless {}".format, condition),
        st.builds(" when {} unless {}".format, condition, condition),
    ]
    return st.one_of(st.just(""), *forms) if always else st.one_of(forms)


# ---------------------------------------------------------------- statements


def _default(asking: Asking) -> st.SearchStrategy[str]:
    amounts = ["cores 2", "memory 1GiB", "gpus 1", "count 2", "disk 1GiB"]
    names = ['project "p1"', 'queue "long"', 'account "acc1"']
    walltimes = ["walltime 1h", "walltime 12h"] if asking.walltimes else []
    return st.builds("default {}{}".format, st.sampled_from([*amounts, *names, *walltimes]), _guard(_atoms()))


def _cap(paths: list[str], leaves: list[str], asking: Asking) -> st.SearchStrategy[str]:
    what = st.sampled_from(["cores 4", "memory 4GiB", "walltime 1h", "walltime 1d", "count 2", "gpus 0"])
    return st.builds("cap {}{}".format, what, _guard(_after(paths, leaves, asking)))


def _after(paths: list[str], leaves: list[str], asking: Asking) -> list[st.SearchStrategy[str]]:
    return [*_atoms(), *_placed(paths, leaves), *(_state() if asking.state else [])]


def _assign(leaves: list[str]) -> st.SearchStrategy[str]:
    return st.builds("assign {}{}".format, st.sampled_from(leaves), _guard(_atoms(), always=False))


def _deny(paths: list[str], leaves: list[str], asking: Asking) -> st.SearchStrategy[str]:
    condition = st.one_of(_after(paths, leaves, asking))
    return st.builds('deny "no" when {} and {}'.format, condition, condition)


@st.composite
def _quota(draw: Draw, paths: list[str], leaves: list[str], asking: Asking) -> str:
    each = st.sampled_from(
        ["user", "group", "project", "role", "share", "queue", "account", "image", "kind", "origin"]
    )
    named = st.one_of(
        st.builds('user "{}"'.format, st.sampled_from(words.USERS)),
        st.builds('group "{}"'.format, st.sampled_from(words.GROUPS)),
        st.builds('role "{}"'.format, st.sampled_from(words.ROLES)),
        st.builds('project "{}"'.format, st.sampled_from(words.PROJECTS)),
        st.builds('image "{}"'.format, st.sampled_from([*words.IMAGES, "id-sl6"])),
        st.builds("share {}".format, st.sampled_from(paths)),
    )
    nodes = st.builds("nodes {}".format, _nodes())
    kind, scope = draw(
        st.one_of(
            st.tuples(st.just("each"), each),
            st.tuples(st.just("one"), named),
            st.tuples(st.just("nodes"), nodes),
        )
    )
    within = draw(st.sampled_from(["", *(f" in {path}" for path in paths)]))
    ceilings = {
        "cores": st.sampled_from(["cores <= 4", "cores <= 6", "cores <= farm.cores / 2"]),
        "memory": st.sampled_from(["memory <= 4GiB", "memory <= 20GiB"]),
        "gpus": st.sampled_from(["gpus <= 0", "gpus <= 2"]),
        "volumes": st.just("volumes <= 2"),
        "running": st.sampled_from(["running <= 1", "running <= 3"]),
        "machines": st.sampled_from(["machines <= 1", "machines <= 4"]),
        "waiting": st.sampled_from(["waiting <= 1", "waiting <= 3"]),
        "core_hours": st.sampled_from(
            ["core_hours <= 4 per 1h", "core_hours <= 100 per 1d", "core_hours <= 9 per 6h"]
        ),
        **({"hs23": st.sampled_from(["hs23 <= 5", "hs23 <= 8"])} if asking.hs23 else {}),
    }
    of_time = {"waiting", "core_hours"}
    resources = [r for r in ceilings if not (kind == "nodes" and r in (*of_time, "hs23"))]
    chosen = draw(st.lists(st.sampled_from(resources), min_size=1, max_size=2, unique=True))
    listed = ", ".join(draw(ceilings[resource]) for resource in chosen)
    guard = draw(st.one_of(st.just(""), _guard([*_atoms(), *_placed(paths, leaves)])))
    after = draw(st.sampled_from(["", "", " else wait", " else deny"]))
    return f"quota for {'each ' if kind == 'each' else ''}{scope}{within}{guard}: {listed}{after}"


def _nodes() -> st.SearchStrategy[str]:
    patterns = st.lists(st.sampled_from(words.NODE_PATTERNS), min_size=1, max_size=2, unique=True)
    named = patterns.map(lambda items: ", ".join(f'"{item}"' for item in items))
    having = st.sampled_from(words.PROPERTIES).map('with "{}"'.format)
    return st.one_of(named, having, st.builds("{} {}".format, named, having), st.just("all"))


def _priority(paths: list[str], leaves: list[str]) -> st.SearchStrategy[str]:
    what = st.sampled_from(["10", "5", "+3", "-2", "+1 per 1h waited", "-1 per 10m waited"])
    return st.builds("priority {}{}".format, what, _guard([*_atoms(), *_placed(paths, leaves)]))


@st.composite
def _orders(draw: Draw, paths: list[str], asking: Asking) -> list[str]:
    keys = st.lists(
        st.one_of(
            st.builds(
                "fairshare of {} half-life {}".format,
                st.sampled_from(["user", "group", "project", "account"]),
                st.sampled_from(["10m", "1d"]),
            ),
            st.sampled_from(["priority", "age", "size"]),
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda key: key.split()[0],
    )
    modes = {None: ["", " strict", " best effort"], True: [" strict"], False: ["", " best effort"]}
    mode = st.sampled_from(modes[asking.strict])
    whom = draw(st.lists(st.sampled_from(paths), max_size=2, unique=True))
    first = (
        [f"order any by {', '.join(draw(keys))}{draw(mode)}"] if draw(st.booleans()) or asking.strict else []
    )
    return first + [f"order {path} by {', '.join(draw(keys))}{draw(mode)}" for path in whom]


def _node_rule(paths: list[str], leaves: list[str]) -> st.SearchStrategy[str]:
    which = st.sampled_from(["only", "preferred", "preferred"])
    return st.builds(
        "nodes {} {}{}".format, _nodes(), which, _guard([*_atoms(), *_placed(paths, leaves)], always=False)
    )


def _place(paths: list[str], leaves: list[str]) -> st.SearchStrategy[str]:
    kinds = st.lists(st.sampled_from(words.KINDS), min_size=1, max_size=3, unique=True).map(", ".join)
    how = st.sampled_from(["spread", "spread", "pack"])
    return st.builds("place {} {}{}".format, kinds, how, _guard([*_atoms(), *_placed(paths, leaves)]))


def _route(paths: list[str], leaves: list[str]) -> st.SearchStrategy[str]:
    kinds = st.lists(st.sampled_from(words.KINDS), min_size=1, max_size=3, unique=True).map(", ".join)
    where = st.sampled_from(["slurm", "openstack through slurm"])
    return st.builds("route {} to {}{}".format, kinds, where, _guard([*_atoms(), *_placed(paths, leaves)]))
