"""A real Keystone's tokens at our door: whoever has one is known by it, and nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from labs.openstack.cloud import Cloud
from labs.openstack.driving import user
from wnodes_daemon.access import keystone
from wnodes_daemon.access.identity import Identity
from wnodes_daemon.access.tokens import TokenRefused
from wnodes_engine.access import Right, access_of


def known(cloud: Cloud, token: str, **rights: str) -> Identity:
    access = access_of({"keystone": {"url": cloud.keystone, "rights": rights}}, Path())
    assert access.keystone is not None
    return asyncio.run(keystone.identity(token, access.keystone))[0]


def test_a_member_of_a_project_is_known_by_their_own_token(cloud: Cloud) -> None:
    connection = user(cloud, "ada")
    who = known(cloud, connection.auth_token)
    assert (who.user, who.projects, who.origins) == ("ada", ("share-a",), ("cloud",))
    assert (who.right, "member" in who.roles) == (Right.USER, True)


def test_an_admin_of_the_cloud_has_the_right_that_the_site_gives(cloud: Cloud) -> None:
    token = user(cloud, "admin").auth_token
    assert known(cloud, token).right is Right.USER
    assert known(cloud, token, admin="operator").right is Right.OPERATOR


def test_a_token_that_was_revoked_or_made_up_is_refused(cloud: Cloud) -> None:
    connection = user(cloud, "ada")
    token = connection.auth_token
    connection.session.delete(f"{cloud.keystone}/auth/tokens", headers={"X-Subject-Token": token})
    for refused in (token, "gAAAAABmade-up"):
        with pytest.raises(TokenRefused, match="Keystone does not know it"):
            known(cloud, refused)
