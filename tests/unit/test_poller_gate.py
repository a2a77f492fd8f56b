import asyncio
from itertools import pairwise

import pytest

from fleet_poller.gate import LoginGate

PERIOD_SECONDS = 0.1
_EARLY_SECONDS = 0.01
"""A timer of the event loop may be a clock's tick early, and as late as it likes."""


async def test_no_more_than_the_places_begin_within_a_period_though_logins_end_at_once() -> None:
    gate, began = LoginGate(4, PERIOD_SECONDS), list[float]()

    async def log_in() -> None:
        async with gate.place():
            began.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(log_in() for _ in range(20)))

    apart = [later - earlier for earlier, later in pairwise(began[::4])]
    assert len(apart) == 4
    assert min(apart) >= PERIOD_SECONDS - _EARLY_SECONDS


async def test_a_login_that_hangs_keeps_no_place_for_longer_and_gives_none_back_twice() -> None:
    gate, hang, entered = LoginGate(1, 0.5), asyncio.Event(), asyncio.Event()

    async def hangs() -> None:
        async with gate.place():
            entered.set()
            await hang.wait()

    hanging = asyncio.create_task(hangs())
    await entered.wait()
    async with asyncio.timeout(2), gate.place():
        hang.set()
        await hanging
        second = asyncio.create_task(gate.place().__aenter__())
        await asyncio.wait([second], timeout=0.01)
        assert not second.done(), "the place must not be given twice"
        second.cancel()


async def test_a_failed_login_gives_its_place_back_in_time() -> None:
    gate = LoginGate(1, PERIOD_SECONDS)
    for _ in range(3):
        with pytest.raises(ValueError, match="rejected"):
            async with asyncio.timeout(2), gate.place():
                raise ValueError("rejected")


async def test_one_that_gave_up_waiting_takes_no_place() -> None:
    gate = LoginGate(1, PERIOD_SECONDS)
    async with gate.place():
        waiting = asyncio.create_task(gate.place().__aenter__())
        await asyncio.wait([waiting], timeout=0)
        waiting.cancel()
        await asyncio.wait([waiting])

    async with asyncio.timeout(2), gate.place():
        pass
