"""Events for the metrics-writer's tests, and the writer itself as a process.

`poll_events` makes all kinds of one device's poll as a real poller would send them.
"""

import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from fleet_contracts.codec import encode
from fleet_contracts.columns import InterfaceReading, pack
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    REACHABILITY_DOWN,
    REACHABILITY_UP,
    ErrorClass,
    Event,
    Firmware,
    Health,
    InterfaceDescription,
    Inventory,
    Radio,
    Sensor,
    SensorName,
    SensorUnit,
    Status,
    Wireless,
    WirelessClient,
    WirelessPackage,
)
from fleet_contracts.subjects import DeviceId, EventSubject, Kind, TenantId, message_id
from support.processes import ServiceProcess

MINUTE_MS = 60_000


def now_slot_ms() -> int:
    """The present minute, as Unix milliseconds."""
    return int(time.time()) // 60 * MINUTE_MS


def status_up(slot_ms: int, uptime_seconds: int = 1_000, *, rebooted: bool = False) -> Event:
    return Event(
        slot_unix_ms=slot_ms,
        observed_after_slot_ms=120,
        poll_duration_us=45_000,
        status=Status(
            reachability=REACHABILITY_UP, uptime_seconds=uptime_seconds, rebooted=rebooted
        ),
    )


def status_down(slot_ms: int, failures: int = 1) -> Event:
    return Event(
        slot_unix_ms=slot_ms,
        observed_after_slot_ms=5_000,
        status=Status(
            reachability=REACHABILITY_DOWN,
            error_class=ErrorClass.ERROR_CLASS_TIMEOUT,
            error_message="no answer within 5 s",
            consecutive_failures=failures,
        ),
    )


def interfaces(slot_ms: int, count: int = 10, base: int = 1_000_000) -> Event:
    readings = [
        InterfaceReading(
            number + 1,
            running=True,
            disabled=False,
            totals=(base * 900 + number, base * 700, base, base // 2, 0, 0, 3, 0, 0, 1),
        )
        for number in range(count)
    ]
    return Event(slot_unix_ms=slot_ms, interfaces=pack(readings, 77))


def poll_events(slot_ms: int, number: int = 0, clients: int = 5) -> dict[Kind, Event]:
    """What one poll of one device gives: the five kinds that come every time."""
    return {
        Kind.STATUS: status_up(slot_ms, 1_000 + number),
        Kind.HEALTH: Event(
            slot_unix_ms=slot_ms,
            health=Health(
                cpu_load_percent=12,
                cpu_core_load_percent=[10, 14, 9, 15],
                memory_free_bytes=700_000_000,
                memory_total_bytes=1_073_741_824,
                disk_free_bytes=90_000_000,
                disk_total_bytes=134_217_728,
                write_sectors_total=123_456 + number,
                sensors=[
                    _sensor(SensorName.SENSOR_NAME_CPU_TEMPERATURE, SensorUnit.SENSOR_UNIT_CELSIUS),
                    _sensor(SensorName.SENSOR_NAME_VOLTAGE, SensorUnit.SENSOR_UNIT_VOLT),
                    Sensor(
                        known_name=SensorName.SENSOR_NAME_PSU1_STATE,
                        unit=SensorUnit.SENSOR_UNIT_STATE,
                        state="ok",
                    ),
                ],
            ),
        ),
        Kind.INTERFACES: interfaces(slot_ms, base=1_000_000 + number),
        Kind.WIRELESS: Event(
            slot_unix_ms=slot_ms,
            wireless=Wireless(
                package=WirelessPackage.WIRELESS_PACKAGE_WIFI,
                radios=[Radio(interface="wifi1", frequency_mhz=5180, clients_count=clients)],
                clients=[
                    WirelessClient(
                        mac_address=bytes([2, 0, 0, 0, number % 256, client]),
                        interface="wifi1",
                        signal_dbm=-60 - client,
                        tx_rate_bits_per_second=866_000_000,
                        rx_rate_bits_per_second=780_000_000,
                        uptime_seconds=3_600,
                        tx_bytes_total=10**9,
                        rx_bytes_total=10**8,
                    )
                    for client in range(clients)
                ],
            ),
        ),
        Kind.FIRMWARE: Event(
            slot_unix_ms=slot_ms,
            firmware=Firmware(installed_version="7.20.1", channel="stable", architecture="arm64"),
        ),
    }


ROWS_OF_A_POLL = 1 + 1 + 3 + 10 + 1 + 1 + 5 + 1
"""Status, health, sensors, interfaces, wireless, radio, clients, firmware."""


def inventory(slot_ms: int, names: Mapping[int, str], revision: int = 77) -> Event:
    return Event(
        slot_unix_ms=slot_ms,
        inventory=Inventory(
            revision=revision,
            identity="gw-01",
            model="CCR2004",
            version="7.20.1",
            interfaces=[
                InterfaceDescription(
                    id=number, name=name, type="ether", mac_address=bytes([2, 0, 0, 0, 0, number])
                )
                for number, name in names.items()
            ],
        ),
    )


def _sensor(name: SensorName, unit: SensorUnit) -> Sensor:
    return Sensor(known_name=name, unit=unit, value_thousandths=42_500)


@dataclass(frozen=True)
class Outgoing:
    """A message ready to publish."""

    subject: str
    payload: bytes
    headers: dict[str, str]


def outgoing(tenant: TenantId, device: DeviceId, kind: Kind, event: Event) -> Outgoing:
    return Outgoing(
        str(EventSubject(tenant, device, kind)),
        encode(event),
        {"Nats-Msg-Id": message_id(device, kind, event.slot_unix_ms)},
    )


def writer_process(
    nats_url: str, database_url: str, log: Path, settings: Mapping[str, str] | None = None
) -> ServiceProcess:
    """`python -m fleet_writer` with text logs in a file; not yet started."""
    environment = {
        "FLEET_NATS__URL": nats_url,
        "FLEET_DATABASE__URL": database_url,
        "FLEET_DATABASE__RETRY_MAX_SECONDS": "0.5",
        "FLEET_LOG__FORMAT": "text",
        "FLEET_WRITER__DISCOVERY_SECONDS": "0.2",
        "FLEET_WRITER__TAKEOVER_SECONDS": "0.1",
        "FLEET_WRITER__LINGER_SECONDS": "0.02",
        **(settings or {}),
    }
    return ServiceProcess("fleet_writer", environment, log)


@contextlib.asynccontextmanager
async def reading(database_url: str) -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to look at the tables."""
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=20)
    try:
        yield connection
    finally:
        await connection.close()
