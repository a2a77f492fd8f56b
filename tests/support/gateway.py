"""Events of made-up routers on a stream, for tests of what reads them.

The events are made here, not polled: tests of the gateway choose what stands on the stream.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client
from nats.js import JetStreamContext

import fleet_contracts.gen.fleet.v1.events_pb2 as pb
from fleet_common.broker import declare_stream
from fleet_contracts.codec import encode
from fleet_contracts.columns import InterfaceReading, pack
from fleet_contracts.streams import StreamStorage, tenant_stream
from fleet_contracts.subjects import Kind, TenantId, device_id, message_id, tenant_id
from support.nats import NatsServer, connected

SLOT = 1_780_000_000_000
_BOARDS = (
    ("RB5009UG+S+", "arm64", "7.16.2"),
    ("CCR2004-1G-12S+2XS", "arm64", "7.15.3"),
    ("hAP ax³", "arm64", "7.16.2"),
    ("CRS326-24G-2S+", "arm", "6.49.17"),
    ("RB750Gr3", "mmips", "7.14.3"),
    ("wAP LTE kit", "mipsbe", "6.49.10"),
    ("CHR", "x86_64", "7.17"),
)
_ROLES = ("edge", "core", "access", "branch", "tower")


def device_name(number: int) -> str:
    return f"{_ROLES[number % len(_ROLES)]}-{number:03d}"


@dataclass(frozen=True)
class Router:
    """A made-up router whose readings are a function of the time in seconds."""

    tenant: TenantId
    number: int
    down: bool = False
    comment: str = "uplink"
    ssid: str = "Office"
    interface_count: int = 10

    @property
    def name(self) -> str:
        return device_name(self.number)

    @property
    def wireless(self) -> bool:
        return self.number % 3 != 1

    def subject(self, kind: Kind) -> str:
        return f"fleet.{self.tenant}.{self.name}.{kind.value}"

    def poll(self, at_seconds: float) -> dict[Kind, pb.Event]:
        """What one poll publishes; a router that is down gives its status alone."""
        slot = SLOT + round(at_seconds * 1000)
        if self.down:
            status = pb.Status(
                reachability=pb.REACHABILITY_DOWN,
                error_class=pb.ERROR_CLASS_TIMEOUT,
                error_message="no answer within 10 s",
                consecutive_failures=3,
            )
            return {Kind.STATUS: pb.Event(slot_unix_ms=slot, status=status)}
        events = {
            Kind.STATUS: pb.Event(status=self._status(at_seconds)),
            Kind.HEALTH: pb.Event(health=self._health(at_seconds)),
            Kind.INTERFACES: pb.Event(interfaces=self._interfaces(at_seconds)),
        }
        if self.wireless:
            events[Kind.WIRELESS] = pb.Event(wireless=self._wireless(at_seconds))
        return _timed(events, slot)

    def facts(self, at_seconds: float = 0.0) -> dict[Kind, pb.Event]:
        """What rarely changes: inventory, firmware and the checker's advice."""
        board, architecture, version = _BOARDS[self.number % len(_BOARDS)]
        behind = version not in {"7.16.2", "7.17"}
        events = {
            Kind.INVENTORY: pb.Event(inventory=self._inventory(board, architecture, version)),
            Kind.FIRMWARE: pb.Event(
                firmware=pb.Firmware(
                    installed_version=version, channel="stable", architecture=architecture,
                    routerboot_current=version, routerboot_upgrade=version,
                    routerboard=board != "CHR",
                )
            ),
            Kind.FIRMWARE_ADVICE: pb.Event(
                firmware_advice=pb.FirmwareAdvice(
                    verdict=pb.VERDICT_UPGRADE_AVAILABLE if behind else pb.VERDICT_UP_TO_DATE,
                    installed_version=version, channel="stable",
                    latest_version="6.49.18" if version.startswith("6") else "7.16.2",
                    routerboot_upgrade_available=behind,
                )
            ),
        }  # fmt: skip
        return _timed(events, SLOT + round(at_seconds * 1000))

    def _status(self, at: float) -> pb.Status:
        return pb.Status(
            reachability=pb.REACHABILITY_UP, uptime_seconds=86_400 * (self.number + 1) + int(at)
        )

    def _health(self, at: float) -> pb.Health:
        load = 30 + 25 * math.sin(at / 60 + self.number) + 10 * math.sin(at / 7 + self.number * 3)
        cores = (0.8, 1.1, 0.9, 1.2)
        return pb.Health(
            cpu_load_percent=max(1, min(100, int(load))),
            cpu_core_load_percent=[max(0, min(100, int(load * core))) for core in cores],
            memory_total_bytes=1 << 30,
            memory_free_bytes=int((1 << 30) * (0.55 + 0.2 * math.sin(self.number))),
            disk_total_bytes=128 << 20,
            disk_free_bytes=90 << 20,
            sensors=[
                pb.Sensor(
                    known_name=pb.SENSOR_NAME_CPU_TEMPERATURE, unit=pb.SENSOR_UNIT_CELSIUS,
                    value_thousandths=int(38_000 + load * 200),
                ),
                pb.Sensor(
                    known_name=pb.SENSOR_NAME_VOLTAGE, unit=pb.SENSOR_UNIT_VOLT,
                    value_thousandths=24_100,
                ),
                pb.Sensor(
                    known_name=pb.SENSOR_NAME_PSU1_STATE, unit=pb.SENSOR_UNIT_STATE, state="ok"
                ),
            ],
        )  # fmt: skip

    def _interfaces(self, at: float) -> pb.Interfaces:
        readings: list[InterfaceReading] = []
        for port in range(self.interface_count):
            rate = 125_000 * (1 + (self.number * 7 + port * 13) % 400) / (1 + port * port)
            swing = 1 + 0.3 * math.sin(at / 20 + port)
            moved = int(rate * (at + 20 * 0.3 * (1 - math.cos(at / 20 + port)))) + int(swing)
            totals = (
                moved, moved // 3, moved // 900, moved // 1800, 0, 0, 0, 0, 0, port % 2,
            )  # fmt: skip
            readings.append(
                InterfaceReading(id=port + 1, running=port != 7, disabled=port == 8, totals=totals)
            )
        return pack(readings, inventory_revision=self.number + 1)

    def _wireless(self, at: float) -> pb.Wireless:
        count = 4 + (self.number * 5 + int(at / 30)) % 9
        return pb.Wireless(
            package=pb.WIRELESS_PACKAGE_WIFI,
            radios=[
                pb.Radio(
                    interface="wifi1", frequency_mhz=5180, channel_width_mhz=80,
                    noise_floor_dbm=-104, clients_count=count, running=True, ssid=self.ssid,
                    band="5ghz-ax",
                )
            ],
            clients=[
                pb.WirelessClient(
                    mac_address=bytes([2, 0, self.number % 256, 0, 0, n]), interface="wifi1",
                    signal_dbm=-48 - 3 * n, tx_rate_bits_per_second=866_000_000 // (n + 1),
                    rx_rate_bits_per_second=650_000_000 // (n + 1), uptime_seconds=600 * (n + 1),
                    tx_bytes_total=10_000_000 * (n + 1), rx_bytes_total=2_000_000 * (n + 1),
                    ssid=self.ssid,
                )
                for n in range(count)
            ],
        )  # fmt: skip

    def _inventory(self, board: str, architecture: str, version: str) -> pb.Inventory:
        return pb.Inventory(
            revision=self.number + 1,
            identity=f"{self.tenant.upper()}-{self.name}",
            board_name=board,
            model=board,
            serial_number=f"HF{self.number:07d}",
            architecture=architecture,
            version=version,
            platform="MikroTik",
            cpu_count=4,
            cpu_frequency_mhz=1400,
            interfaces=[
                pb.InterfaceDescription(
                    id=port + 1, name="sfp-sfpplus1" if port == 0 else f"ether{port}",
                    type="ether", mac_address=bytes([2, 1, self.number % 256, 0, 0, port]),
                    mtu=1500, comment=self.comment if port == 0 else "",
                    link_rate_bits_per_second=10_000_000_000 if port == 0 else 1_000_000_000,
                )
                for port in range(self.interface_count)
            ],
        )  # fmt: skip


def _timed(events: dict[Kind, pb.Event], slot: int) -> dict[Kind, pb.Event]:
    for event in events.values():
        event.slot_unix_ms = slot
        event.observed_after_slot_ms = 45
        event.poll_duration_us = 31_000
    return events


async def declare(
    js: JetStreamContext,
    *tenants: str,
    max_bytes: int = 64 << 20,
    storage: StreamStorage = StreamStorage.FILE,
) -> None:
    for tenant in tenants:
        await declare_stream(
            js,
            tenant_stream(
                tenant_id(tenant), max_bytes=max_bytes, max_age_seconds=86_400, storage=storage
            ),
        )


async def publish(
    js: JetStreamContext, router: Router, events: Mapping[Kind, pb.Event]
) -> list[int]:
    """Publish a router's events, acknowledged; returns their sequences."""
    sequences: list[int] = []
    for kind, event in events.items():
        identity = message_id(device_id(router.name), kind, event.slot_unix_ms)
        ack = await js.publish(
            router.subject(kind), encode(event), headers={"Nats-Msg-Id": identity}
        )
        sequences.append(ack.seq)
    return sequences


async def publish_statuses(
    js: JetStreamContext, router: Router, start: int, count: int
) -> list[int]:
    """Publish `count` polls' statuses; returns their sequences."""
    sequences: list[int] = []
    for number in range(start, start + count):
        sequences += await publish(js, router, {Kind.STATUS: router.poll(number)[Kind.STATUS]})
    return sequences


@contextlib.asynccontextmanager
async def declared(
    server: NatsServer, tenant: str
) -> AsyncGenerator[tuple[Client, JetStreamContext]]:
    """A client of a broker that has the tenant's stream."""
    async with connected(server.url, max_reconnect_attempts=-1) as client:
        js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        await declare(js, tenant)
        yield client, js


async def publish_fleet(
    client: Client, routers: Iterable[Router], at_seconds: float, *, facts: bool
) -> int:
    """One poll of every router without waiting for each acknowledgement; returns the count."""
    js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    pending: list[asyncio.Future[Any]] = []
    for router in routers:
        events = {**(router.facts(at_seconds) if facts else {}), **router.poll(at_seconds)}
        for kind, event in events.items():
            payload = encode(event)
            future = await js.publish_async(router.subject(kind), payload)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
            pending.append(future)
    async with asyncio.timeout(60):
        await asyncio.gather(*pending)
    return len(pending)
