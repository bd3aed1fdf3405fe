"""Rules that refuse, and which requests of a small world they do refuse."""

from __future__ import annotations

from itertools import product

from hypothesis import strategies as st
from wnodes_engine.check.policy import check_policy
from wnodes_engine.compile import compile_policy
from wnodes_engine.core import State, decide
from wnodes_engine.core.policy import CompiledPolicy
from wnodes_engine.language.load import load_text
from wnodes_engine.values import Code, Node, Request

HEAD = "policy t\nshare a 50% { share x 50%  share y 50% }\nshare b 50%\n"
ASSIGN = 'assign a.x when origin == grid\nassign a.y when group == "cms"\nassign b otherwise\n'
ROUTE = "route job, vmjob, vm, pool to farm\n"
ATOMS = [
    "cores > 2", "cores <= 2", "cores == 2", "cores != 2", "gpus > 0", "gpus < 2", "kind == vm",
    "kind in {job, vm}", 'group == "cms"', 'group in {"cms", "atlas"}', 'group != "cms"', '"ops" in roles',
    "in a", "share == a.y", "has project", "kind == vm and image.approved", "cores * 2 > gpus",
    "origin not in {grid}", "walltime > 1h",
]  # fmt: skip


def over(atoms: list[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(atoms),
        lambda inner: st.one_of(
            st.builds("({} and {})".format, inner, inner),
            st.builds("({} or {})".format, inner, inner),
            st.builds("not ({})".format, inner),
        ),
        max_leaves=4,
    )


several = st.lists(st.sampled_from(ATOMS), min_size=2, max_size=3, unique=True).flatmap(
    lambda atoms: st.lists(over(atoms), min_size=2, max_size=4)
)
"""Conditions that read the same: so that some cover others."""

DOMAIN = [
    Request(
        id="r", kind=kind, origin=origin, user="u", group=group, submitted=0, cores=cores, gpus=gpus,
        roles=frozenset(roles), project=project, walltime=walltime, image=None,
    )
    for kind, origin, group, cores, gpus, roles, project, walltime in product(
        ("job",), ("grid", "local"), ("cms", "atlas", "other"), (1, 2, 3), (0, 1, 2), ((), ("ops",)),
        (None, "p"), (60, 7200),
    )
]  # fmt: skip


def compiled(text: str) -> CompiledPolicy:
    policy, findings = check_policy(load_text(text, "t.policy"))
    assert policy is not None, findings
    return compile_policy(policy)


def refused(policy: CompiledPolicy) -> list[bool]:
    state = State(policy, [Node("n", cores=4, memory=4, gpus=4, disk=4)])
    return [
        any(reason.code is Code.RULE for reason in decide(state, request, 0).reasons) for request in DOMAIN
    ]
