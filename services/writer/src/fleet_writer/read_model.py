"""The folded states into their tables: one statement a table for all of a batch's devices."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fleet_writer.batch import DeviceChange
from fleet_writer.database import Connection
from fleet_writer.fold import InterfaceRecord, StatusPart
from fleet_writer.times import EPOCH, from_seconds_or_none, wire_moment, wire_ms, wire_ms_or_none

type Record = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Upsert:
    """A table written whole rows at a time; the first `keys` columns are its key."""

    table: str
    keys: int
    columns: tuple[tuple[str, str], ...]
    """Name and SQL type."""

    def statement(self) -> str:
        names = [name for name, _ in self.columns]
        key = ", ".join(names[: self.keys])
        arrays = ", ".join(f"${n}::{type_}[]" for n, (_, type_) in enumerate(self.columns, 1))
        sets = ", ".join(f"{name} = excluded.{name}" for name in names[self.keys :])
        casts = ", ".join(f"{name}::macaddr" if name == "mac_address" else name for name in names)
        listed = ", ".join(names)
        return (
            f"INSERT INTO {self.table} ({listed}) "  # noqa: S608 - our own names
            f"SELECT {casts} FROM unnest({arrays}) AS given ({listed}) "
            f"ON CONFLICT ({key}) DO UPDATE SET {sets}"
        )


_INVENTORIES: Final = _Upsert(
    "device_inventories",
    1,
    (
        ("device_id", "integer"),
        ("slot", "timestamptz"),
        ("revision", "bigint"),
        ("identity", "text"),
        ("board_name", "text"),
        ("model", "text"),
        ("serial_number", "text"),
        ("architecture", "text"),
        ("version", "text"),
        ("platform", "text"),
        ("cpu_name", "text"),
        ("cpu_count", "bigint"),
        ("cpu_frequency_mhz", "bigint"),
        ("license_level", "text"),
        ("factory_software", "text"),
    ),
)
_FIRMWARE: Final = _Upsert(
    "device_firmware",
    1,
    (
        ("device_id", "integer"),
        ("slot", "timestamptz"),
        ("installed_version", "text"),
        ("channel", "text"),
        ("latest_version", "text"),
        ("architecture", "text"),
        ("routerboot_current", "text"),
        ("routerboot_upgrade", "text"),
        ("routerboot_factory", "text"),
        ("routerboard", "boolean"),
    ),
)
_ADVICE: Final = _Upsert(
    "device_firmware_advice",
    1,
    (
        ("device_id", "integer"),
        ("slot", "timestamptz"),
        ("verdict", "text"),
        ("installed_version", "text"),
        ("channel", "text"),
        ("latest_version", "text"),
        ("latest_released", "timestamptz"),
        ("routerboot_upgrade_available", "boolean"),
        ("channel_read", "timestamptz"),
    ),
)
_INTERFACES: Final = _Upsert(
    "interfaces",
    2,
    (
        ("device_id", "integer"),
        ("interface_id", "bigint"),
        ("present", "boolean"),
        ("inventory_revision", "bigint"),
        ("name", "text"),
        ("default_name", "text"),
        ("type", "text"),
        ("mac_address", "text"),
        ("mtu", "bigint"),
        ("actual_mtu", "bigint"),
        ("l2mtu", "bigint"),
        ("comment", "text"),
        ("slave", "boolean"),
        ("link_rate_bits_per_second", "bigint"),
        ("full_duplex", "boolean"),
        ("last_link_up", "timestamp"),
        ("last_link_down", "timestamp"),
    ),
)
_UPDATE_DEVICES: Final = """
UPDATE devices SET
    interfaces_slot = given.interfaces_slot, status_slot = given.status_slot,
    reachable = given.reachable, last_seen = given.last_seen,
    reachable_since = given.reachable_since, unreachable_since = given.unreachable_since,
    last_reboot_seen = given.last_reboot_seen, uptime_seconds = given.uptime_seconds,
    consecutive_failures = given.consecutive_failures,
    error_class = given.error_class, error_message = given.error_message
FROM unnest(
    $1::integer[], $2::timestamptz[], $3::timestamptz[], $4::boolean[], $5::timestamptz[],
    $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::bigint[], $10::bigint[],
    $11::text[], $12::text[]
) AS given (
    id, interfaces_slot, status_slot, reachable, last_seen, reachable_since,
    unreachable_since, last_reboot_seen, uptime_seconds, consecutive_failures,
    error_class, error_message
)
WHERE devices.id = given.id
"""
# An interval's own time is whole microseconds: the product is exact below 2^53 of them.
_MOVE_DEVICES: Final = """
UPDATE devices SET
    interfaces_slot = timestamptz 'epoch' + given.interfaces_ms * interval '1 millisecond',
    status_slot = timestamptz 'epoch' + given.status_ms * interval '1 millisecond',
    last_seen = timestamptz 'epoch' + given.seen_ms * interval '1 millisecond',
    uptime_seconds = given.uptime_seconds
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS given (id, interfaces_ms, status_ms, seen_ms, uptime_seconds)
WHERE devices.id = given.id
"""


async def store_devices(connection: Connection, changes: Sequence[DeviceChange]) -> None:
    """Write what differs between the states; parts of the same identity are not written.

    A router that answers poll after poll moves four columns. In a large fleet that is one
    row for each poll, while a small one's devices come many times in a batch.
    """
    moved: list[Record] = []
    changed: list[Record] = []
    for change in changes:
        before, after = change.before, change.after
        status = after.status
        if status is not None and _still_answers(before.status, status):
            if status is not before.status or after.interfaces_slot_ms != before.interfaces_slot_ms:
                moved.append(
                    (
                        change.device_id,
                        after.interfaces_slot_ms,
                        status.slot_ms,
                        status.last_seen_ms,
                        status.uptime_seconds,
                    )
                )
        elif status is not before.status or after.interfaces_slot_ms != before.interfaces_slot_ms:
            changed.append(_hot(change))
    if moved:
        await connection.execute(_MOVE_DEVICES, *_columns(moved))
    if changed:
        await connection.execute(_UPDATE_DEVICES, *_columns(changed))
    await _upsert(connection, _INVENTORIES, _inventories(changes))
    await _upsert(connection, _FIRMWARE, _firmware(changes))
    await _upsert(connection, _ADVICE, _advice(changes))
    await _upsert(connection, _INTERFACES, _interfaces(changes))


def _still_answers(before: StatusPart | None, after: StatusPart) -> bool:
    """Whether the columns that `_MOVE_DEVICES` leaves out stay as they are.

    Of a device that answers those of failures are empty.
    """
    return (
        before is not None
        and before.reachable
        and after.reachable
        and before.reachable_since_ms == after.reachable_since_ms
        and before.last_reboot_seen_ms == after.last_reboot_seen_ms
    )


async def _upsert(connection: Connection, upsert: _Upsert, records: Iterable[Record]) -> None:
    rows = list(records)
    if rows:
        await connection.execute(upsert.statement(), *_columns(rows))


def _columns(rows: Sequence[Record]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _hot(change: DeviceChange) -> Record:
    state = change.after
    interfaces_slot = wire_ms_or_none(state.interfaces_slot_ms)
    status = state.status
    if status is None:
        return (change.device_id, interfaces_slot, *(None,) * 7, 0, None, None)
    return (
        change.device_id,
        interfaces_slot,
        wire_ms(status.slot_ms),
        status.reachable,
        wire_ms_or_none(status.last_seen_ms),
        wire_ms_or_none(status.reachable_since_ms),
        wire_ms_or_none(status.unreachable_since_ms),
        wire_ms_or_none(status.last_reboot_seen_ms),
        status.uptime_seconds,
        status.consecutive_failures,
        status.error_class,
        status.error_message,
    )


def _inventories(changes: Sequence[DeviceChange]) -> Iterable[Record]:
    for change in changes:
        part = change.after.inventory
        if part is not None and part is not change.before.inventory:
            yield (
                change.device_id,
                wire_ms(part.slot_ms),
                part.revision,
                part.identity,
                part.board_name,
                part.model,
                part.serial_number,
                part.architecture,
                part.version,
                part.platform,
                part.cpu_name,
                part.cpu_count,
                part.cpu_frequency_mhz,
                part.license_level,
                part.factory_software,
            )


def _firmware(changes: Sequence[DeviceChange]) -> Iterable[Record]:
    for change in changes:
        part = change.after.firmware
        if part is not None and part is not change.before.firmware:
            yield (
                change.device_id,
                wire_ms(part.slot_ms),
                part.installed_version,
                part.channel,
                part.latest_version,
                part.architecture,
                part.routerboot_current,
                part.routerboot_upgrade,
                part.routerboot_factory,
                part.routerboard,
            )


def _advice(changes: Sequence[DeviceChange]) -> Iterable[Record]:
    for change in changes:
        part = change.after.advice
        if part is not None and part is not change.before.advice:
            yield (
                change.device_id,
                wire_ms(part.slot_ms),
                part.verdict,
                part.installed_version,
                part.channel,
                part.latest_version,
                _wire_seconds(part.latest_released_seconds),
                part.routerboot_upgrade_available,
                _wire_seconds(part.channel_read_seconds),
            )


def _interfaces(changes: Sequence[DeviceChange]) -> Iterable[Record]:
    for change in changes:
        if change.after.interfaces is change.before.interfaces:
            continue
        before = {record.id: record for record in change.before.interfaces}
        for record in change.after.interfaces:
            if record != before.get(record.id):
                yield _interface(change.device_id, record)


def _interface(device_id: int, record: InterfaceRecord) -> Record:
    return (
        device_id,
        record.id,
        record.present,
        record.inventory_revision,
        record.name,
        record.default_name,
        record.type,
        None if record.mac_address is None else record.mac_address.hex(":"),
        record.mtu,
        record.actual_mtu,
        record.l2mtu,
        record.comment,
        record.slave,
        record.link_rate_bits_per_second,
        record.full_duplex,
        _router_time(record.last_link_up_seconds),
        _router_time(record.last_link_down_seconds),
    )


def _wire_seconds(seconds: int | None) -> bytes | None:
    moment = from_seconds_or_none(seconds)
    return None if moment is None else wire_moment(moment)


def _router_time(seconds: int | None) -> object:
    """The router's local time without a zone."""
    moment = from_seconds_or_none(seconds)
    return None if moment is None else moment.astimezone(EPOCH.tzinfo).replace(tzinfo=None)
