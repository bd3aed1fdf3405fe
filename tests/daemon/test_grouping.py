"""Grouping: who asks at one time is served together, each with their own result."""

from __future__ import annotations

import asyncio

import pytest
from wnodes_daemon.grouping import Busy, Grouped


def test_what_is_asked_for_while_the_work_is_away_is_done_together() -> None:
    groups: list[list[int]] = []

    async def work(items: list[int]) -> list[int]:
        groups.append(items)
        await asyncio.sleep(0.01)
        return [item * item for item in items]

    async def run() -> list[int]:
        square = Grouped(work, most=4)
        first = asyncio.create_task(square(0))
        await asyncio.sleep(0.005)
        return [await first, *await asyncio.gather(*(square(item) for item in range(1, 8)))]

    assert asyncio.run(run()) == [item * item for item in range(8)]
    assert groups == [[0], [1, 2, 3, 4], [5, 6, 7]]


def test_a_failure_is_told_to_everybody_in_the_group_and_to_nobody_else() -> None:
    async def work(items: list[int]) -> list[int]:
        if 1 in items:
            raise OSError("disk")
        return items

    async def run() -> list[object]:
        grouped = Grouped(work, most=2)
        return list(await asyncio.gather(*(grouped(item) for item in range(4)), return_exceptions=True))

    first, second, third, fourth = asyncio.run(run())
    assert isinstance(first, OSError)
    assert isinstance(second, OSError)
    assert (third, fourth) == (2, 3)


def test_who_stops_waiting_does_not_disturb_the_others() -> None:
    async def work(items: list[int]) -> list[int]:
        await asyncio.sleep(0.01)
        return items

    async def run() -> int:
        grouped = Grouped(work)
        gone = asyncio.create_task(grouped(1))
        stays = asyncio.create_task(grouped(2))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(run()) == 2


def test_too_many_at_one_time_are_turned_away() -> None:
    async def work(items: list[int]) -> list[int]:
        return items

    async def run() -> list[object]:
        grouped = Grouped(work, limit=2)
        return list(await asyncio.gather(*(grouped(item) for item in range(3)), return_exceptions=True))

    *served, refused = asyncio.run(run())
    assert served == [0, 1]
    with pytest.raises(Busy):
        raise refused  # type: ignore[misc]
