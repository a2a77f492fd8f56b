"""`routerfleet events tail`: decoded events as they come."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy

from fleet_cli.broker_access import connect_once
from fleet_cli.event_lines import EventFilter, event_json, event_text
from fleet_cli.stream_reader import StreamMessage, read_from
from fleet_common.broker import close, jetstream
from fleet_common.errors import ConfigurationError
from fleet_common.settings import NatsSection
from fleet_common.tenant_streams import tenants_with_streams
from fleet_contracts.subjects import TenantId, stream_name, tenant_subjects

_WAITING: Final = 1000
"""Messages held while the terminal is slower than the streams."""


@dataclass(frozen=True, slots=True)
class TailOptions:
    """What to show. `since_seconds` None: only what comes from now on; `limit` 0: no end."""

    wanted: EventFilter
    since_seconds: float | None
    limit: int
    as_json: bool


async def tail(settings: NatsSection, options: TailOptions, show: Callable[[str], None]) -> int:
    """Show events until the limit is reached or the task is cancelled; how many were shown.

    Raises TransientError without a server, ConfigurationError for a tenant without a stream.
    """
    client = await connect_once(settings, "routerfleet-tail")
    try:
        js = jetstream(client, settings)
        tenants = await _tenants(client, options.wanted)
        queue: asyncio.Queue[StreamMessage] = asyncio.Queue(_WAITING)
        async with asyncio.TaskGroup() as tasks:
            readers = [
                tasks.create_task(_read(js, tenant, options, queue), name=f"read {tenant}")
                for tenant in tenants
            ]
            shown = await _show(queue, options, show)
            for reader in readers:
                reader.cancel()
        return shown
    finally:
        await close(client)


async def _show(
    queue: "asyncio.Queue[StreamMessage]", options: TailOptions, show: Callable[[str], None]
) -> int:
    shown = 0
    while not options.limit or shown < options.limit:
        message = await queue.get()
        if not options.wanted.covers(message.subject):
            continue
        if options.as_json:
            show(json.dumps(event_json(message), ensure_ascii=False))
        else:
            show(event_text(message))
        shown += 1
    return shown


async def _read(
    js: JetStreamContext,
    tenant: TenantId,
    options: TailOptions,
    queue: "asyncio.Queue[StreamMessage]",
) -> None:
    config = ConsumerConfig(deliver_policy=DeliverPolicy.NEW)
    if options.since_seconds is not None:
        begin = datetime.now(UTC) - timedelta(seconds=options.since_seconds)
        config = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=begin)
    reading = read_from(js, stream_name(tenant), config, tenant_subjects(tenant))
    async with contextlib.aclosing(reading) as messages:
        async for message in messages:
            await queue.put(message)


async def _tenants(client: Client, wanted: EventFilter) -> list[TenantId]:
    existing = sorted(await tenants_with_streams(client))
    missing = [tenant for tenant in wanted.tenants if tenant not in existing]
    if missing:
        raise ConfigurationError(
            f"--tenant {missing[0]}: this server has no stream of that tenant; it has: "
            f"{', '.join(existing) or 'none'}"
        )
    if not existing:
        raise ConfigurationError(
            "this server has no tenant streams: nothing has declared any (is it the right server?)"
        )
    return [tenant for tenant in existing if not wanted.tenants or tenant in wanted.tenants]
