"""The shared broker calls against a real nats-server, well and unwell."""

import asyncio
import time
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from fleet_common.broker import (
    close,
    connect,
    created_at,
    declare_bucket,
    declare_stream,
    hangs,
    jetstream,
    probe,
)
from fleet_common.direct import last_message, last_messages
from fleet_common.errors import ConfigurationError, TransientError
from fleet_common.settings import NatsSection
from fleet_contracts.streams import MAX_MESSAGE_BYTES, StreamStorage, tenant_stream
from fleet_contracts.subjects import TenantId
from support.nats import NatsServer
from support.ports import free_port
from support.waiting import eventually

ACME = TenantId("acme")


@pytest.fixture
def js(nats_server: NatsServer, nats_client: Client) -> JetStreamContext:
    return jetstream(nats_client, NatsSection(url=nats_server.url, request_timeout_seconds=5))


async def test_a_probe_is_a_round_trip(nats_client: Client) -> None:
    await probe(nats_client)


async def test_a_probe_fails_in_time_when_the_server_hangs(
    nats_server: NatsServer, nats_client: Client
) -> None:
    nats_server.pause()
    started = time.monotonic()
    assert nats_client.is_connected
    with pytest.raises(TransientError, match="broker does not answer"):
        await probe(nats_client, timeout_seconds=1)
    assert await hangs(nats_client)
    assert time.monotonic() - started < 8
    nats_server.resume()
    await probe(nats_client, timeout_seconds=5)


async def test_a_probe_fails_while_the_client_reconnects_and_passes_after(
    nats_server: NatsServer,
) -> None:
    client = await connect(NatsSection(url=nats_server.url), "test")
    nats_server.kill()
    await eventually(lambda: client.is_connected, lambda up: not up, what="loss of the connection")
    with pytest.raises(TransientError, match="not connected"):
        await probe(client)
    assert not await hangs(client)
    nats_server.start()
    await eventually(lambda: client.is_connected, lambda up: up, what="reconnection")
    await probe(client, timeout_seconds=5)
    assert not await hangs(client)
    await close(client)


async def test_connecting_waits_for_the_server(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    connecting = asyncio.create_task(connect(NatsSection(url=server.url), "test"))
    await asyncio.sleep(0.3)
    assert not connecting.done()
    server.start()
    try:
        async with asyncio.timeout(15):
            client = await connecting
        await close(client)
    finally:
        server.stop()


async def test_a_token_opens_the_door_and_a_missing_file_is_named(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", extra_config="authorization { token: s3cret }")
    server.start()
    try:
        settings = NatsSection.model_validate({"url": server.url, "token": "s3cret"})
        client = await connect(settings, "test")
        await probe(client)
        await close(client)
    finally:
        server.stop()
    for field in ("credentials_file", "ca_file"):
        settings = NatsSection.model_validate({"url": server.url, field: tmp_path / "none"})
        with pytest.raises(ConfigurationError, match=f"FLEET_NATS__{field.upper()}: .*none"):
            await connect(settings, "test")


async def test_closing_is_done_in_time_while_the_server_hangs(nats_server: NatsServer) -> None:
    client = await connect(NatsSection(url=nats_server.url), "test")
    nats_server.pause()
    started = time.monotonic()
    await close(client, flush_seconds=1)
    assert time.monotonic() - started < 5
    assert client.is_closed


async def test_closing_sends_what_is_pending(nats_server: NatsServer, nats_client: Client) -> None:
    subscription = await nats_client.subscribe("greetings")  # pyright: ignore[reportUnknownMemberType] - nats-py types its callback loosely
    await nats_client.flush()
    client = await connect(NatsSection(url=nats_server.url), "test")
    await client.publish("greetings", b"goodbye")
    await close(client)
    message = await subscription.next_msg(timeout=5)
    assert message.data == b"goodbye"


async def test_closing_a_client_whose_server_is_gone_raises_nothing(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    server.start()
    client = await connect(NatsSection(url=server.url), "test")
    server.kill()
    await eventually(lambda: client.is_connected, lambda up: not up, what="loss of the connection")
    async with asyncio.timeout(8):
        await close(client, flush_seconds=1)
    assert client.is_closed


async def test_a_declared_stream_has_every_limit(js: JetStreamContext) -> None:
    info = await declare_stream(js, tenant_stream(ACME, max_bytes=1 << 20, max_age_seconds=3600))
    config = info.config
    assert (config.max_bytes, config.max_age, config.max_msg_size) == (
        1 << 20,
        3600,
        MAX_MESSAGE_BYTES,
    )
    assert config.duplicate_window == 120
    assert config.allow_direct
    assert config.discard == "old"
    assert config.subjects == ["fleet.acme.>"]


async def test_declaring_again_keeps_messages_and_brings_drift_back(js: JetStreamContext) -> None:
    definition = tenant_stream(ACME, max_bytes=1 << 20, max_age_seconds=3600)
    first = await declare_stream(js, definition)
    await js.publish("fleet.acme.r1.status", b"x")
    await js.update_stream(first.config, max_bytes=-1)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    again = await declare_stream(js, definition)
    assert again.config.max_bytes == 1 << 20
    assert again.state.messages == 1
    assert created_at(again) == created_at(first)


async def test_a_smaller_size_trims_the_oldest_of_the_live_stream(js: JetStreamContext) -> None:
    await declare_stream(js, tenant_stream(ACME, max_bytes=1 << 20, max_age_seconds=3600))
    for _ in range(100):
        await js.publish("fleet.acme.r1.status", bytes(1000))
    info = await declare_stream(js, tenant_stream(ACME, max_bytes=20_000, max_age_seconds=3600))
    assert info.state.bytes <= 20_000
    assert info.state.last_seq == 100
    assert info.state.first_seq > 75


async def test_a_stream_made_anew_is_another_one(js: JetStreamContext) -> None:
    definition = tenant_stream(
        ACME, max_bytes=1 << 20, max_age_seconds=3600, storage=StreamStorage.MEMORY
    )
    first = await declare_stream(js, definition)
    await js.delete_stream(definition.name)
    assert created_at(await declare_stream(js, definition)) != created_at(first)


async def test_a_bucket_is_made_once_and_keeps_its_values(js: JetStreamContext) -> None:
    bucket = await declare_bucket(js, "fleet-inventory", 1 << 20)
    await bucket.put("acme.r1", b"x")
    again = await declare_bucket(js, "fleet-inventory", 1 << 20)
    assert (await again.get("acme.r1")).value == b"x"
    assert (await js.stream_info("KV_fleet-inventory")).config.max_bytes == 1 << 20


async def test_the_newest_message_of_each_subject_is_read_without_a_consumer(
    js: JetStreamContext, nats_client: Client
) -> None:
    await declare_stream(js, tenant_stream(ACME, max_bytes=1 << 22, max_age_seconds=3600))
    for round_ in range(2):
        for number in range(600):  # more than two chunks
            await js.publish_async(  # pyright: ignore[reportUnknownMemberType] - nats-py types its headers loosely
                f"fleet.acme.r{number}.firmware", b"%d" % round_
            )
    await js.publish("fleet.acme.r1.status", b"other kind")
    await js.publish_async_completed()
    found = [
        message
        async for message in last_messages(nats_client, "FLEET_acme", "fleet.acme.*.firmware")
    ]
    assert {message.subject for message in found} == {
        f"fleet.acme.r{number}.firmware" for number in range(600)
    }
    assert {message.payload for message in found} == {b"1"}
    assert all(600 < message.sequence <= 1200 for message in found)
    few = last_messages(nats_client, "FLEET_acme", "fleet.acme.*.firmware", limit=300)
    assert len({message.subject async for message in few}) == 300


async def test_the_newest_message_of_one_subject_or_none(
    js: JetStreamContext, nats_client: Client
) -> None:
    await declare_stream(js, tenant_stream(ACME, max_bytes=1 << 20, max_age_seconds=3600))
    await js.publish("fleet.acme.r1.status", b"x", headers={"Nats-Msg-Id": "1"})
    message = await last_message(nats_client, "FLEET_acme", "fleet.acme.r1.status")
    assert message is not None
    assert (message.payload, message.sequence) == (b"x", 1)
    assert message.headers["Nats-Msg-Id"] == "1"
    assert await last_message(nats_client, "FLEET_acme", "fleet.acme.r2.status") is None


async def test_reading_a_stream_that_is_not_there_is_a_transient_error(
    nats_client: Client,
) -> None:
    with pytest.raises(TransientError, match="FLEET_none"):
        await last_message(nats_client, "FLEET_none", "fleet.none.r1.status")
    with pytest.raises(TransientError, match="FLEET_none"):
        async for _ in last_messages(nats_client, "FLEET_none", "fleet.none.*.status"):
            pass


async def test_reading_from_a_server_that_hangs_is_a_transient_error_in_time(
    nats_server: NatsServer, js: JetStreamContext, nats_client: Client
) -> None:
    await declare_stream(js, tenant_stream(ACME, max_bytes=1 << 20, max_age_seconds=3600))
    nats_server.pause()
    started = time.monotonic()
    with pytest.raises(TransientError):
        await last_message(nats_client, "FLEET_acme", "fleet.acme.r1.status", timeout_seconds=0.5)
    assert time.monotonic() - started < 5
    nats_server.resume()


async def test_connecting_where_nothing_listens_can_be_given_up() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await connect(NatsSection(url=f"nats://127.0.0.1:{free_port()}"), "test")
