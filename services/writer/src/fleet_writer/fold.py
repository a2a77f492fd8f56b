"""The devices read model as a pure fold: `fold(state, event) -> state`.

Each kind of event keeps the slot of its newest one; an event at or before that slot
changes nothing, so duplicates and late arrivals are harmless in any order. Unchanged
parts keep their identity (`is`), which is how the store knows what to write.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Protocol

from fleet_contracts.codec import DecodedEvent
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    REACHABILITY_UP,
    Event,
    Interfaces,
    Inventory,
    LinkChange,
)
from fleet_contracts.subjects import Kind
from fleet_writer.words import error_class_word, verdict_word


class StatusPart(NamedTuple):
    """What status events say. Times are Unix milliseconds."""

    slot_ms: int
    reachable: bool
    last_seen_ms: int | None
    """When the router last answered; stands still while it is away."""
    reachable_since_ms: int | None
    """Slot of the first answer of the present run of answers; None while away."""
    unreachable_since_ms: int | None
    last_reboot_seen_ms: int | None
    uptime_seconds: int | None
    """At the last answer."""
    consecutive_failures: int
    error_class: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class InventoryPart:
    """The newest inventory without its interfaces."""

    slot_ms: int
    revision: int
    identity: str
    board_name: str
    model: str
    serial_number: str
    architecture: str
    version: str
    platform: str
    cpu_name: str
    cpu_count: int | None
    cpu_frequency_mhz: int | None
    license_level: str
    factory_software: str


@dataclass(frozen=True, slots=True)
class FirmwarePart:
    """The newest firmware event."""

    slot_ms: int
    installed_version: str
    channel: str
    latest_version: str
    architecture: str
    routerboot_current: str
    routerboot_upgrade: str
    routerboot_factory: str
    routerboard: bool | None


@dataclass(frozen=True, slots=True)
class AdvicePart:
    """The newest firmware advice. Times are Unix seconds."""

    slot_ms: int
    verdict: str
    installed_version: str
    channel: str
    latest_version: str
    latest_released_seconds: int | None
    routerboot_upgrade_available: bool
    channel_read_seconds: int | None


@dataclass(frozen=True, slots=True)
class InterfaceRecord:
    """One interface the device has or had. Link times are the router's own clock."""

    id: int
    present: bool
    inventory_revision: int
    name: str
    default_name: str
    type: str
    mac_address: bytes | None
    mtu: int | None
    actual_mtu: int | None
    l2mtu: int | None
    comment: str
    slave: bool | None
    link_rate_bits_per_second: int | None
    full_duplex: bool | None
    last_link_up_seconds: int | None
    last_link_down_seconds: int | None


class DeviceState(NamedTuple):
    """All that is known of a device. `interfaces` is ordered by id."""

    status: StatusPart | None = None
    inventory: InventoryPart | None = None
    firmware: FirmwarePart | None = None
    advice: AdvicePart | None = None
    interfaces_slot_ms: int | None = None
    interfaces: tuple[InterfaceRecord, ...] = ()


NEW_DEVICE: Final = DeviceState()
_MAC_BYTES: Final = 6
_FOLDED: Final = frozenset(Kind) - {Kind.HEALTH, Kind.WIRELESS, Kind.TRIM}


def fold(state: DeviceState, decoded: DecodedEvent) -> DeviceState:
    """The state after the event; the same object when the event changes nothing."""
    kind = decoded.subject.kind
    if kind not in _FOLDED:
        return state
    event = decoded.event
    slot = event.slot_unix_ms
    match kind:
        case Kind.STATUS:
            if _newer(slot, state.status):
                return _with(state, _status(state.status, event), state.interfaces_slot_ms)
        case Kind.INTERFACES:
            return _interfaces_read(state, slot, event.interfaces)
        case Kind.INVENTORY:
            if _newer(slot, state.inventory):
                return state._replace(
                    inventory=_inventory(slot, event.inventory),
                    interfaces=_interfaces(state, slot, event.inventory),
                )
        case Kind.FIRMWARE:
            if _newer(slot, state.firmware):
                return state._replace(firmware=_firmware(event))
        case Kind.FIRMWARE_ADVICE:
            if _newer(slot, state.advice):
                return state._replace(advice=_advice(event))
        case _:
            pass
    return state


def _with(
    state: DeviceState, status: StatusPart | None, interfaces_slot_ms: int | None
) -> DeviceState:
    """What every poll changes; `_replace` takes four times as long."""
    return DeviceState(
        status, state.inventory, state.firmware, state.advice, interfaces_slot_ms, state.interfaces
    )


def _interfaces_read(state: DeviceState, slot: int, body: Interfaces) -> DeviceState:
    if state.interfaces_slot_ms is not None and slot <= state.interfaces_slot_ms:
        return state
    if body.link_changes:
        state = state._replace(interfaces=_with_link_changes(state, slot, body))
    return _with(state, state.status, slot)


def _newer(slot: int, part: StatusPart | InventoryPart | FirmwarePart | AdvicePart | None) -> bool:
    return part is None or slot > part.slot_ms


def _status(before: StatusPart | None, event: Event) -> StatusPart:
    slot = event.slot_unix_ms
    body = event.status
    was_reachable = before.reachable if before is not None else None
    if body.reachability == REACHABILITY_UP:
        since = before.reachable_since_ms if before is not None and was_reachable else slot
        # What nearly every poll makes: by position, which takes half as long.
        return StatusPart(
            slot,
            True,
            slot + event.observed_after_slot_ms,
            since,
            None,
            slot if body.rebooted else before and before.last_reboot_seen_ms,
            body.uptime_seconds if body.HasField("uptime_seconds") else None,
            0,
            None,
            None,
        )
    since = before.unreachable_since_ms if before is not None and was_reachable is False else slot
    return StatusPart(
        slot_ms=slot,
        reachable=False,
        last_seen_ms=before and before.last_seen_ms,
        reachable_since_ms=None,
        unreachable_since_ms=since,
        last_reboot_seen_ms=before and before.last_reboot_seen_ms,
        uptime_seconds=before and before.uptime_seconds,
        consecutive_failures=body.consecutive_failures,
        error_class=error_class_word(body.error_class),
        error_message=body.error_message,
    )


def _inventory(slot: int, body: Inventory) -> InventoryPart:
    return InventoryPart(
        slot_ms=slot,
        revision=body.revision,
        identity=body.identity,
        board_name=body.board_name,
        model=body.model,
        serial_number=body.serial_number,
        architecture=body.architecture,
        version=body.version,
        platform=body.platform,
        cpu_name=body.cpu_name,
        cpu_count=body.cpu_count if body.HasField("cpu_count") else None,
        cpu_frequency_mhz=body.cpu_frequency_mhz if body.HasField("cpu_frequency_mhz") else None,
        license_level=body.license_level,
        factory_software=body.factory_software,
    )


def _firmware(event: Event) -> FirmwarePart:
    body = event.firmware
    return FirmwarePart(
        slot_ms=event.slot_unix_ms,
        installed_version=body.installed_version,
        channel=body.channel,
        latest_version=body.latest_version,
        architecture=body.architecture,
        routerboot_current=body.routerboot_current,
        routerboot_upgrade=body.routerboot_upgrade,
        routerboot_factory=body.routerboot_factory,
        routerboard=body.routerboard if body.HasField("routerboard") else None,
    )


def _advice(event: Event) -> AdvicePart:
    body = event.firmware_advice
    return AdvicePart(
        slot_ms=event.slot_unix_ms,
        verdict=verdict_word(body.verdict),
        installed_version=body.installed_version,
        channel=body.channel,
        latest_version=body.latest_version,
        latest_released_seconds=body.latest_released_unix_seconds
        if body.HasField("latest_released_unix_seconds")
        else None,
        routerboot_upgrade_available=body.routerboot_upgrade_available,
        channel_read_seconds=body.channel_read_unix_seconds or None,
    )


def _interfaces(state: DeviceState, slot: int, body: Inventory) -> tuple[InterfaceRecord, ...]:
    """The inventory's interfaces; those it no longer names stay, as not present.

    A late inventory behind newer interface readings keeps the link times those brought.
    """
    known = {record.id: record for record in state.interfaces}
    keep_links = state.interfaces_slot_ms is not None and state.interfaces_slot_ms > slot
    for item in body.interfaces:
        before = known.get(item.id)
        up = _given(item, "last_up_router_unix_seconds")
        down = _given(item, "last_down_router_unix_seconds")
        if keep_links and before is not None:
            up, down = before.last_link_up_seconds, before.last_link_down_seconds
        known[item.id] = InterfaceRecord(
            id=item.id,
            present=True,
            inventory_revision=body.revision,
            name=item.name,
            default_name=item.default_name,
            type=item.type,
            mac_address=item.mac_address if len(item.mac_address) == _MAC_BYTES else None,
            mtu=_given(item, "mtu"),
            actual_mtu=_given(item, "actual_mtu"),
            l2mtu=_given(item, "l2mtu"),
            comment=item.comment,
            slave=item.slave if item.HasField("slave") else None,
            link_rate_bits_per_second=_given(item, "link_rate_bits_per_second"),
            full_duplex=item.full_duplex if item.HasField("full_duplex") else None,
            last_link_up_seconds=up,
            last_link_down_seconds=down,
        )
    named = {item.id for item in body.interfaces}
    return tuple(
        record if record.id in named or not record.present else replace(record, present=False)
        for _, record in sorted(known.items())
    )


def _with_link_changes(
    state: DeviceState, slot: int, body: Interfaces
) -> tuple[InterfaceRecord, ...]:
    if state.inventory is not None and slot < state.inventory.slot_ms:
        return state.interfaces
    changes = {change.id: change for change in body.link_changes}
    records = tuple(
        _with_link_change(record, changes.get(record.id)) for record in state.interfaces
    )
    return state.interfaces if records == state.interfaces else records


def _with_link_change(record: InterfaceRecord, change: LinkChange | None) -> InterfaceRecord:
    if change is None:
        return record
    up = _given(change, "last_up_router_unix_seconds")
    down = _given(change, "last_down_router_unix_seconds")
    return replace(
        record,
        last_link_up_seconds=record.last_link_up_seconds if up is None else up,
        last_link_down_seconds=record.last_link_down_seconds if down is None else down,
    )


class _HasField(Protocol):
    def HasField(self, field_name: Any, /) -> bool: ...  # noqa: ANN401, N802 - protobuf's


def _given(message: _HasField, field: str) -> int | None:
    return getattr(message, field) if message.HasField(field) else None
