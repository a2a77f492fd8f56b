"""The firmware-checker as tests start it, the events it is given and the advice it gives."""

import time

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from fleet_common.broker import declare_stream
from fleet_common.direct import last_message
from fleet_contracts.codec import DecodedEvent, decode, encode
from fleet_contracts.gen.fleet.v1.events_pb2 import Event, Firmware, Verdict
from fleet_contracts.streams import tenant_stream
from fleet_contracts.subjects import (
    Kind,
    device_id,
    kind_subjects,
    message_id,
    stream_name,
    tenant_id,
)
from fleet_simulator.upgrade_host import UpgradeHost
from support.nats import NatsServer
from support.waiting import eventually

MODULE = "fleet_firmware"
TENANT = tenant_id("acme")
STREAM = stream_name(TENANT)
STABLE = "NEWESTa7.stable"
NOW_MS = int(time.time() * 1000)
DURABLE = "firmware-checker"


def settings(server: NatsServer, host: UpgradeHost | None, **more: str) -> dict[str, str]:
    base = {
        "FLEET_NATS__URL": server.url,
        "FLEET_NATS__REQUEST_TIMEOUT_SECONDS": "2",
        "FLEET_FIRMWARE__DISCOVER_SECONDS": "0.2",
        "FLEET_FIRMWARE__REQUEST_SPACING_SECONDS": "0",
        "FLEET_FIRMWARE__FETCH_TIMEOUT_SECONDS": "60",
    }
    if host is not None:
        base["FLEET_FIRMWARE__UPGRADE_BASE_URL"] = host.base_url
    return {**base, **{f"FLEET_FIRMWARE__{name.upper()}": value for name, value in more.items()}}


async def declare(client: Client, tenant: str = TENANT, max_bytes: int = 1 << 20) -> None:
    await declare_stream(
        client.jetstream(),  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        tenant_stream(tenant_id(tenant), max_bytes=max_bytes, max_age_seconds=3600),
    )


async def publish_firmware(
    client: Client,
    device: str,
    version: str,
    *,
    channel: str = "stable",
    slot: int = NOW_MS,
    tenant: str = TENANT,
) -> None:
    event = Event(
        slot_unix_ms=slot,
        firmware=Firmware(installed_version=version, channel=channel, architecture="arm64"),
    )
    await client.jetstream().publish(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        f"fleet.{tenant}.{device}.firmware",
        encode(event),
        headers={"Nats-Msg-Id": message_id(device_id(device), Kind.FIRMWARE, slot)},
    )


async def advice_of(client: Client, device: str, tenant: str = TENANT) -> DecodedEvent | None:
    subject = f"fleet.{tenant}.{device}.firmware-advice"
    message = await last_message(client, stream_name(tenant_id(tenant)), subject)
    return None if message is None else decode(subject, message.payload)


async def verdict_of(client: Client, device: str, tenant: str = TENANT) -> str | None:
    decoded = await advice_of(client, device, tenant)
    if decoded is None:
        return None
    advice = decoded.event.firmware_advice
    verdict = Verdict.Name(advice.verdict).removeprefix("VERDICT_").lower()
    return f"{verdict} {advice.latest_version}".strip()


async def wait_for_verdict(client: Client, device: str, verdict: str, tenant: str = TENANT) -> None:
    await eventually(
        lambda: verdict_of(client, device, tenant),
        lambda seen: seen == verdict,
        what=f"advice for {device}",
    )


async def stored_advice(client: Client) -> int:
    """How many advice messages the stream holds, repeated ones included."""
    info = await client.jetstream().stream_info(STREAM, kind_subjects(TENANT, Kind.FIRMWARE_ADVICE))  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    return sum((info.state.subjects or {}).values())


async def unanswered(client: Client) -> int:
    """Events the consumer has not finished; -1 while there is no consumer."""
    try:
        info = await client.jetstream().consumer_info(STREAM, DURABLE)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    except NotFoundError:
        return -1
    return (info.num_pending or 0) + (info.num_ack_pending or 0)


async def all_answered(client: Client) -> None:
    await eventually(lambda: unanswered(client), lambda left: left == 0, what="all events answered")
