"""Random rules that make room, as text, with `LEAF3`, `PATH5` and `PAIR2` for shares not known yet."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st
from strategies.conditions import followed, of_state, one_of, placed, sometimes

ACTIONS = (
    "suspend",
    "requeue for job, vmjob, shelve",
    "requeue, shelve for vm, pool",
    "suspend, shelve for vm, pool",
    "suspend for job, checkpoint for vmjob, delete",
    "delete",
)


@cache
def makes_room_for_nearly_all() -> st.SearchStrategy[str]:
    """One that speaks for nearly everybody, with any clauses but a condition."""
    whom = one_of(
        *["reclaim for any"] * 3, *["preempt fairly"] * 2, "preempt self when victim.priority <= priority"
    )
    return followed(whom, _clauses())


@cache
def makes_room() -> st.SearchStrategy[str]:
    """One `reclaim` or `preempt`, with any of its clauses."""
    paths = [f"PATH{n}" for n in range(6)]
    whom = st.one_of(
        one_of("reclaim for any", "reclaim for any", *(f"reclaim for {path}" for path in paths)),
        followed(
            one_of(*(f"preempt PAIR{n}" for n in range(12))),
            one_of("", " even below nominal"),
            one_of("", " even borrowing"),
        ),
        one_of("preempt fairly", "preempt fairly", *(f"preempt fairly in {path}" for path in paths)),
    )
    itself = one_of("preempt self", "preempt self", *(f"preempt self in {path}" for path in paths))
    return st.one_of(
        *[followed(whom, _clauses())] * 3,
        followed(whom, _when(), _clauses()),
        followed(itself, _when(), _clauses()),
    )


@cache
def _clauses() -> st.SearchStrategy[str]:
    """Everything but the condition; most leave most out."""
    sparing = one_of("runtime < 10m", "priority > 4 and runtime < 1h", '"ops" in roles', "cores * count > 6")
    ends = {
        "priority": ("lowest", "highest"),
        "runtime": ("shortest", "longest"),
        "start": ("latest", "earliest"),
        "size": ("smallest", "largest"),
    }
    key = one_of(*(f"{end} {of}" for of, which in ends.items() for end in which))
    keys = st.lists(key, min_size=1, max_size=3, unique_by=lambda key: key.split()[1]).map(", ".join)
    return followed(
        one_of("", "", " including native"),
        st.one_of(st.just(""), st.just(""), sparing.map(" sparing {}".format)),
        sometimes(keys.map(" taking {}".format)),
        one_of(
            "", "", "", " at most 1 per victim", " at most 2 per victim, 3 per hour", " at most 2 per hour"
        ),
        one_of(*ACTIONS).map(" by {}".format),
        one_of("", "", " after 1m", " after 5m"),
    )


@cache
def _when() -> st.SearchStrategy[str]:
    """A condition, of which some parts speak of the victim."""
    of_one = one_of("waited >= 0s", "waited > 10m", "waited > 1h", "priority >= 5", 'not ("trial" in roles)')
    of_both = one_of(
        "victim.priority < priority",
        "victim.priority + 2 <= priority",
        "victim.priority <= 5",
        "victim.runtime > 10m",
        "victim.runtime >= 0s",
        "(victim.runtime > 1h or waited > 10m)",
        "victim.runtime < waited",
    )
    one = st.one_of(of_one, of_both, of_both, placed(), of_state())
    two = st.tuples(one, one).map(" and ".join)
    condition = st.one_of(of_one, of_one, of_both, of_both, of_both, one, two)
    return st.one_of(
        condition.map(" when {}".format),
        condition.map(" when {}".format),
        st.tuples(condition, one).map(lambda pair: f" when {pair[0]} unless {pair[1]}"),
    )
