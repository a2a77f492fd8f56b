"""Coming back while the broker is in trouble: late is well, a hole is not, nor a needless reset."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import override

import pytest

from chaos.proxy import Link
from fleet_contracts.subjects import tenant_id
from support.gateway import Router, declare, declared
from support.gateway_process import GatewayProcess, GatewaySite
from support.nats import NatsServer
from support.ports import free_port
from support.sse import Frame, SseClient, sse

NORTH = Router(tenant_id("north"), 0)
SOUTH = Router(tenant_id("south"), 0)


@dataclass
class Site(GatewaySite):
    """One of tenant north; the gateways reach the broker through the link."""

    link: Link

    @property
    @override
    def broker_url(self) -> str:
        return f"nats://127.0.0.1:{self.link.port}"


@pytest.fixture
async def site(nats_server: NatsServer, tmp_path: Path) -> AsyncGenerator[Site]:
    link = Link("nats", free_port(), nats_server.port)
    async with declared(nats_server, "north") as (client, js), link.serve():
        yield Site(nats_server, client, js, tmp_path, link)


async def first_frame(client: SseClient) -> Frame:
    """The first block with data."""
    while True:
        frame = await client.next(30)
        if frame.event:
            return frame


async def past_the_ring(site: Site, gateway: GatewayProcess) -> tuple[str, list[int]]:
    """An early position, and the events after it: more than the gateway still has in memory."""
    async with sse(gateway.url) as client:
        await client.until("snapshot-end")
        sent = await site.statuses(NORTH, 0, 30)
        frames = await client.events(30)
    return frames[2].id, sent[3:]


@contextlib.asynccontextmanager
async def waiting_for(client: SseClient, missed: list[int], seconds: float) -> AsyncGenerator[None]:
    """Nothing comes for so long; after the block come exactly the missed events."""
    reading = asyncio.create_task(client.events(len(missed), seconds + 30))
    await asyncio.wait({reading}, timeout=seconds)
    assert not reading.done(), reading.result()
    yield
    assert [frame.sequence for frame in await reading] == missed


async def test_a_broker_that_is_away_delays_a_resume_and_does_not_reset_it(site: Site) -> None:
    async with site.gateway(RING_ENTRIES="5") as gateway:
        position, missed = await past_the_ring(site, gateway)
        site.server.kill()
        async with (
            sse(gateway.url, last_event_id=position) as client,
            waiting_for(client, missed, 1.0),
        ):
            site.server.start()


async def test_a_broker_that_hangs_amid_a_replay_delays_it_and_does_not_reset_it(
    site: Site,
) -> None:
    async with site.gateway(RING_ENTRIES="5") as gateway:
        position, missed = await past_the_ring(site, gateway)
        site.server.pause()
        try:
            # Longer than one reading's deadline: what was asked first may never be answered.
            async with (
                sse(gateway.url, last_event_id=position) as client,
                waiting_for(client, missed, 6.0),
            ):
                site.server.resume()
        finally:
            site.server.resume()


async def test_a_replay_whose_request_is_lost_with_its_connection_is_asked_for_again(
    site: Site,
) -> None:
    async with site.gateway(RING_ENTRIES="5") as gateway:
        position, missed = await past_the_ring(site, gateway)
        cuts = site.link.cuts
        site.link.tear(b"$JS.API.DIRECT.GET")
        async with sse(gateway.url, last_event_id=position) as client:
            assert [frame.sequence for frame in await client.events(len(missed), 30)] == missed
        assert site.link.cuts == cuts + 1


async def test_a_replay_whose_request_is_lost_alone_is_soon_asked_for_again(site: Site) -> None:
    async with site.gateway(RING_ENTRIES="5") as gateway:
        position, missed = await past_the_ring(site, gateway)
        site.link.lose(b"PUB $JS.API.DIRECT.GET")
        begin = time.monotonic()
        async with sse(gateway.url, last_event_id=position) as client:
            assert [frame.sequence for frame in await client.events(len(missed), 30)] == missed
        # As long as a reading may take that is only slow.
        assert time.monotonic() - begin < 5
        assert (site.link.lost, site.link.cuts) == (1, 0)


async def test_a_client_whose_stream_stays_unreadable_is_sent_away_with_its_position(
    site: Site,
) -> None:
    async with site.gateway(RING_ENTRIES="5") as gateway:
        position, missed = await past_the_ring(site, gateway)
        site.server.kill()
        async with sse(gateway.url, last_event_id=position) as client:
            bye = await first_frame(client)
            assert (bye.event, bye.data) == ("bye", {"reason": "unavailable"})
        site.server.start()
        async with sse(gateway.url, last_event_id=position) as client:
            assert [f.sequence for f in await client.events(len(missed), 30)] == missed


async def test_a_position_that_a_lagging_gateway_has_not_reached_is_not_reset(site: Site) -> None:
    async with site.gateway() as gateway:
        async with sse(gateway.url) as client:
            epoch = (await client.until("snapshot-end"))[-1].id.split(":")[2]
        site.link.hold()
        last = (await site.statuses(NORTH, 0, 5))[-1]
        position = f"north:{last - 1}:{epoch}"
        async with sse(gateway.url, last_event_id=position) as client:
            bye = await first_frame(client)
            assert (bye.event, bye.data) == ("bye", {"reason": "unavailable"})
        site.link.release()
        async with sse(gateway.url, last_event_id=position) as client:
            assert [frame.sequence for frame in await client.events(1)] == [last]


async def test_a_position_beyond_the_end_of_the_stream_is_reset(site: Site) -> None:
    await site.statuses(NORTH, 0, 5)
    async with site.gateway() as gateway, sse(gateway.url, last_event_id="north:99") as client:
        reset = await first_frame(client)
        assert (reset.event, reset.data["reason"]) == ("reset", "ahead")
        assert (await client.until("snapshot-end"))[-1].sequence == 5


async def test_positions_in_streams_not_found_yet_outlive_reconnects(site: Site) -> None:
    await declare(site.js, "south")
    await site.statuses(SOUTH, 0, 3)
    async with site.gateway() as gateway:
        async with sse(gateway.url) as client:
            position = (await client.until("snapshot-end"))[-1].id
        south = position.split(",")[1]
        assert south.startswith("south:3:")
        await site.js.delete_stream("FLEET_south")
        gateway.kill()
        gateway.start()
        await gateway.ready()
        async with sse(gateway.url, last_event_id=position) as client:
            await site.statuses(NORTH, 0, 1)
            [event] = await client.events(1)
            assert event.id.split(",")[1] == south
            # Connected or away, it is told what became of that stream when it is found.
            await declare(site.js, "south")
            await site.statuses(SOUTH, 10, 2)
            assert (await client.until("reset"))[-1].data["tenant"] == "south"
            assert (await client.until("snapshot-end"))[-1].id.split(",")[1] != south
            [seq] = await site.statuses(NORTH, 1, 1)
            again = (await client.events(1))[-1]
            while again.data["tenant"] != "north":
                again = (await client.events(1))[-1]
            assert again.id.startswith(f"north:{seq}:")
        async with sse(gateway.url, last_event_id=event.id) as returning:
            reset = await first_frame(returning)
            assert (reset.event, reset.data["tenant"]) == ("reset", "south")
            assert reset.data["reason"] == "recreated"
