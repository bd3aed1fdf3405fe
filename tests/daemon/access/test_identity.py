"""What somebody may ask for, see and change."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from sites.running import form
from wnodes_daemon.access.identity import Forbidden, Identity, vouched
from wnodes_daemon.access.peers import Account, NoName, account, identity_of
from wnodes_daemon.access.rates import Rates
from wnodes_daemon.records import Entry, State
from wnodes_engine.access import Right, access_of
from wnodes_engine.check.checked import SiteAttribute
from wnodes_engine.language.vocabulary import Trust, Type
from wnodes_engine.wire import Known, convert, to_request

ADA = Identity("ada", ("lab", "cms"), ("local", "cloud"), "socket", ("chem",), frozenset({"ops", "expert"}))
KNOWN = Known(
    attributes={
        "site_vouched": SiteAttribute("site_vouched", Type.STRING, Trust.VOUCHED, None),
        "site_claimed": SiteAttribute("site_claimed", Type.STRING, Trust.CLAIMED, None),
    }
)


def test_what_is_left_out_is_filled_in() -> None:
    filled = vouched(convert({"kind": "job", "origin": "local"}), ADA, KNOWN)
    assert (filled.user, filled.group, filled.project, filled.roles) == (
        "ada",
        "lab",
        "chem",
        ("expert", "ops"),
    )


def test_one_of_several_may_be_chosen() -> None:
    filled = vouched(form(group="cms", roles=["ops"], origin="cloud"), ADA, KNOWN)
    assert (filled.group, filled.roles, filled.origin) == ("cms", ("ops",), "cloud")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"user": "eve"}, "$.user"),
        ({"group": "atlas"}, "$.group"),
        ({"project": "physics"}, "$.project"),
        ({"roles": ["ops", "admin"]}, "$.roles"),
        ({"origin": "grid"}, "$.origin"),
        ({"image": {"name": "mine", "approved": True}}, "$.image"),
        ({"attributes": {"site_claimed": "x", "site_vouched": "x"}}, "$.attributes.site_vouched"),
    ],
)
def test_nobody_grants_themselves_what_policies_trust(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(Forbidden) as caught:
        vouched(form(**fields), ADA, KNOWN)
    assert caught.value.error.path == path
    assert caught.value.error.help
    admin = Identity("root", ("root",), ("local",), "socket", right=Right.GATEWAY)
    assert vouched(form(**fields), admin, KNOWN) == form(**fields)


def test_a_gateways_own_groups_are_not_given_to_others() -> None:
    arc = Identity("arc", ("arc",), ("grid",), "socket", ("infra",), frozenset({"ce"}), Right.GATEWAY)
    asked = convert({"kind": "job", "origin": "grid", "user": "kay", "group": "cms"})
    assert vouched(asked, arc, KNOWN) == asked


def entry(user: str, share: str) -> Entry:
    return Entry(1, to_request(form(user=user), "1", 0, KNOWN), State.WAITING, share=share)


def test_a_request_is_its_users_the_shares_operators_and_every_operators() -> None:
    of_lhc = Identity("eve", ("lab",), ("local",), "socket", shares=("grid.lhc",))
    operator = Identity("max", ("lab",), ("local",), "socket", right=Right.OPERATOR)
    assert ADA.may_touch(entry("ada", "local"))
    assert not ADA.may_touch(entry("eve", "local"))
    assert of_lhc.may_touch(entry("kay", "grid.lhc.cms"))
    assert not of_lhc.may_touch(entry("kay", "grid.lhcb"))
    assert operator.may_touch(entry("kay", "grid.lhcb"))


ACCESS = access_of(
    {
        "admins": ["ann"],
        "operators": ["@shift"],
        "gateways": ["arc"],
        "shares": {"grid.lhc": ["@cms", "kay"]},
        "projects": {"chem": ["@lab"]},
        "roles": {"ops": ["ada"], "guest": ["@guests"]},
    },
    Path(),
)


@pytest.mark.parametrize(
    ("name", "groups", "right"),
    [
        ("ada", ("lab",), Right.USER),
        ("ann", ("lab",), Right.ADMIN),
        ("arc", ("lab", "shift"), Right.GATEWAY),
        ("max", ("lab", "shift"), Right.OPERATOR),
        ("shift", ("lab",), Right.USER),
    ],
)
def test_the_site_says_who_has_which_right(name: str, groups: tuple[str, ...], right: Right) -> None:
    assert identity_of(Account(4711, name, groups), ACCESS).right is right


def test_root_and_the_daemons_own_user_may_do_all() -> None:
    assert identity_of(Account(0, "root", ("root",)), ACCESS).right is Right.ADMIN
    assert identity_of(Account(os.geteuid(), "me", ("me",)), ACCESS).right is Right.ADMIN


def test_members_of_groups_have_what_their_groups_have() -> None:
    ada = identity_of(Account(4711, "ada", ("lab", "cms")), ACCESS)
    assert (ada.shares, ada.projects, ada.roles) == (("grid.lhc",), ("chem",), {"ops"})


def test_an_account_has_the_groups_that_the_system_gives_it() -> None:
    own = pwd.getpwuid(os.getuid())
    found = account(os.getuid())
    assert (found.name, found.groups[0]) == (own.pw_name, grp.getgrgid(own.pw_gid).gr_name)


def test_a_user_without_a_name_is_nobody() -> None:
    with pytest.raises(NoName, match="4294967000"):
        account(4294967000)


def test_a_bucket_empties_fills_again_and_is_each_users_own() -> None:
    clock = [0.0]
    rates = Rates(10, lambda: clock[0])
    assert [rates.wait("ada", 25) for _ in range(2)] == [0, 0]
    assert rates.wait("ada", 1) == pytest.approx(0.1)
    assert rates.wait("eve", 1) == 0
    clock[0] += 0.1
    assert rates.wait("ada", 1) == 0
    assert rates.wait("ada", 1) > 0


def test_a_list_larger_than_a_bucket_passes_when_it_is_full_and_is_paid_for_afterwards() -> None:
    clock = [0.0]
    rates = Rates(10, lambda: clock[0])
    assert rates.wait("ada", 100) == 0
    clock[0] += 5
    assert rates.wait("ada", 1) == pytest.approx(0.1)
    clock[0] += 0.2
    assert rates.wait("ada", 1) == 0


def test_there_is_no_bound_where_the_site_wants_none() -> None:
    rates = Rates(None)
    assert not any(rates.wait("ada", 1000) for _ in range(100))
