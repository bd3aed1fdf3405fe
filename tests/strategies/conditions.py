"""Random conditions, as text, with `LEAF3` and `PATH5` for shares that are not known yet."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st
from strategies import words


def one_of(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


@cache
def atoms() -> st.SearchStrategy[str]:
    """Tests of the request alone, that may stand anywhere."""
    names = {"user": words.USERS, "group": words.GROUPS}
    sets = [
        f"{name} {op} {{{', '.join(quoted)}}}"
        for name, values in names.items()
        for quoted in ([f'"{value}"' for value in values[:2]], [f'"{values[-1]}"'])
        for op in ("in", "not in")
    ]
    enums = [
        f"{name} {op} {{{', '.join(values[at : at + 2])}}}"
        for name, values in {"kind": words.KINDS, "origin": words.ORIGINS}.items()
        for at in range(3)
        for op in ("in", "not in")
    ]
    quantities = [
        f"{left} {op} {right}"
        for op in ("==", "!=", "<", "<=", ">", ">=")
        for left, rights in {
            "cores": "1 2 3",
            "cores * count": "2 3 6",
            "gpus + cores": "1 2 3",
            "count": "1 2",
            "at_least": "1 2",
            "memory / 2": "1GiB 512MiB",
            "walltime": "10m 2h 1d unlimited",
        }.items()
        for right in rights.split()
    ]
    return st.one_of(
        one_of(*(f'{name} {op} "{v}"' for name, vs in names.items() for v in vs for op in ("==", "!="))),
        one_of(*(f"kind == {kind}" for kind in words.KINDS), *(f"origin != {o}" for o in words.ORIGINS)),
        one_of(*sets, *enums),
        one_of('group startswith "a"', 'user like "?n*"', 'group like "*m*"', 'user like "a"'),
        one_of(*(f'"{role}" in roles' for role in words.ROLES), *(f'"{t}" not in tags' for t in words.TAGS)),
        one_of(*quantities),
        one_of("has project", "not has queue", "has image", "not has name", "has image and image.approved"),
        one_of(*(f'has project and project == "{project}"' for project in words.PROJECTS)),
        one_of(*(f'has queue and queue != "{queue}"' for queue in words.QUEUES)),
        one_of("kind == vm and not image.approved", 'has image and image.name == "sl6"'),
    )


@cache
def placed() -> st.SearchStrategy[str]:
    """Tests of the request and its share, that may stand after the assignment."""
    shares = [
        f"{test}{n}"
        for test in ("in PATH", "not in PATH", "share == LEAF", "share != LEAF")
        for n in range(6)
    ]
    return st.one_of(atoms(), atoms(), one_of(*shares))


@cache
def of_state() -> st.SearchStrategy[str]:
    """Tests that may stand in caps, denials and rules that make room: of the farm's state too."""
    times = ("time.hour >= 22", "time.hour < 6", "time.weekday == wed", "time.weekday in {tue, thu}")
    uses = (
        "cores >= 1",
        "cores < 4",
        "running > 0",
        "waiting > 1",
        "machines > 1",
        "memory > 1GiB",
        "gpus == 0",
    )
    farm = ("farm.used.cores > 0", "farm.used.cores <= 5", "farm.waiting > 0", "farm.cores < 12")
    return st.one_of(
        placed(),
        one_of(*(f"{scope}.{use}" for scope in ("user", "group", "share") for use in uses)),
        one_of(*times, *farm, "share.nominal.cores < 4", "has project and project.cores > 2"),
    )


def joined(tests: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Atoms joined by and, or and not."""
    two = st.tuples(tests, one_of("and", "or"), tests).map(lambda drawn: f"({' '.join(drawn)})")
    either = st.one_of(tests, tests, two, two.map("not {}".format))
    return st.one_of(
        either, either, st.tuples(either, tests).map(lambda pair: f"({pair[0]} or not ({pair[1]}))")
    )


def guard(tests: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """`when`, `unless`, or both."""
    condition = joined(tests)
    return st.one_of(
        condition.map(" when {}".format),
        condition.map(" unless {}".format),
        st.tuples(condition, condition).map(lambda pair: f" when {pair[0]} unless {pair[1]}"),
    )


def sometimes(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(st.just(""), part)


def followed(first: st.SearchStrategy[str], *more: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(first, *more).map("".join)
