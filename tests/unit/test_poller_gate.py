import asyncio

import pytest

from fleet_poller.gate import LoginGate


async def test_no_more_than_the_places_are_inside_at_once() -> None:
    gate, inside, most = LoginGate(3), 0, 0

    async def log_in() -> None:
        nonlocal inside, most
        async with gate.place():
            inside += 1
            most = max(most, inside)
            for _ in range(5):
                await asyncio.get_running_loop().run_in_executor(None, lambda: None)
            inside -= 1

    await asyncio.gather(*(log_in() for _ in range(12)))

    assert most == 3


async def test_a_login_that_hangs_gives_up_its_place_once() -> None:
    gate, hang, entered = LoginGate(1, patience_seconds=0.5), asyncio.Event(), asyncio.Event()

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
        assert not second.done(), "the place that was given up must not be given twice"
        second.cancel()


async def test_a_failed_login_gives_its_place_back() -> None:
    gate = LoginGate(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="rejected"):
            async with asyncio.timeout(1), gate.place():
                raise ValueError("rejected")
