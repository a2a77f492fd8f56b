"""Scrapes of devices that hold given readings, without routers or shards."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from fleet_common.fleet_spec import CadenceSpec, TlsMode, TlsSpec
from fleet_common.inventory import DeviceRecord
from fleet_contracts.subjects import Kind
from fleet_poller.events import Occasion, failure_event, poll_events
from fleet_poller.exposition.families import Group
from fleet_poller.exposition.held import HeldEvents
from fleet_poller.exposition.scrape import DeviceExposition, wanted_kinds
from fleet_poller.metrics import PollerMetrics
from fleet_poller.readings import PollReadings
from fleet_poller.routeros.errors import ErrorClass
from support.device_readings import ALL_GROUPS

SLOT_MS = 1_800_000_000_000
OCCASION = Occasion(SLOT_MS, 1_250, 2_300)
CORE = {"tenant": "alpha", "device": "core-1"}


@dataclass
class FakeDevice:
    """As much of a device as a scrape sees."""

    record: DeviceRecord
    held: HeldEvents


@dataclass
class ScrapedFleet:
    """Devices, and scrapes of them."""

    groups: frozenset[Group] = ALL_GROUPS
    max_series: int = 100_000
    metrics: PollerMetrics = field(default_factory=PollerMetrics)
    devices: list[FakeDevice] = field(default_factory=list[FakeDevice])

    def add(self, name: str = "core-1") -> HeldEvents:
        """A device that was not polled yet."""
        record = DeviceRecord(
            tenant="alpha",
            device=name,
            address="192.0.2.1",
            port=8728,
            credentials_secret="routers",
            tls=TlsSpec(mode=TlsMode.PLAIN),
            cadence=CadenceSpec(),
        )
        held = HeldEvents(wanted_kinds(self.groups))
        self.devices.append(FakeDevice(record, held))
        return held

    def exposition(self) -> DeviceExposition:
        """What renders them."""
        return DeviceExposition(lambda: self.devices, self.groups, self.max_series, self.metrics)

    async def text(self, *, openmetrics: bool = False) -> str:
        """One scrape."""
        return await rendered(self.exposition(), openmetrics=openmetrics)

    async def families(self) -> dict[str, Metric]:
        """By name, as prometheus_client reads them."""
        return {one.name: one for one in text_string_to_metric_families(await self.text())}

    async def value(self, name: str, **labels: str) -> float | None:
        """Of the device core-1; None where there is no such sample."""
        wanted = {**CORE, **labels}
        for family in text_string_to_metric_families(await self.text()):
            for sample in family.samples:
                if sample.name == name and sample.labels == wanted:
                    return sample.value
        return None


async def rendered(exposition: DeviceExposition, *, openmetrics: bool = False) -> str:
    """The whole text of one scrape."""
    pieces = [piece async for piece in exposition.stream(openmetrics=openmetrics)]
    return b"".join(pieces).decode()


def polled(held: HeldEvents, readings: PollReadings, due: Iterable[Kind] = tuple(Kind)) -> None:
    """A poll read this."""
    held.read(poll_events(OCCASION, readings), list(due), SLOT_MS + 1_250)


def failed(held: HeldEvents, failures: int = 1) -> None:
    """A poll got no answer."""
    occasion = Occasion(SLOT_MS + 60_000, 5_000, 0)
    held.failed(failure_event(occasion, ErrorClass.TIMEOUT, "no answer", failures))
