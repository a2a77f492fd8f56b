"""Which tenants have a stream, asked of a real server."""

from pathlib import Path

import nats.js.api
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from fleet_common.broker import created_at, declare_bucket, declare_stream
from fleet_common.errors import TransientError
from fleet_common.tenant_streams import (
    TenantStreams,
    streams_of,
    tenant_stream,
    tenant_streams,
    tenants_with_streams,
)
from fleet_contracts.streams import tenant_stream as definition_of
from fleet_contracts.subjects import TenantId
from support.nats import NatsServer, add_stream_on, connected, kill_one, nats_cluster

NORTH = TenantId("north")
SOUTH = TenantId("south")
_PAGE = 256
"""What nats-server gives of STREAM.LIST at a time."""


@pytest.fixture
def js(nats_client: Client) -> JetStreamContext:
    return nats_client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely


async def _declare(js: JetStreamContext, name: str) -> None:
    config = nats.js.api.StreamConfig(name=name, subjects=[name], storage="memory")  # pyright: ignore[reportArgumentType] - nats-py takes the word
    await js.add_stream(config)  # pyright: ignore[reportUnknownMemberType] - as above


async def test_only_tenants_streams_are_found(js: JetStreamContext, nats_client: Client) -> None:
    info = await declare_stream(js, definition_of(NORTH, max_bytes=1 << 20, max_age_seconds=3600))
    await declare_bucket(js, "FLEET_things", 1 << 20)
    for stranger in ("ORDERS", "FLEET_North", "FLEET_-", "FLEET"):
        await _declare(js, stranger)
    found = (await tenant_streams(nats_client)).found
    assert found.keys() == {NORTH} == await tenants_with_streams(nats_client)
    assert created_at(found[NORTH]) == created_at(info)
    assert found[NORTH].config.max_bytes == 1 << 20


async def test_a_server_without_streams_has_none(nats_client: Client) -> None:
    assert await tenants_with_streams(nats_client) == set()
    assert await tenant_streams(nats_client) == TenantStreams({})


async def test_more_streams_than_a_page_holds_are_all_found(
    js: JetStreamContext, nats_client: Client
) -> None:
    names = {f"t{number}" for number in range(_PAGE + 4)}
    for name in names:
        await _declare(js, f"FLEET_{name}")
    assert (await tenant_streams(nats_client)).found.keys() == names
    assert await tenants_with_streams(nats_client) == names


async def test_one_tenants_stream_is_there_or_none(
    js: JetStreamContext, nats_client: Client
) -> None:
    await _declare(js, "FLEET_north")
    found = await tenant_stream(nats_client, NORTH)
    assert found is not None
    assert found.config.name == "FLEET_north"
    assert await tenant_stream(nats_client, TenantId("south")) is None


async def test_a_broker_that_does_not_answer_has_not_no_streams(
    nats_server: NatsServer, nats_client: Client
) -> None:
    nats_server.pause()
    for question in (tenants_with_streams, tenant_streams):
        with pytest.raises(TransientError, match=r"STREAM\.(NAMES|LIST)"):
            await question(nats_client, timeout_seconds=0.3)


async def test_a_stream_without_a_leader_is_there_and_holds_up_no_other(tmp_path: Path) -> None:
    with nats_cluster(tmp_path) as servers:
        async with connected(servers[0].url) as client:
            for tag, tenant in (("0", NORTH), ("2", SOUTH)):
                config = nats.js.api.StreamConfig(name=f"FLEET_{tenant}", subjects=[tenant])
                await add_stream_on(client, tag, config)
            await kill_one(servers[2], client)
            for found in (
                await tenant_streams(client, timeout_seconds=10),
                await streams_of(client, [NORTH, SOUTH], timeout_seconds=1),
            ):
                assert (found.found.keys(), found.silent) == ({NORTH}, {SOUTH})
            with pytest.raises(TransientError, match=r"STREAM\.INFO\.FLEET_south"):
                await streams_of(client, [SOUTH], timeout_seconds=1)
