"""The firmware-checker put together."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from fleet_common.broker import close, jetstream
from fleet_common.health import Progress
from fleet_common.runtime import Runtime, unless_stopped
from fleet_firmware.channels import ChannelKey, ChannelReading
from fleet_firmware.checker import Checker
from fleet_firmware.consumers import FirmwareConsumer, FleetBroker
from fleet_firmware.file_channels import FileChannels
from fleet_firmware.host_channels import HostChannels
from fleet_firmware.metrics import FirmwareMetrics
from fleet_firmware.settings import FirmwareSection, FirmwareSettings
from fleet_firmware.store import JetStreamStore
from fleet_firmware.tenants import Tenants
from fleet_firmware.upgrade_host import UpgradeHost

_CHANNELS_SILENT_SECONDS = 120.0


class Channels(Protocol):
    """Channel data that keeps itself current."""

    def reading(self, key: ChannelKey) -> ChannelReading | None:
        """See ChannelReader."""
        ...

    async def run(
        self, on_change: Callable[[ChannelKey], Awaitable[None]], progress: Progress
    ) -> None:
        """Read what is due, for ever."""
        ...


async def run(runtime: Runtime, settings: FirmwareSettings, metrics: FirmwareMetrics) -> None:
    """Serve until told to stop; in the end wait only for answers under way, not for fetches."""
    async with open_channels(settings.firmware, metrics) as channels:
        broker = FleetBroker(settings.nats, "fleet-firmware")
        client = await unless_stopped(runtime.stop, broker.connect())
        if client is None:
            return
        js = jetstream(client, settings.nats)
        store = JetStreamStore(client, js, settings.nats.request_timeout_seconds)
        checker = Checker(channels, store, metrics, settings.firmware.forget_seconds)
        consumer = FirmwareConsumer(checker, metrics, runtime.tracing)
        tenants = Tenants(
            broker=broker,
            client=client,
            checker=checker,
            consumer=consumer,
            settings=settings,
            metrics=metrics,
            health=runtime.health,
        )
        progress = runtime.health.progress("channels", _CHANNELS_SILENT_SECONDS)
        work = [
            runtime.spawn(channels.run(checker.recheck, progress), "channels"),
            runtime.spawn(tenants.run(), "tenants"),
        ]
        runtime.health.set_ready(ready=True)
        await runtime.stop.wait()
        for task in work:
            task.cancel()
        # Before the connection ends: a nats-py call that is cancelled on a closed connection
        # raises ConnectionClosedError in place of the cancellation, and the task goes on.
        await asyncio.wait(work)
        await tenants.close()
        await close(client)


@asynccontextmanager
async def open_channels(
    settings: FirmwareSection, metrics: FirmwareMetrics
) -> AsyncGenerator[Channels]:
    """Channels from the file where one is given, else from the upgrade host."""
    if settings.channel_file is not None:
        yield FileChannels(settings.channel_file, metrics)
        return
    async with UpgradeHost(settings.upgrade_base_url, settings.fetch_timeout_seconds) as host:
        yield HostChannels(host, settings, metrics)
