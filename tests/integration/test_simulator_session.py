"""The protocol as a client sees it, sentence by sentence, over real sockets."""

import asyncio

import pytest

from fleet_simulator.login import challenge_response
from fleet_simulator.server import Simulator
from fleet_simulator.tables import Row
from fleet_simulator.wire import encode_length
from support.rawapi import attributes, raw_api
from support.routers import READ, FixedMenu, FixedRouter, fixed_router
from support.simulator import simulate
from support.waiting import eventually

NO_PREFIX = [[b"!trap", b"=category=0", b"=message=no such command prefix"], [b"!done"]]


async def test_plain_login(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1"), login=False) as api:
        assert await api.talk("/login", "=name=admin", "=password=secret") == [[b"!done"]]


async def test_challenge_login() -> None:
    async with (
        simulate(fixed_router("old", version=(6, 40, 9))) as sim,
        raw_api(sim.endpoint("old"), login=False) as api,
    ):
        [done] = await api.talk("/login")
        challenge = bytes.fromhex(attributes(done)[b"ret"].decode())
        response = challenge_response(b"secret", challenge)

        assert await api.talk("/login", "=name=admin", b"=response=" + response) == [[b"!done"]]
        assert await api.rows("/system/identity/print") == [{b"name": b"old"}]


@pytest.mark.parametrize(
    ("device", "message"),
    [("router-1", b"invalid user name or password (6)"), ("router-2", b"cannot log in")],
)
async def test_wrong_password_is_a_trap_and_another_try_is_possible(
    simulator: Simulator, device: str, message: bytes
) -> None:
    async with raw_api(simulator.endpoint(device), login=False) as api:
        answer = await api.talk("/login", "=name=admin", "=password=wrong", ".tag=t")

        assert answer == [[b"!trap", b".tag=t", b"=message=" + message], [b"!done", b".tag=t"]]
        await api.login()
        assert simulator.device(device).ledger.logins_refused == 1


async def test_command_before_login_is_fatal(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1"), login=False) as api:
        api.send("/interface/print")

        assert await api.sentence() == [b"!fatal", b"not logged in"]
        assert await api.closed() == b""


async def test_long_sentence_before_login_closes_the_connection(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1"), login=False) as api:
        api.writer.write(encode_length(100_000))

        assert await api.closed() == b""


async def test_long_sentence_after_login_is_read(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        rows = await api.rows("/system/identity/print", b"=comment=" + b"x" * 2_200_000)

        assert rows == [{b"name": b"router-1"}]


async def test_control_byte_closes_the_connection_after_answering_what_came_before(
    simulator: Simulator,
) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        api.writer.write(b"\xf9\x00\x01")

        assert await api.closed() == b""


async def test_proplist_gives_only_what_is_there_in_the_order_asked(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        answer = await api.talk("/interface/print", "=.proplist=type,comment,name", "?name=ether3")

        assert answer == [[b"!re", b"=type=ether", b"=name=ether3"], [b"!done"]]


async def test_oid_suffix_gives_the_snmp_id(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        [row] = await api.rows("/system/resource/print", "=.proplist=uptime,uptime.oid,version.oid")

        assert row == {b"uptime": b"1w2d3h4m5s", b"uptime.oid": b".1.3.6.1.2.1.1.3.0"}


async def test_getall_is_print_and_count_only_counts(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        assert len(await api.rows("/interface/getall")) == 10
        for word in ("=count-only", "=count-only="):
            answer = await api.talk("/interface/print", word, "?>rx-byte=500000000000")
            assert answer == [[b"!done", b"=ret=6"]]


@pytest.mark.parametrize(
    ("version", "empties"), [((7, 18, 0), 1), ((7, 20, 1), 1), ((7, 17, 2), 0), ((6, 49, 10), 0)]
)
async def test_empty_is_sent_from_7_18_on_for_prints_only(
    version: tuple[int, int, int], empties: int
) -> None:
    async with (
        simulate(fixed_router("r", version=version)) as sim,
        raw_api(sim.endpoint("r")) as api,
    ):
        nothing = await api.talk("/interface/print", "?name=none", ".tag=5")
        counted = await api.talk("/interface/print", "?name=none", "=count-only=")
        written = await api.talk("/ip/address/set", "=.id=*1", "=comment=x")

    assert nothing == [[b"!empty", b".tag=5"]] * empties + [[b"!done", b".tag=5"]]
    assert counted == [[b"!done", b"=ret=0"]]
    assert written == [[b"!done"]]


async def test_unknown_menus_and_commands_are_traps_in_the_versions_own_words(
    simulator: Simulator,
) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        assert await api.talk("/interface/wireless/print") == NO_PREFIX
        assert await api.talk("/interface/fly") == [
            [b"!trap", b"=category=0", b"=message=no such command or directory (fly)"],
            [b"!done"],
        ]
    async with raw_api(simulator.endpoint("router-2")) as api:
        [trap, _] = await api.talk("/interface/wireless/print")
        assert trap[2] == b"=message=no such command or directory (wireless)"


async def test_commands_that_are_no_path_do_not_disturb(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        for word in ("x", "/", "//", "=name=y", "?z", "interface/print"):
            answer = await api.talk(word, ".tag=q")
            assert answer[-1] == [b"!done", b".tag=q"], answer
            assert answer[0][0] == b"!trap", answer
        assert await api.rows("/system/identity/print") == [{b"name": b"router-1"}]


async def test_non_utf8_bytes_pass_unchanged() -> None:
    router = fixed_router("r")
    router.menus["/interface"] = FixedMenu([{b".id": b"*1", b"name": b"caf\xe9", b"comment": b""}])
    async with simulate(router) as sim, raw_api(sim.endpoint("r")) as api:
        answer = await api.talk("/interface/print", b"?name=caf\xe9")

    assert answer == [[b"!re", b"=.id=*1", b"=name=caf\xe9", b"=comment="], [b"!done"]]


async def test_quit_says_good_bye_and_closes(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        api.send("/quit")

        assert await api.sentence() == [b"!fatal", b"session terminated on request"]
        assert await api.closed() == b""


async def test_writes_change_the_table_and_return_the_new_id(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        [done] = await api.talk("/ip/address/add", "=address=198.51.100.1/24", "=interface=ether2")
        new = attributes(done)[b"ret"]
        await api.talk("/ip/address/set", b"=.id=" + new, "=comment=lab")
        await api.talk("/ip/address/disable", "=numbers=0")
        rows = await api.rows("/ip/address/print", "=.proplist=.id,disabled,comment")
        [gone] = await api.talk("/ip/address/remove", b"=.id=" + new)
        left = await api.rows("/ip/address/print")
        [trap, _] = await api.talk("/ip/address/remove", b"=.id=" + new)

    assert rows == [{b".id": b"*1", b"disabled": b"true"}, {b".id": new, b"comment": b"lab"}]
    assert gone == [b"!done"]
    assert [row[b".id"] for row in left] == [b"*1"]
    assert trap == [b"!trap", b"=category=0", b"=message=no such item"]


async def test_print_takes_ids(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        assert len(await api.rows("/interface/print", "=.id=*2,*4")) == 2
        assert len(await api.rows("/interface/print", "?.id=*2")) == 1


async def test_a_poll_is_an_interface_print_answered_to_the_end(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        await api.talk("/interface/print", "=count-only=")
        await api.talk("/interface/print", "=.proplist=name")
        await api.talk("/system/identity/print")

    ledger = simulator.device("router-1").ledger
    assert (ledger.polls, ledger.logins, ledger.connections) == (1, 1, 1)
    assert ledger.commands == {"/interface/print": 2, "/system/identity/print": 1}


async def test_session_number_is_limited_and_recovers() -> None:
    async with simulate(fixed_router("r"), max_sessions=2) as sim:
        endpoint = sim.endpoint("r")
        async with raw_api(endpoint), raw_api(endpoint):
            with pytest.raises(ConnectionError):
                async with raw_api(endpoint):
                    pass
            assert sim.device("r").ledger.connections_refused == 1
        await eventually(lambda: len(sim.device("r").sessions), lambda left: left == 0)
        async with raw_api(endpoint) as api:
            assert await api.rows("/system/identity/print")


def long_table(rows: int, size: int = 100) -> FixedMenu:
    return FixedMenu([{b".id": b"*%X" % i, b"name": b"n" * size} for i in range(rows)])


async def test_a_short_command_is_answered_in_the_middle_of_a_long_one() -> None:
    router = fixed_router("r")
    router.menus["/ip/route"] = long_table(5000)
    async with simulate(router) as sim, raw_api(sim.endpoint("r")) as api:
        api.send("/ip/route/print", ".tag=long")
        api.send("/system/identity/print", ".tag=short")
        order: list[tuple[bytes, bytes]] = []
        while len([kind for kind, _ in order if kind == b"!done"]) < 2:
            sentence = await api.sentence()
            order.append((sentence[0], sentence[1]))

    short_done = order.index((b"!done", b".tag=short"))
    assert short_done < 1000
    assert order.count((b"!re", b".tag=long")) == 5000
    assert order[-1] == (b"!done", b".tag=long")


async def test_a_client_that_does_not_read_costs_bounded_memory_and_loses_nothing() -> None:
    router = fixed_router("r")
    router.menus["/ip/route"] = long_table(2000, size=2000)
    async with simulate(router) as sim, raw_api(sim.endpoint("r")) as api:
        for number in range(8):
            api.send("/ip/route/print", f".tag={number}")
        [session] = sim.device("r").sessions

        # 32 MB are due; what the sockets do not take must wait in the table, not in buffers.
        await eventually(lambda: session.unsent_bytes, lambda waiting: waiting > 0)
        assert session.unsent_bytes < 1 << 20

        finished = 0
        rows = 0
        while finished < 8:
            sentence = await api.sentence()
            finished += sentence[0] == b"!done"
            rows += sentence[0] == b"!re"
    assert rows == 16_000


async def test_more_commands_than_may_run_at_once_are_all_answered(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        for number in range(1000):
            api.send("/system/identity/print", f".tag={number}")
        done: list[bytes] = []
        while len(done) < 1000:
            sentence = await api.sentence()
            if sentence[0] == b"!done":
                done.append(sentence[1])

    assert sorted(done) == sorted(b".tag=%d" % number for number in range(1000))


async def test_cancel_with_a_tag_ends_that_command_only(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        api.send("/interface/listen", ".tag=1")
        api.send("/interface/listen", ".tag=2")
        api.send("/cancel", "=tag=1", ".tag=c")

        assert [await api.sentence() for _ in range(3)] == [
            [b"!trap", b".tag=1", b"=category=2", b"=message=interrupted"],
            [b"!done", b".tag=c"],
            [b"!done", b".tag=1"],
        ]
        api.send("/cancel", "=tag=nobody")
        assert await api.sentence() == [b"!done"]


async def test_cancel_without_a_tag_ends_all_others(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        for tag in (1, 2):
            api.send("/interface/listen", f".tag={tag}")
        api.send("/cancel")

        assert [await api.sentence() for _ in range(5)] == [
            [b"!trap", b".tag=1", b"=category=2", b"=message=interrupted"],
            [b"!trap", b".tag=2", b"=category=2", b"=message=interrupted"],
            [b"!done"],
            [b"!done", b".tag=1"],
            [b"!done", b".tag=2"],
        ]
        assert await api.rows("/system/identity/print") == [{b"name": b"router-1"}]


async def test_cancel_stops_a_long_table() -> None:
    router = fixed_router("r")
    router.menus["/ip/route"] = long_table(50_000)
    async with simulate(router) as sim, raw_api(sim.endpoint("r")) as api:
        api.send("/ip/route/print", ".tag=1")
        first = await api.sentence()
        api.send("/cancel", "=tag=1")
        rows = 1
        while (sentence := await api.sentence())[0] == b"!re":
            rows += 1

    assert first[0] == b"!re"
    assert sentence[0] == b"!trap"
    assert rows < 50_000


@pytest.mark.parametrize(("device", "dead"), [("router-1", b"true"), ("router-2", b"yes")])
async def test_listen_tells_what_another_session_writes(
    simulator: Simulator, device: str, dead: bytes
) -> None:
    endpoint = simulator.endpoint(device)
    async with raw_api(endpoint) as listener, raw_api(endpoint) as writer:
        listener.send("/ip/address/listen", ".tag=l")
        await eventually(
            lambda: simulator.device(device).ledger.commands["/ip/address/listen"],
            lambda count: count == 1,
        )
        [done] = await writer.talk("/ip/address/add", "=address=198.51.100.1/24")
        new = attributes(done)[b"ret"]
        added = await listener.sentence()
        await writer.talk("/ip/address/set", b"=.id=" + new, "=comment=x")
        changed = await listener.sentence()
        await writer.talk("/ip/address/remove", b"=.id=" + new)
        removed = await listener.sentence()

    assert added == [b"!re", b".tag=l", b"=.id=" + new, b"=address=198.51.100.1/24"]
    assert changed == [*added, b"=comment=x"]
    assert removed == [b"!re", b".tag=l", b"=.id=" + new, b"=.dead=" + dead]


async def test_follow_gives_the_rows_first_and_follow_only_does_not(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        api.send("/ip/address/print", "=follow=", ".tag=f")
        assert (await api.sentence())[:3] == [b"!re", b".tag=f", b"=.id=*1"]
        api.send("/ip/address/print", "=follow-only", "=.proplist=comment", ".tag=o")
        await api.talk("/ip/address/set", "=.id=*1", "=comment=new")
        both = [await api.sentence(), await api.sentence()]

    assert [b"!re", b".tag=o", b"=.id=*1", b"=comment=new"] in both
    assert [sentence[1] for sentence in both] in ([b".tag=f", b".tag=o"], [b".tag=o", b".tag=f"])


async def test_follow_sees_values_that_move_by_themselves() -> None:
    def rows(now: float) -> list[Row]:
        return [{b".id": b"*1", b"name": b"a", b"rx-byte": b"%d" % now}]

    router = FixedRouter("r", menus={"/interface": FixedMenu(rows)})
    async with simulate(router) as sim, raw_api(sim.endpoint("r")) as api:
        api.send("/interface/print", "=follow=", ".tag=all")
        api.send("/interface/print", "=follow=", "=.proplist=name", ".tag=still")
        first = [await api.sentence() for _ in range(2)]
        sim.clock.advance(1000)
        change = await api.sentence()

    assert {sentence[1] for sentence in first} == {b".tag=all", b".tag=still"}
    assert change[1] == b".tag=all"
    assert int(attributes(change)[b"rx-byte"]) >= 1000 + int(attributes(first[0])[b"rx-byte"])


async def test_monitor_once_gives_one_reading_by_index_and_by_names(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        by_index = await api.rows("/interface/ethernet/monitor", "=once", "=numbers=0")
        by_name = await api.rows(
            "/interface/ethernet/monitor", "=numbers=ether1,ether2", "=once=", "=.proplist=name"
        )

    assert [row[b"name"] for row in by_index] == [b"ether1"]
    assert by_name == [{b"name": b"ether1"}, {b"name": b"ether2"}]


async def test_monitor_repeats_until_cancelled(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        api.send("/interface/ethernet/monitor", "=numbers=0", "=.proplist=name", ".tag=m")
        readings = [await api.sentence(), await api.sentence()]
        api.send("/cancel", "=tag=m")
        assert (await api.sentence())[0] == b"!trap"

    assert readings == [
        [b"!re", b".tag=m", b"=.section=%d" % section, b"=name=ether1"] for section in range(2)
    ]


async def test_monitor_with_a_duration_ends_by_itself(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        answer = await api.talk(
            "/interface/ethernet/monitor", "=numbers=0", "=duration=2s", "=.proplist=name"
        )

    assert [sentence[0] for sentence in answer] == [b"!re", b"!re", b"!done"]


async def test_endless_commands_are_limited(simulator: Simulator) -> None:
    async with raw_api(simulator.endpoint("router-1")) as api:
        for tag in range(65):
            api.send("/interface/listen", f".tag={tag}")

        assert (await api.sentence())[:2] == [b"!trap", b".tag=64"]
        assert await api.sentence() == [b"!done", b".tag=64"]
        assert await api.rows("/system/identity/print")


async def test_reboot_command_answers_then_restarts() -> None:
    router = fixed_router("r")
    router.menus["/system"] = FixedMenu(commands=frozenset({"reboot"}))
    async with simulate(router) as sim, raw_api(sim.endpoint("r")) as api:
        assert await api.talk("/system/reboot") == [[b"!done"]]
        await api.closed()
        assert len(router.reboots) == 1
        assert sim.device("r").ledger.reboots == 1


async def test_a_failure_inside_one_router_leaves_the_others_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(now: float) -> list[Row]:
        raise KeyError(now)

    bad, good = fixed_router("bad"), fixed_router("good")
    bad.menus["/interface"] = FixedMenu(broken)
    async with simulate(bad, good) as sim:
        async with raw_api(sim.endpoint("bad")) as api:
            api.send("/interface/print")
            assert await api.closed() == b""
        async with raw_api(sim.endpoint("good")) as api:
            assert len(await api.rows("/interface/print")) == 10
    assert "a command failed" in caplog.text


async def test_silent_connection_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet_simulator.session.LOGIN_SECONDS", 0.1)
    async with (
        simulate(fixed_router("r")) as sim,
        raw_api(sim.endpoint("r"), login=False) as api,
    ):
        assert await api.closed() == b""


async def test_menu_without_listen_can_still_be_listened_to() -> None:
    router = FixedRouter("r", menus={"/x": FixedMenu(commands=READ - {"listen", "getall"})})
    async with simulate(router) as sim, raw_api(sim.endpoint("r")) as api:
        api.send("/x/listen", ".tag=1")
        assert [s[0] for s in await api.talk("/x/getall")] == [b"!empty", b"!done"]
        api.send("/cancel", "=tag=1")
        assert (await api.sentence())[0] == b"!trap"


async def test_connections_of_many_clients_at_once(simulator: Simulator) -> None:
    async def read() -> int:
        async with raw_api(simulator.endpoint("router-1")) as api:
            return len(await api.rows("/interface/print"))

    assert await asyncio.gather(*[read() for _ in range(15)]) == [10] * 15
