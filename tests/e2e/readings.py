"""What the suite reads from the running system: tables, streams, server-sent events."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NoKeysError, NotFoundError

from e2e.commands import wait_until
from e2e.site import Broker, Site
from fleet_cli.broker_access import connect_once
from fleet_cli.database import DeviceState, Position, read_model
from fleet_common.broker import close, jetstream
from fleet_common.errors import TransientError
from fleet_contracts.codec import decode
from fleet_contracts.gen.fleet.v1.events_pb2 import REACHABILITY_UP
from fleet_contracts.subjects import TenantId, stream_name

_BROKER_SECONDS = 10.0


def positions(url: str) -> dict[str, Position]:
    """The newest position of each tenant's stream; empty before the writer made the tables."""

    async def read() -> dict[str, Position]:
        try:
            async with read_model(url) as model:
                return {one.tenant: one for one in await model.positions()}
        except TransientError as error:
            if "not migrated" in str(error):
                return {}
            raise

    return asyncio.run(read())


def devices(url: str, tenants: Iterable[str]) -> list[DeviceState]:
    """The read model's devices."""

    async def read() -> list[DeviceState]:
        async with read_model(url) as model:
            return await model.devices(list(tenants))

    return asyncio.run(read())


def wait_for_fresh(site: Site, expected: dict[str, int], *, seconds: float, what: str) -> float:
    """Wait until every device has answered a poll of a slot after now; the seconds it took."""
    moment = datetime.now(UTC)

    def stale() -> dict[str, object]:
        try:
            with site.database() as url:
                found = devices(url, expected)
        except (TransientError, AssertionError) as error:
            return {"database": str(error)}
        lacking: dict[str, object] = {}
        for tenant, count in expected.items():
            fresh = [
                one.device
                for one in found
                if one.tenant == tenant
                and one.reachable
                and one.status_slot is not None
                and one.status_slot > moment
            ]
            if len(fresh) != count:
                lacking[tenant] = f"{len(fresh)} of {count}"
        return lacking

    _, waited = wait_until(stale, lambda lacking: not lacking, seconds=seconds, what=what)
    return waited


def on_broker[ResultT](
    broker: Broker,
    work: Callable[[JetStreamContext], Coroutine[Any, Any, ResultT]],
    seconds: float = _BROKER_SECONDS,
) -> ResultT:
    """Run something against JetStream with the services' login."""

    async def connected() -> ResultT:
        settings = broker.settings()
        client = await connect_once(settings, "routerfleet-e2e")
        try:
            async with asyncio.timeout(seconds):
                return await work(jetstream(client, settings))
        finally:
            await close(client)

    return asyncio.run(connected())


def stream_limit(broker: Broker, tenant: str) -> int | None:
    """max_bytes of a tenant's live stream; None when there is no such stream."""

    async def read(js: JetStreamContext) -> int | None:
        try:
            info = await js.stream_info(stream_name(TenantId(tenant)))
        except NotFoundError:
            return None
        return info.config.max_bytes

    return on_broker(broker, read)


def last_sequence(broker: Broker, tenant: str) -> int:
    """The newest sequence of a tenant's stream."""

    async def read(js: JetStreamContext) -> int:
        return (await js.stream_info(stream_name(TenantId(tenant)))).state.last_seq

    return on_broker(broker, read)


def set_stream_limit(broker: Broker, tenant: str, max_bytes: int) -> None:
    """What a person with the nats command would do to a stream."""

    async def change(js: JetStreamContext) -> None:
        info = await js.stream_info(stream_name(TenantId(tenant)))
        await js.update_stream(replace(info.config, max_bytes=max_bytes))  # pyright: ignore[reportUnknownMemberType] - nats-py's untyped **params

    on_broker(broker, change)


def bucket_keys(broker: Broker, bucket: str, tenant: str) -> list[str]:
    """The keys of a tenant in a KV bucket; what was deleted is none."""

    async def read(js: JetStreamContext) -> list[str]:
        try:
            keys = await (await js.key_value(bucket)).keys()  # pyright: ignore[reportUnknownMemberType] - nats-py's untyped **kwargs
            return [key for key in keys if f"{key}.".startswith(f"{tenant}.")]
        except NoKeysError:
            return []

    return on_broker(broker, read)


def wait_for_event(broker: Broker, tenant: str, device: str, *, seconds: float) -> float:
    """Wait until a device's first status event is on the stream; the seconds it took."""
    subject = f"fleet.{tenant}.{device}.status"

    async def wait(js: JetStreamContext) -> float:
        began = time.monotonic()
        while True:
            try:
                await js.get_last_msg(stream_name(TenantId(tenant)), subject)
            except NotFoundError:
                waited = time.monotonic() - began
                if waited > seconds:
                    raise AssertionError(f"no event {subject} within {seconds:g} s") from None
                await asyncio.sleep(0.1)
                continue
            return time.monotonic() - began

    return on_broker(broker, wait, seconds + _BROKER_SECONDS)


def live_devices(port: int, token: str, wanted: int, *, seconds: float) -> set[tuple[str, str]]:
    """Devices whose status came as server-sent events, until `wanted` have or time is up.

    Events only: what the snapshot at the beginning tells does not count.
    """
    seen: set[tuple[str, str]] = set()
    deadline = time.monotonic() + seconds
    with (
        httpx.Client(trust_env=False, timeout=httpx.Timeout(10, read=30)) as client,
        client.stream(
            "GET",
            f"http://127.0.0.1:{port}/api/v1/events?kind=status",
            headers={"Authorization": f"Bearer {token}"},
        ) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        event = ""
        for line in answer.iter_lines():
            if line.startswith("event:"):
                event = line.removeprefix("event:").strip()
            elif line.startswith("data:") and event == "status":
                body = json.loads(line.removeprefix("data:"))
                seen.add((body["tenant"], body["device"]))
            if len(seen) >= wanted or time.monotonic() > deadline:
                break
    return seen


def failed_polls(broker: Broker, tenant: str, first_sequence: int) -> list[str]:
    """Devices of the tenant with a failed poll since a sequence of its stream, one each poll."""

    async def read(js: JetStreamContext) -> list[str]:
        last = (await js.stream_info(stream_name(TenantId(tenant)))).state.last_seq
        failed: list[str] = []
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=first_sequence
        )
        subject = f"fleet.{tenant}.*.status"
        subscription = await js.subscribe(subject, ordered_consumer=True, config=config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its callbacks loosely
        sequence = 0
        while sequence < last:
            message = await subscription.next_msg(timeout=5)
            event = decode(message.subject, message.data)
            if event.event.status.reachability != REACHABILITY_UP:
                failed.append(event.subject.device)
            sequence = message.metadata.sequence.stream
            if message.metadata.num_pending == 0:
                break
        await subscription.unsubscribe()
        return failed

    return on_broker(broker, read, 30)
