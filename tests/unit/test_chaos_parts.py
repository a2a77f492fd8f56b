"""The chaos suite's own parts: a checker that cannot fail would prove nothing."""

import asyncio
import contextlib

import pytest

from chaos.leaks import Held, grown, too_many_sessions
from chaos.order import OrderCheck
from chaos.plan import Disturbance, disturbances, kills, share
from chaos.proxy import Link
from support.ports import free_port
from support.waiting import eventually


def followed(*sequences: int) -> OrderCheck:
    check = OrderCheck()
    check.snapshot(["north"], {"north": 10})
    for sequence in sequences:
        check.event("north", sequence)
    return check


def test_a_client_that_saw_all_in_order_has_no_problems() -> None:
    check = followed(11, 12, 14)
    assert check.missing("north", {5, 10, 11, 12, 14}) == 0
    assert check.problems == []


def test_an_event_twice_an_event_late_and_a_hole_are_each_found() -> None:
    check = followed(11, 13, 13, 12, 16)
    assert check.twice == 1
    assert check.missing("north", range(1, 17)) == 2
    assert len(check.problems) == 3


def test_a_hole_is_no_hole_when_a_reset_told_of_it() -> None:
    check = followed(11)
    check.reset("north")
    check.snapshot(["north"], {"north": 20})
    check.event("north", 21)
    assert check.missing("north", range(1, 22)) == 0
    assert (check.problems, check.resets) == ([], 1)


def test_a_snapshot_that_jumps_without_a_reset_is_a_problem() -> None:
    check = followed(11)
    check.snapshot(["north"], {"north": 20})
    assert check.problems == ["north: a snapshot at 20 without a reset"]


def test_a_tenant_never_seen_misses_everything() -> None:
    assert OrderCheck().missing("north", {1, 2}) == 2


def test_the_same_seed_gives_the_same_plan_and_another_another() -> None:
    first = kills(1, 0, "everything", "writer", 20)
    assert first == kills(1, 0, "everything", "writer", 20)
    assert first != kills(2, 0, "everything", "writer", 20)
    assert sum(not kill.gracefully for kill in first) == 20


def test_every_kind_of_disturbance_comes_before_one_comes_again() -> None:
    planned = disturbances(1, 0, "servers")
    assert {next(planned).what for _ in Disturbance} == set(Disturbance)


def test_shares_add_up() -> None:
    assert sum(share(100, 7, number) for number in range(7)) == 100


def test_a_survivor_that_holds_more_is_a_leak_and_a_successor_is_none() -> None:
    before = {name: Held(1, 0.0, 20, 4, 50 << 20) for name in ("a", "b", "c", "d")}
    before["e"] = Held(1, 0.0, 20, 4, 50 << 20, 30)
    after = {
        "a": Held(1, 0.0, 40, 4, 50 << 20),
        "b": Held(1, 0.0, 20, 4, 150 << 20),
        "c": Held(2, 9.0, 99, 99, 500 << 20),
        "d": Held(1, 0.0, 21, 5, 60 << 20),
        "e": Held(1, 0.0, 20, 4, 50 << 20, 300),
    }
    assert [line.split(":")[0] for line in grown(before, after)] == ["a", "b", "e"]


def test_a_router_with_two_of_our_sessions_is_found() -> None:
    devices = {"north/a": {"sessions": 1}, "north/b": {"sessions": 2}}
    assert too_many_sessions({"devices": devices}) == ["north/b: 2 sessions at the router"]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1024):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_a_link_passes_holds_releases_tears_and_cuts() -> None:
    target = free_port()
    server = await asyncio.start_server(_echo, "127.0.0.1", target)
    link = Link("echo", free_port(), target)
    async with server, link.serve(), asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        link.hold()
        writer.write(b"wait")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.readexactly(1)
        link.release()
        assert await reader.readexactly(4) == b"wait"
        link.tear()
        writer.write(b"12345678")
        assert await _rest(reader) in {b"", b"1234", b"12"}
        _, other = await asyncio.open_connection("127.0.0.1", link.port)
        other.write(b"x")
        await other.drain()
        await eventually(lambda: link.connections, bool, what="the second connection")
        link.cut()
        await eventually(lambda: link.connections, lambda count: count == 0, what="its end")
        other.close()
        writer.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """What still came before the reset."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := await reader.read(64):
            received += data
    return received
