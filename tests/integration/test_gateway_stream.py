"""The event stream end to end: a real nats-server, the gateway's process, HTTP clients."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from nats.js.api import ConsumerConfig, StreamConfig

from fleet_common.broker import stream_config
from fleet_contracts.codec import encode
from fleet_contracts.gen.fleet.v1.events_pb2 import TRIM_CAUSE_SHRUNK, Event, Trim
from fleet_contracts.streams import tenant_stream
from fleet_contracts.subjects import DEVICE_KINDS, Kind, tenant_id
from support.gateway import Router, declare, declared, publish
from support.gateway_process import (
    GatewayProcess,
    GatewaySite,
    gateway_process,
    running_gateway,
)
from support.nats import NatsServer, add_stream_on, connected, kill_one, nats_cluster
from support.sse import Frame, SseClient, sse
from support.waiting import eventually

NORTH = tenant_id("north")
EDGE = Router(NORTH, 0)
CORE = Router(NORTH, 1)


@pytest.fixture
async def site(nats_server: NatsServer, tmp_path: Path) -> AsyncGenerator[GatewaySite]:
    async with declared(nats_server, "north") as (client, js):
        yield GatewaySite(nats_server, client, js, tmp_path)


async def head(gateway: GatewayProcess, tenant: str = "north") -> int:
    async with httpx.AsyncClient() as http:
        body = (await http.get(f"{gateway.url}/api/v1/tenants")).json()
    [position] = [t["position"] for t in body["tenants"] if t["tenant"] == tenant]
    return int(position.split(":")[1])


async def reach(gateway: GatewayProcess, seq: int) -> None:
    await eventually(lambda: head(gateway), lambda now: now >= seq, what=f"head {seq}")


def sequences(frames: list[Frame]) -> list[int]:
    return [frame.sequence for frame in frames]


async def test_a_new_client_gets_the_whole_state_then_every_event_in_order(
    site: GatewaySite,
) -> None:
    await publish(site.js, EDGE, EDGE.facts())
    for at in range(3):
        await publish(site.js, EDGE, EDGE.poll(at))
    await publish(site.js, CORE, CORE.poll(0))
    async with site.gateway() as gateway, sse(gateway.url) as client:
        *snapshots, end = (await client.until("snapshot-end"))[-3:]
        assert {frame.data["device"] for frame in snapshots} == {EDGE.name, CORE.name}
        [edge] = [f.data["events"] for f in snapshots if f.data["device"] == EDGE.name]
        assert set(edge) == {kind.value for kind in DEVICE_KINDS}
        assert edge["status"]["slot_unix_ms"] == EDGE.poll(2)[Kind.STATUS].slot_unix_ms
        assert edge["interfaces"]["interfaces"]["interfaces"][0]["rx_bytes_total"] > 0
        assert end.data == {"tenants": ["north"], "devices": 2}
        sent = await site.statuses(EDGE, 10, 5)
        frames = await client.events(5)
    assert sequences(frames) == sent == list(range(end.sequence + 1, end.sequence + 6))
    assert frames[0].event == "status"
    assert frames[0].data["device"] == EDGE.name
    assert client.parser.retry == 2000


async def test_a_client_resumes_exactly_after_the_gateway_was_killed(site: GatewaySite) -> None:
    await site.statuses(EDGE, 0, 1)
    gateway = gateway_process(site.server, site.directory / "gateway")
    gateway.start()
    await gateway.ready()
    async with sse(gateway.url) as client:
        await client.until("snapshot-end")
        await site.statuses(EDGE, 1, 3)
        last = (await client.events(2))[-1]
        gateway.kill()
    sent = await site.statuses(EDGE, 10, 4)
    gateway.start()
    try:
        await gateway.ready()
        async with sse(gateway.url, last_event_id=last.id) as client:
            frames = await client.events(5)
            assert client.parser.last_id == frames[-1].id
    finally:
        gateway.kill()
    assert sequences(frames) == [last.sequence + 1, *sent]


async def test_a_position_behind_the_ring_is_replayed_from_the_stream(site: GatewaySite) -> None:
    async with site.gateway(RING_ENTRIES="5") as gateway:
        sent = [*await site.statuses(EDGE, 0, 30), *await site.statuses(CORE, 0, 30)]
        await reach(gateway, sent[-1])
        async with sse(gateway.url, last_event_id="3") as client:
            frames = await client.events(57)
            assert sequences(frames) == sent[3:]
            assert await site.statuses(CORE, 40, 1) == sequences(await client.events(1))
        async with sse(gateway.url, f"?device={CORE.name}", last_event_id="north:3") as client:
            frames = await client.events(31)
        assert sequences(frames) == [*sent[30:], sent[-1] + 1]
        assert await gateway.metric("fleet_gateway_resumes_total") == 2
        assert await gateway.metric("fleet_gateway_resets_total") == 0


async def test_a_discarded_position_gets_a_reset_and_a_fresh_snapshot(site: GatewaySite) -> None:
    async with site.gateway(RING_ENTRIES="5") as gateway:
        sent = await site.statuses(EDGE, 0, 30)
        await reach(gateway, sent[-1])
        await site.js.purge_stream("FLEET_north", keep=10)
        async with sse(gateway.url, last_event_id="north:3") as client:
            reset, snapshot, end = (await client.until("snapshot-end"))[-3:]
            assert reset.event == "reset"
            assert (reset.data["tenant"], reset.data["reason"]) == ("north", "discarded")
            latest = snapshot.data["events"]["status"]["slot_unix_ms"]
            assert latest == EDGE.poll(29)[Kind.STATUS].slot_unix_ms
            assert end.sequence == sent[-1]
            assert sequences(await _after(site, client)) == [sent[-1] + 1]
        async with sse(gateway.url, last_event_id="north:21") as client:
            assert sequences(await client.events(9)) == sent[21:]


async def _after(site: GatewaySite, client: SseClient) -> list[Frame]:
    await site.statuses(EDGE, 500, 1)
    return await client.events(1)


async def test_a_stream_made_anew_resets_connected_and_returning_clients(site: GatewaySite) -> None:
    async with site.gateway() as gateway, sse(gateway.url) as client:
        await client.until("snapshot-end")
        await site.statuses(EDGE, 0, 20)
        last = (await client.events(20))[-1]
        await site.js.delete_stream("FLEET_north")
        await declare(site.js, "north")
        # Beyond the old position: only the epoch tells the two streams apart.
        sent = await site.statuses(CORE, 0, 25)
        frames = await client.until("reset", 15)
        assert frames[-1].data["reason"] == "recreated"
        *snapshot, end = await client.until("snapshot-end")
        assert {f.data["device"] for f in snapshot if f.event == "snapshot"} <= {CORE.name}
        rest = sent[end.sequence :]
        assert sequences(await client.events(len(rest))) == rest
        async with sse(gateway.url, last_event_id=last.id) as returning:
            reset = (await returning.until("reset"))[-1]
            assert reset.data["reason"] == "recreated"
            assert (await returning.until("snapshot-end"))[-1].sequence == 25


async def test_a_broker_restart_leaves_neither_hole_nor_double(site: GatewaySite) -> None:
    async with site.gateway() as gateway, sse(gateway.url) as client:
        await client.until("snapshot-end")
        before = await site.statuses(EDGE, 0, 5)
        site.server.restart()
        await eventually(lambda: site.client.stats["reconnects"], bool, what="reconnected")
        after = await site.statuses(EDGE, 100, 5)
        assert sequences(await client.events(10, 20)) == [*before, *after]


async def test_events_trimmed_unread_while_the_broker_was_away_cause_a_reset(
    site: GatewaySite,
) -> None:
    async with site.gateway() as gateway, sse(gateway.url) as client:
        await client.until("snapshot-end")
        await site.statuses(EDGE, 0, 3)
        await client.events(3)
        site.server.kill()
        # A second process for the same data on another port: the gateway cannot see it.
        elsewhere = NatsServer(site.server.directory)
        elsewhere.start()
        async with connected(elsewhere.url) as other:
            js = other.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
            for number in range(10):
                await publish(js, CORE, {Kind.STATUS: CORE.poll(number)[Kind.STATUS]})
            await js.purge_stream("FLEET_north", keep=2)
        elsewhere.stop()
        site.server.start()
        reset = (await client.until("reset", 20))[-1]
        assert reset.data["reason"] == "discarded"
        assert (await client.until("snapshot-end"))[-1].sequence == 13


async def test_a_malformed_event_is_counted_and_skipped(site: GatewaySite) -> None:
    await site.js.publish("fleet.north.edge-000.status", b"not an event")
    async with site.gateway() as gateway, sse(gateway.url) as client:
        await client.until("snapshot-end")
        await site.js.publish("fleet.north.edge-000.status", b"\xff\xff")
        health = encode(EDGE.poll(0)[Kind.HEALTH])
        await site.js.publish("fleet.north.edge-000.status", health)
        await site.js.publish("fleet.north.edge-000.nonsense", health)
        [good] = await site.statuses(EDGE, 0, 1)
        assert sequences(await client.events(1)) == [good]
        # Its position passed over the bad ones, and a resume from before them works.
        async with sse(gateway.url, last_event_id="north:1") as returning:
            assert sequences(await returning.events(1)) == [good]
        assert await gateway.metric("fleet_gateway_rejected_events_total") == 3


async def test_tenants_found_later_reach_connected_clients_with_vector_ids(
    site: GatewaySite,
) -> None:
    await publish(site.js, EDGE, EDGE.poll(0))
    async with site.gateway() as gateway, sse(gateway.url) as client:
        await client.until("snapshot-end")
        await declare(site.js, "south")
        south = Router(tenant_id("south"), 7)
        await publish(site.js, south, south.poll(0))
        end = (await client.until("snapshot-end"))[-1]
        assert end.data["tenants"] == ["south"]
        await site.statuses(EDGE, 5, 1)
        # The state of a stream found while it is being filled may be empty: then they are live.
        frames = await client.until("status")
        while frames[-1].data["tenant"] != "north":
            frames = await client.until("status")
        position = frames[-1].id
        assert [part.split(":")[0] for part in position.split(",")] == ["north", "south"]
        await publish(site.js, south, {Kind.STATUS: south.poll(9)[Kind.STATUS]})
        [edge] = await site.statuses(EDGE, 6, 1)
        async with sse(gateway.url, last_event_id=position) as returning:
            seen: list[tuple[str, int]] = []
            while ("north", 6) not in seen or ("south", 9) not in seen:
                for frame in await returning.events(1):
                    at = round((frame.data["slot_unix_ms"] - 1_780_000_000_000) / 1000)
                    seen.append((frame.data["tenant"], at))
            assert edge
            assert len(seen) == len(set(seen))
        assert await gateway.metric("fleet_gateway_resets_total") == 0


async def test_a_trim_reaches_clients_but_is_no_device(site: GatewaySite) -> None:
    await publish(site.js, EDGE, EDGE.poll(0))
    slot = EDGE.poll(0)[Kind.STATUS].slot_unix_ms
    trim = Trim(cause=TRIM_CAUSE_SHRUNK, from_sequence=1, to_sequence=7)
    payload = encode(Event(slot_unix_ms=slot, trim=trim))
    async with site.gateway() as gateway, sse(gateway.url) as client:
        await client.until("snapshot-end")
        await site.js.publish("fleet.north.routerfleet.trim", payload)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        [frame] = await client.events(1)
        assert (frame.event, frame.data["trim"]["to_sequence"]) == ("trim", 7)
        async with sse(gateway.url) as late:
            *snapshots, end = await late.until("snapshot-end")
    assert [one.data["device"] for one in snapshots if one.event == "snapshot"] == [EDGE.name]
    assert end.data["devices"] == 1


async def test_filters_choose_tenants_kinds_and_devices(site: GatewaySite) -> None:
    await publish(site.js, EDGE, EDGE.poll(0))
    await publish(site.js, CORE, CORE.poll(0))
    query = f"?tenant=north&device={CORE.name}&kind=health&kind=status"
    async with site.gateway() as gateway, sse(gateway.url, query) as client:
        [snapshot, _] = (await client.until("snapshot-end"))[-2:]
        assert set(snapshot.data["events"]) == {"health", "status"}
        await publish(site.js, EDGE, EDGE.poll(1))
        await publish(site.js, CORE, CORE.poll(1))
        frames = await client.events(2)
        assert [(f.data["device"], f.event) for f in frames] == [
            (CORE.name, "status"),
            (CORE.name, "health"),
        ]


async def test_coalescing_sends_the_latest_of_each_device_and_kind_in_a_window(
    site: GatewaySite,
) -> None:
    await publish(site.js, EDGE, EDGE.poll(0))
    async with site.gateway() as gateway, sse(gateway.url, "?coalesce=1s") as client:
        await client.until("snapshot-end")
        sent = await site.statuses(EDGE, 1, 40)
        [core] = await site.statuses(CORE, 1, 1)
        seen = [(await client.events(1))[0]]
        while seen[-1].sequence < core:
            seen += await client.events(1)
        assert len(seen) < 10, [frame.id for frame in seen]
        assert sent[-1] in sequences(seen)
        assert sequences(seen) == sorted(sequences(seen))


async def test_heartbeats_move_the_position_of_a_filtered_client(site: GatewaySite) -> None:
    await publish(site.js, EDGE, EDGE.poll(0))
    settings = {"HEARTBEAT_SECONDS": "0.2", "RING_ENTRIES": "2"}
    async with site.gateway(**settings) as gateway, sse(gateway.url, "?kind=firmware") as client:
        await client.until("snapshot-end")
        sent = await site.statuses(EDGE, 1, 20)
        async with asyncio.timeout(10):
            while True:
                frame = await client.next()
                assert (frame.event, frame.data) == ("heartbeat", {"every_seconds": 0.2})
                if frame.sequence == sent[-1]:
                    break


async def test_a_client_that_does_not_read_is_cut_and_the_others_are_not(site: GatewaySite) -> None:
    big = Router(NORTH, 2, interface_count=400)
    async with site.gateway(FLUSH_MILLISECONDS="0") as gateway, sse(gateway.url) as reading:
        await reading.until("snapshot-end")
        with socket.create_connection(("127.0.0.1", gateway.port)) as sleeper:
            sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sleeper.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await eventually(lambda: gateway.metric("fleet_gateway_clients"), lambda n: n == 2)
            seen = asyncio.create_task(reading.events(40, 30))
            sent: list[int] = []
            for number in range(40):
                poll = big.poll(number)
                sent += await publish(site.js, big, {Kind.INTERFACES: poll[Kind.INTERFACES]})
            assert sequences(await seen) == sent
            await eventually(lambda: gateway.metric("fleet_gateway_clients"), lambda n: n == 1)
        assert await gateway.metric('fleet_gateway_ended_clients_total{reason="slow"}') == 1


async def test_a_client_that_goes_away_leaves_nothing_behind(site: GatewaySite) -> None:
    async with site.gateway() as gateway:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
                sock.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                sock.recv(64)
        for name in ("fleet_gateway_clients", "fleet_gateway_channels"):
            await eventually(lambda name=name: gateway.metric(name), lambda n: n == 0, what=name)


async def test_more_clients_than_places_are_told_to_come_back(site: GatewaySite) -> None:
    async with site.gateway(MAX_CLIENTS="1") as gateway, sse(gateway.url) as client:
        await client.until("snapshot-end")
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"{gateway.url}/api/v1/events")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["error"]["code"] == "too_many_clients"


async def test_sigterm_says_goodbye_and_ends_soon_with_clients_connected(site: GatewaySite) -> None:
    async with site.gateway() as gateway, sse(gateway.url) as client:
        await client.until("snapshot-end")
        # One that never reads must not hold the others up.
        with socket.create_connection(("127.0.0.1", gateway.port)) as sleeper:
            sleeper.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await eventually(lambda: gateway.metric("fleet_gateway_clients"), lambda n: n == 2)
            code = await gateway.stop(8)
        assert code == 0, gateway.log_text()[-2000:]
        bye = (await client.until("bye"))[-1]
        assert bye.data == {"reason": "shutdown"}
        with pytest.raises(StopAsyncIteration):
            await client.next()
        assert "Traceback" not in gateway.log_text()


async def test_sigterm_ends_soon_while_the_broker_hangs(site: GatewaySite) -> None:
    async with site.gateway() as gateway, sse(gateway.url) as client:
        await client.until("snapshot-end")
        site.server.pause()
        code = await gateway.stop(9)
        assert code == 0, gateway.log_text()[-2000:]
        assert (await client.until("bye"))[-1].data == {"reason": "shutdown"}


async def test_a_place_without_streams_says_so_and_waits(site: GatewaySite) -> None:
    await site.js.delete_stream("FLEET_north")
    async with site.gateway() as gateway, sse(gateway.url) as client:
        end = (await client.until("snapshot-end"))[-1]
        assert end.data == {"tenants": [], "devices": 0}
        await declare(site.js, "north")
        assert (await client.until("snapshot-end"))[-1].data["tenants"] == ["north"]
        [seq] = await site.statuses(EDGE, 0, 1)
        assert sequences(await client.events(1)) == [seq]
        assert await gateway.metric("fleet_gateway_resets_total") == 0


async def test_a_stream_that_cannot_be_read_keeps_no_other_tenant_waiting(
    site: GatewaySite,
) -> None:
    south = Router(tenant_id("south"), 7)
    await publish(site.js, EDGE, EDGE.poll(0))
    await site.js.add_stream(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        StreamConfig(
            name="FLEET_south", subjects=["fleet.south.*.*"], max_bytes=1 << 20, max_consumers=1
        )
    )
    await site.js.add_consumer("FLEET_south", ConsumerConfig(durable_name="the-only-one"))  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    await publish(site.js, south, south.poll(0))
    async with (
        site.gateway(HEALTH_LIMIT_SECONDS="1") as gateway,
        httpx.AsyncClient(base_url=gateway.url) as http,
        sse(gateway.url) as everyone,
        sse(gateway.url, "?tenant=north") as client,
    ):
        assert (await client.until("snapshot-end"))[-1].data["devices"] == 1
        assert (await everyone.until("snapshot-end"))[-1].data["tenants"] == ["north"]
        # Nobody is told that the other fleet is empty, or not there.
        for path in ("events?tenant=south", "devices?tenant=south", f"devices/south/{south.name}"):
            answer = await http.get(f"/api/v1/{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unread_stream")
            assert answer.headers["retry-after"] == "5"
        # A stream that comes later is found meanwhile.
        await declare(site.js, "west")
        assert (await everyone.until("snapshot-end"))[-1].data["tenants"] == ["west"]
        restarts = 'fleet_gateway_ingest_restarts_total{reason="refused",tenant="south"}'
        await eventually(lambda: gateway.metric(restarts), lambda n: n > 4, what="refusals")
        # A restart would mend nothing and cut everybody.
        assert (await http.get(f"{gateway.admin_url}/healthz")).status_code == 200
        await site.js.delete_consumer("FLEET_south", "the-only-one")
        end = (await everyone.until("snapshot-end"))[-1]
        assert end.data == {"tenants": ["south"], "devices": 1}
        async with sse(gateway.url, "?tenant=south") as late:
            assert (await late.until("snapshot-end"))[-1].data["devices"] == 1


async def test_a_stream_without_a_leader_is_no_empty_fleet_and_keeps_nobody_waiting(
    tmp_path: Path,
) -> None:
    south = Router(tenant_id("south"), 7)
    with nats_cluster(tmp_path) as servers:
        async with connected(servers[0].url) as client:
            for place, router in ((0, EDGE), (2, south)):
                stream = tenant_stream(router.tenant, max_bytes=1 << 20, max_age_seconds=3600)
                await add_stream_on(client, str(place), stream_config(stream))
                await publish(client.jetstream(), router, router.poll(0))  # pyright: ignore[reportUnknownMemberType] - as above
            await kill_one(servers[2], client)
            fixed = {"TENANTS": json.dumps(["north", "south"])}
            async with (
                running_gateway(servers[0], tmp_path / "finds") as finds,
                running_gateway(servers[0], tmp_path / "is-told", **fixed) as is_told,
                sse(finds.url) as of_finds,
                sse(is_told.url) as of_is_told,
            ):
                both = ((finds, of_finds), (is_told, of_is_told))
                for gateway, everyone in both:
                    assert (await everyone.until("snapshot-end"))[-1].data["tenants"] == ["north"]
                    await south_is_unread(gateway)
                servers[2].start()
                for _, everyone in both:
                    end = (await everyone.until("snapshot-end", deadline_seconds=30))[-1]
                    assert end.data == {"tenants": ["south"], "devices": 1}


async def south_is_unread(gateway: GatewayProcess) -> None:
    """Its clients alone are sent away, and nobody restarts the gateway for it."""
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{gateway.url}/api/v1/devices?tenant=south")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unread_stream")
        assert (await http.get(f"{gateway.admin_url}/livez")).status_code == 200


async def test_health_turns_red_when_the_broker_hangs(site: GatewaySite) -> None:
    async with site.gateway(HEALTH_LIMIT_SECONDS="3") as gateway, httpx.AsyncClient() as http:

        async def status() -> int:
            return (await http.get(f"{gateway.admin_url}/healthz")).status_code

        assert await status() == 200
        site.server.pause()
        await eventually(status, lambda code: code == 503, what="/healthz red")
        # A new process would find the same broker.
        assert (await http.get(f"{gateway.admin_url}/livez")).status_code == 200
        site.server.resume()
        await eventually(status, lambda code: code == 200, what="/healthz green")


async def test_streams_of_others_are_left_alone(site: GatewaySite) -> None:
    await site.js.add_stream(StreamConfig(name="OTHER", subjects=["other.>"], max_bytes=1 << 20))  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    await site.js.add_stream(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        StreamConfig(name="FLEET_Not_A_Label", subjects=["x.>"], max_bytes=1 << 20)
    )
    async with site.gateway() as gateway, httpx.AsyncClient() as http:
        body = (await http.get(f"{gateway.url}/api/v1/tenants")).json()
        assert [tenant["tenant"] for tenant in body["tenants"]] == ["north"]
