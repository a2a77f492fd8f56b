"""Each fault as a client meets it."""

import asyncio
import time

import pytest

from fleet_simulator.faults import Fault, FaultRule
from fleet_simulator.wire import SentenceDecoder, encode_sentence
from support.rawapi import raw_api
from support.routers import fixed_router
from support.simulator import simulate
from support.waiting import eventually

IDENTITY = [[b"!re", b"=name=r"], [b"!done"]]
WHOLE = b"".join(encode_sentence(*sentence) for sentence in IDENTITY)


async def test_offline_cuts_sessions_and_refuses_connections_until_it_ends() -> None:
    async with simulate(fixed_router("r"), fixed_router("other")) as sim:
        endpoint = sim.endpoint("r")
        async with raw_api(endpoint) as api, raw_api(sim.endpoint("other")) as other:
            sim.faults.add(FaultRule(Fault.OFFLINE, devices=("r",)))
            assert await api.closed() == b""
            await eventually(lambda: sim.listeners["alpha/r"].listening, lambda on: not on)
            with pytest.raises(ConnectionRefusedError):
                async with raw_api(endpoint):
                    pass
            assert await other.rows("/system/identity/print")
            sim.faults.remove(Fault.OFFLINE)
            await eventually(lambda: sim.listeners["alpha/r"].listening, lambda on: on)
            async with raw_api(endpoint) as again:
                assert await again.talk("/system/identity/print") == IDENTITY


async def test_faults_that_begin_while_the_fleet_starts_do_not_hinder_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    routers = [fixed_router(f"r{number}") for number in range(300)]
    # Each changes the rules, at moments all through the start.
    rules = [FaultRule(Fault.LATENCY, 0.0, after=0.001 * number) for number in range(1, 100)]
    async with simulate(*routers, faults=rules) as sim:
        up = time.monotonic()
        await eventually(
            lambda: sim.faults.next_change(time.monotonic() - up), lambda moment: moment is None
        )
        assert all(one.listening for one in sim.listeners.values())
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_refuse_turns_new_connections_away_and_keeps_the_open_ones() -> None:
    async with simulate(fixed_router("r")) as sim, raw_api(sim.endpoint("r")) as api:
        sim.faults.add(FaultRule(Fault.REFUSE))
        await eventually(lambda: sim.listeners["alpha/r"].listening, lambda on: not on)
        with pytest.raises(ConnectionRefusedError):
            async with raw_api(sim.endpoint("r")):
                pass
        assert await api.talk("/system/identity/print") == IDENTITY


async def test_refuse_by_chance_resets_some_connections() -> None:
    rule = FaultRule(Fault.REFUSE, 0.5)
    async with simulate(fixed_router("r"), faults=[rule], seed=3) as sim:
        outcomes: list[bool] = []
        for _ in range(20):
            try:
                async with raw_api(sim.endpoint("r")):
                    outcomes.append(True)
            except ConnectionError:
                outcomes.append(False)
        refused = sim.device("r").ledger.faults["refuse"]

    assert outcomes.count(False) == refused
    assert 3 < refused < 17


async def test_wrong_password_refuses_the_right_one() -> None:
    rule = FaultRule(Fault.WRONG_PASSWORD)
    async with (
        simulate(fixed_router("r"), faults=[rule]) as sim,
        raw_api(sim.endpoint("r"), login=False) as api,
    ):
        [trap, _] = await api.talk("/login", "=name=admin", "=password=secret")

    assert trap == [b"!trap", b"=message=invalid user name or password (6)"]


async def test_stall_before_answers_late_and_completely() -> None:
    rule = FaultRule(Fault.STALL_BEFORE, seconds=0.3)
    async with simulate(fixed_router("r"), faults=[rule]) as sim, raw_api(sim.endpoint("r")) as api:
        began = time.monotonic()
        assert await api.talk("/system/identity/print") == IDENTITY
        assert time.monotonic() - began >= 0.3


async def test_stall_inside_leaves_half_a_sentence_and_completes_it_later() -> None:
    rule = FaultRule(Fault.STALL_INSIDE, seconds=0.3)
    async with simulate(fixed_router("r"), faults=[rule]) as sim, raw_api(sim.endpoint("r")) as api:
        api.send("/system/identity/print")
        first = await api.reader.read(1000)
        rest = await api.reader.readexactly(len(WHOLE) - len(first))

    assert first == WHOLE[: len(WHOLE) // 2]
    assert first + rest == WHOLE


async def test_stall_without_end_holds_other_tags_too_and_ends_with_the_connection() -> None:
    rule = FaultRule(Fault.STALL_INSIDE, commands=("/system/identity/print",))
    async with simulate(fixed_router("r"), faults=[rule]) as sim:
        async with raw_api(sim.endpoint("r")) as api:
            api.send("/system/identity/print", ".tag=1")
            await api.reader.read(1000)
            api.send("/interface/print", ".tag=2")
            await eventually(
                lambda: sim.device("r").ledger.commands["/interface/print"], lambda n: n == 1
            )
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await api.reader.read(1000)
        await eventually(lambda: len(sim.device("r").sessions), lambda left: left == 0)
    assert sim.device("r").ledger.polls == 0


async def test_trickle_is_slow_but_complete() -> None:
    rule = FaultRule(Fault.TRICKLE, rate=100)
    async with simulate(fixed_router("r"), faults=[rule]) as sim, raw_api(sim.endpoint("r")) as api:
        began = time.monotonic()
        api.send("/system/identity/print")
        first = await api.reader.read(1000)
        assert len(first) < len(WHOLE)
        assert first + await api.reader.readexactly(len(WHOLE) - len(first)) == WHOLE
        assert time.monotonic() - began >= 0.05 * (len(WHOLE) // 5 - 1)


async def test_cut_ends_the_connection_inside_a_sentence() -> None:
    rule = FaultRule(Fault.CUT)
    async with simulate(fixed_router("r"), faults=[rule]) as sim, raw_api(sim.endpoint("r")) as api:
        api.send("/system/identity/print")
        assert await api.closed() == WHOLE[: len(WHOLE) // 2]


async def test_garbage_is_no_sentence_and_repeats_with_the_seed() -> None:
    rule = FaultRule(Fault.GARBAGE)
    received: list[bytes] = []
    for _ in range(2):
        async with (
            simulate(fixed_router("r"), faults=[rule], seed=9) as sim,
            raw_api(sim.endpoint("r")) as api,
        ):
            api.send("/system/identity/print")
            received.append(await api.reader.readexactly(512))

    assert received[0] == received[1]
    decoder = SentenceDecoder(1 << 20)
    assert all(words[0] != b"!done" for words in decoder.feed(received[0]))


async def test_trap_strikes_the_commands_named_only() -> None:
    rule = FaultRule(
        Fault.TRAP, commands=("/system/*",), message="execution interrupted", category=2
    )
    async with simulate(fixed_router("r"), faults=[rule]) as sim, raw_api(sim.endpoint("r")) as api:
        assert await api.talk("/system/identity/print", ".tag=1") == [
            [b"!trap", b".tag=1", b"=category=2", b"=message=execution interrupted"],
            [b"!done", b".tag=1"],
        ]
        assert len(await api.rows("/interface/print")) == 10


async def test_fatal_says_why_and_closes() -> None:
    rule = FaultRule(Fault.FATAL, message="out of memory")
    async with simulate(fixed_router("r"), faults=[rule]) as sim, raw_api(sim.endpoint("r")) as api:
        api.send("/system/identity/print", ".tag=1")
        assert await api.sentence() == [b"!fatal", b"out of memory"]
        assert await api.closed() == b""


async def test_reboot_cuts_sessions_and_comes_back_after_its_time() -> None:
    router = fixed_router("r")
    async with simulate(router) as sim:
        async with raw_api(sim.endpoint("r")) as api:
            sim.device("r").reboot(0.4)
            assert await api.closed() == b""
        with pytest.raises(ConnectionError):
            async with raw_api(sim.endpoint("r")):
                pass

        async def connects() -> bool:
            try:
                async with raw_api(sim.endpoint("r")) as again:
                    return await again.talk("/system/identity/print") == IDENTITY
            except ConnectionError:
                return False

        await eventually(connects, lambda up: up)
    assert len(router.reboots) == 1


async def test_reboot_by_a_command_rule() -> None:
    router = fixed_router("r")
    rule = FaultRule(Fault.REBOOT, seconds=0, commands=("/interface/print",))
    async with simulate(router, faults=[rule]) as sim, raw_api(sim.endpoint("r")) as api:
        assert await api.talk("/system/identity/print") == IDENTITY
        api.send("/interface/print")
        await api.closed()
    assert len(router.reboots) == 1


async def test_latency_delays_each_reply_but_not_one_after_the_other() -> None:
    rule = FaultRule(Fault.LATENCY, seconds=0.3)
    async with simulate(fixed_router("r"), faults=[rule]) as sim, raw_api(sim.endpoint("r")) as api:
        began = time.monotonic()
        for tag in range(10):
            api.send("/system/identity/print", f".tag={tag}")
        order = [(await api.until_done())[-1][1] for _ in range(10)]
        spent = time.monotonic() - began

    assert order == [b".tag=%d" % tag for tag in range(10)]
    assert 0.3 <= spent < 1.5


async def test_huge_tables_have_ten_thousand_rows() -> None:
    rule = FaultRule(Fault.HUGE)
    async with simulate(fixed_router("r"), faults=[rule]) as sim, raw_api(sim.endpoint("r")) as api:
        rows = await api.rows("/interface/print", "=.proplist=.id")
        resource = await api.rows("/system/resource/print")
        count = await api.talk("/interface/print", "=count-only=")

    assert len({row[b".id"] for row in rows}) == 10_000
    assert len(resource) == 1
    assert count == [[b"!done", b"=ret=10000"]]


async def test_faults_by_chance_repeat_with_the_seed() -> None:
    rule = FaultRule(Fault.TRAP, 0.3)

    async def kinds(seed: int) -> list[bytes]:
        async with (
            simulate(fixed_router("r"), faults=[rule], seed=seed) as sim,
            raw_api(sim.endpoint("r")) as api,
        ):
            return [(await api.talk("/system/identity/print"))[0][0] for _ in range(50)]

    first = await kinds(5)
    assert first == await kinds(5)
    assert 5 <= first.count(b"!trap") <= 25


async def test_a_window_opens_and_closes_a_fault_by_itself() -> None:
    rule = FaultRule(Fault.TRAP, after=0.3, lasting=0.3)
    async with simulate(fixed_router("r"), faults=[rule]) as sim, raw_api(sim.endpoint("r")) as api:
        kinds: list[bytes] = []

        async def ask() -> bytes:
            kinds.append((await api.talk("/system/identity/print"))[0][0])
            return kinds[-1]

        await eventually(ask, lambda kind: kind == b"!trap")
        await eventually(ask, lambda kind: kind == b"!re")
    assert kinds[0] == b"!re"
