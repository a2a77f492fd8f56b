"""Keeps one consumer per tenant stream while streams come, change and go."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from faststream.nats import NatsBroker
from faststream.nats.subscriber.usecases import PullStreamSubscriber
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import StreamInfo
from nats.js.errors import Error as JetStreamError

from fleet_common.broker import created_at
from fleet_common.broker_health import BrokerHealth
from fleet_common.errors import TransientError
from fleet_common.health import Health, Progress
from fleet_common.jetstream_api import ask
from fleet_common.tenant_streams import tenant_streams
from fleet_contracts.streams import FIRMWARE_CONSUMER
from fleet_contracts.subjects import TenantId, stream_name
from fleet_firmware.checker import Checker
from fleet_firmware.consumers import FirmwareConsumer
from fleet_firmware.metrics import FirmwareMetrics
from fleet_firmware.settings import FirmwareSettings

_log = logging.getLogger(__name__)

_BROKER_SILENT_SECONDS = 10.0


@dataclass(slots=True)
class _Tenant:
    """One stream. `subscriber` is None until its facts are restored and it is consumed."""

    created: str
    progress: Progress
    subscriber: PullStreamSubscriber | None = None
    refused: bool = False
    """Whether the broker did not do what was asked of it, at the last look: no fault of ours."""


class Tenants:
    """Discovers tenant streams and consumes each; never declares or changes a stream."""

    def __init__(
        self,
        *,
        broker: NatsBroker,
        client: Client,
        checker: Checker,
        consumer: FirmwareConsumer,
        settings: FirmwareSettings,
        metrics: FirmwareMetrics,
        health: Health,
    ) -> None:
        self._broker = broker
        self._client = client
        self._checker = checker
        self._consumer = consumer
        self._settings = settings.firmware
        self._timeout_seconds = settings.nats.request_timeout_seconds
        self._metrics = metrics
        self._tenants: dict[TenantId, _Tenant] = {}
        rounds_seconds = 2 * settings.firmware.discover_seconds
        self._broker_health = BrokerHealth(
            client,
            health,
            silent_seconds=_BROKER_SILENT_SECONDS + rounds_seconds,
            rounds_seconds=rounds_seconds,
        )
        health.register("consumers", lambda: self._why_stalled(refused=False))
        health.register("streams", lambda: self._why_stalled(refused=True), elsewhere=True)

    async def run(self) -> None:
        """Look again every `discover_seconds`, for ever. Cancel to end, then `close`."""
        while True:
            try:
                await self.look()
                self._broker_health.answered()
            except (TransientError, NatsError, JetStreamError, TimeoutError, OSError) as error:
                _log.warning(
                    "tenant streams not read; trying again",
                    extra={"reason": f"{type(error).__name__}: {error}"},
                )
                await self._broker_health.failed()
            await asyncio.sleep(self._settings.discover_seconds)

    async def look(self) -> None:
        """One round: bind new streams, let go of vanished ones, mend and watch the rest."""
        streams = await tenant_streams(self._client, timeout_seconds=self._timeout_seconds)
        for tenant in self._tenants.keys() - streams.found.keys():
            if tenant in streams.silent:
                if not self._tenants[tenant].refused:
                    _log.warning(
                        "the broker says nothing of a tenant's stream (has it a leader?); waiting",
                        extra={"tenant": tenant},
                    )
                self._tenants[tenant].refused = True
                continue
            _log.info("tenant stream is gone", extra={"tenant": tenant})
            await self._let_go(tenant)
        for tenant, info in streams.found.items():
            try:
                await self._attend(tenant, info)
            except (TransientError, NatsError, JetStreamError, TimeoutError, OSError) as error:
                # One tenant's trouble; its progress check turns red when it lasts.
                if (known := self._tenants.get(tenant)) is not None:
                    known.refused = True
                _log.warning(
                    "tenant not served; trying again",
                    extra={"tenant": tenant, "reason": f"{type(error).__name__}: {error}"},
                )
        self._metrics.streams.set(
            sum(tenant.subscriber is not None for tenant in self._tenants.values())
        )

    async def close(self) -> None:
        """Stop consuming: running handlers get their grace, no new message is taken."""
        async with asyncio.TaskGroup() as group:
            for tenant in self._tenants.values():
                if tenant.subscriber is not None:
                    group.create_task(_stop(tenant.subscriber))
        self._tenants.clear()

    async def _attend(self, name: TenantId, info: StreamInfo) -> None:
        tenant = self._tenants.get(name)
        if tenant is not None and tenant.created != created_at(info):
            _log.info("tenant stream was made anew", extra={"tenant": name})
            await self._let_go(name)
            tenant = None
        if tenant is None:
            progress = Progress(self._settings.stalled_seconds)
            tenant = self._tenants[name] = _Tenant(created_at(info), progress)
        waiting = await self._waiting_events(name) if tenant.subscriber is not None else None
        if waiting is None:
            await self._consume(name, tenant)
            waiting = 0
        await self._checker.sweep(name, info.state.first_seq)
        unsettled = self._checker.unsettled(name)
        if tenant.refused and not unsettled:
            tenant.progress.beat()  # from now on it is for us to get on
        tenant.refused = unsettled > 0
        if waiting + unsettled > 0:
            tenant.progress.expect()
        else:
            tenant.progress.idle()

    async def _consume(self, name: TenantId, tenant: _Tenant) -> None:
        if tenant.subscriber is not None:
            # Deleted by hand, or lost with a memory stream.
            _log.warning("consumer is gone; making it anew", extra={"tenant": name})
            gone, tenant.subscriber = tenant.subscriber, None
            await _stop(gone)
        await self._checker.restore(name)
        tenant.subscriber = await self._consumer.subscribe(self._broker, name, tenant.progress.beat)
        _log.info("consuming tenant stream", extra={"tenant": name})

    async def _waiting_events(self, name: TenantId) -> int | None:
        """Events not answered yet; None where the consumer does not exist."""
        question = f"CONSUMER.INFO.{stream_name(name)}.{FIRMWARE_CONSUMER}"
        answer = await ask(self._client, question, {}, self._timeout_seconds)
        if not answer:
            return None
        return answer.get("num_pending", 0) + answer.get("num_ack_pending", 0)

    async def _let_go(self, name: TenantId) -> None:
        tenant = self._tenants.pop(name)
        self._checker.forget(name)
        if tenant.subscriber is not None:
            await _stop(tenant.subscriber)

    def _why_stalled(self, *, refused: bool) -> str | None:
        """Of the tenants that the broker refuses something, or of the others."""
        if not self._client.is_connected:
            return None  # told as the broker's silence
        stalled = {
            name: reason
            for name, tenant in self._tenants.items()
            if tenant.refused is refused and (reason := tenant.progress.why_unwell()) is not None
        }
        if not stalled:
            return None
        return "; ".join(f"{stream_name(name)}: {reason}" for name, reason in stalled.items())


async def _stop(subscriber: PullStreamSubscriber) -> None:
    # Unsubscribing fails while the connection is away; there is nothing to undo then.
    with contextlib.suppress(NatsError, OSError):
        await subscriber.stop()
