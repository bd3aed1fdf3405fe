"""The client whose answers are awaited: what the other one does, from an event loop."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from sites.running import Site, form
from wnodes_daemon.client import ApiError, AsyncClient, Client, Unreachable
from wnodes_daemon.records import State


def test_it_has_every_method_of_the_other_one() -> None:
    def methods(client: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in vars(client).items()
            if inspect.isfunction(method) and (not name.startswith("_") or name == "__init__")
        }

    assert methods(AsyncClient) == methods(Client)


def test_requests_are_handed_in_watched_listed_and_taken_back(site: Site) -> None:
    site.write(speed=60, unlimited=36000)
    site.start()

    async def use() -> None:
        async with AsyncClient(site.address) as client:
            items = await client.submit_all([form(user=f"u{at}", walltime=60) for at in range(5)])
            ids = [item.request.id for item in items if item.request is not None]
            ends = await asyncio.gather(*(last_state(client, id_) for id_ in ids))
            assert ends == [State.DONE] * 5
            assert [view.id async for view in client.requests(most=3)] == ids[:3]
            own = await client.submit(form(walltime="unlimited"))
            assert (await client.show(own.id)).request.user == "ada"
            assert (await client.cancel(own.id)).id == own.id
            assert (await client.decide(form(user="mallory"))).outcome == "deny"
            assert len(await client.decide_all([form(), form()])) == 2
            assert (await client.shares())[0].path == "farm"
            assert len(await client.nodes()) == 4
            assert (await client.policy()).digest == (await client.health()).policy_digest
            assert (await client.try_out()).changed == 0
            with pytest.raises(ApiError) as caught:
                await client.show("999999")
            assert caught.value.problem.status == 404

    asyncio.run(use())


async def last_state(client: AsyncClient, id_: str) -> State:
    state = State.WAITING
    async for view in client.watch(id_):
        state = view.state
    return state


def test_where_no_daemon_is_that_is_said(site: Site) -> None:
    async def ask() -> None:
        async with AsyncClient(site.address) as client:
            with pytest.raises(Unreachable, match="no daemon answers"):
                await client.health()

    asyncio.run(ask())
