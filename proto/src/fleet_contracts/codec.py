"""Events to bytes and back; what is not a valid event is rejected with its reason.

Protobuf's parser accepts much that no producer of ours would send (empty bytes are
an all-default message, a field of another type is dropped), so decoding checks what
every reader relies on.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError, Message

from fleet_contracts.gen.fleet.v1.events_pb2 import Event, Interfaces, WirelessClient
from fleet_contracts.subjects import BadNameError, EventSubject, Kind, parse_subject

SCHEMA_VERSION: Final = 1

BODY_FIELD: Final[dict[Kind, str]] = {
    Kind.STATUS: "status",
    Kind.HEALTH: "health",
    Kind.INTERFACES: "interfaces",
    Kind.WIRELESS: "wireless",
    Kind.FIRMWARE: "firmware",
    Kind.INVENTORY: "inventory",
    Kind.FIRMWARE_ADVICE: "firmware_advice",
    Kind.TRIM: "trim",
}
"""The body's field in Event, by kind."""

# 2020-01-01 and 2100-01-01: a slot outside is a broken clock or a broken producer, and
# would open partitions nobody ever drops.
_EARLIEST_SLOT_MS: Final = 1_577_836_800_000
_LATEST_SLOT_MS: Final = 4_102_444_800_000
TIME_END_UNIX_SECONDS: Final = 253_402_300_800
"""The year 10000, in Unix seconds: what a datetime of Python cannot hold, nor ISO 8601 without an
agreement. No lower: a router's clock may be anything, and is reported as it is."""
_LINK_TIMES: Final = ("last_up_router_unix_seconds", "last_down_router_unix_seconds")
_ADVICE_TIMES: Final = ("latest_released_unix_seconds", "channel_read_unix_seconds")
_MAC_BYTES: Final = 6
_MAX_ERROR_MESSAGE: Final = 200

COUNTER_COLUMNS: Final = (
    "rx_bytes_total",
    "tx_bytes_total",
    "rx_packets_total",
    "tx_packets_total",
    "rx_errors_total",
    "tx_errors_total",
    "rx_drops_total",
    "tx_drops_total",
    "tx_queue_drops_total",
    "link_downs_total",
)
"""The counter columns of Interfaces in the order of their field numbers (5, 6, …)."""
_columns: Final = attrgetter(*COUNTER_COLUMNS)
_mac_address: Final = attrgetter("mac_address")


class RejectedEventError(ValueError):
    """A message that is not a valid event. Permanent: a redelivery will not mend it."""

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(f"{subject}: {reason}")
        self.subject = subject
        self.reason = reason


class DecodedEvent(NamedTuple):
    """A valid event with the facts its subject carries."""

    subject: EventSubject
    event: Event
    columns: Sequence[list[int]] = ()
    """For kind interfaces COUNTER_COLUMNS as they travel, value + 1, which the check has read:
    reading them out of the message again takes longer than all else of the decoding."""
    ids: Sequence[int] = ()
    """For kind interfaces its ids, for the same reason."""
    clients: Sequence[WirelessClient] = ()
    """For kind wireless its clients, for the same reason."""


def encode(event: Event) -> bytes:
    """The payload. Sets the schema version; the caller has filled slot and one body."""
    event.schema_version = SCHEMA_VERSION
    return event.SerializeToString()


def decode(subject: str, payload: bytes) -> DecodedEvent:
    """Parse and check one message; raises RejectedEventError with a reason a person can act on."""
    try:
        parsed = parse_subject(subject)
    except BadNameError as error:
        raise RejectedEventError(subject, str(error)) from error
    try:
        event = Event.FromString(payload)
    except DecodeError as error:
        raise RejectedEventError(subject, "payload: not a fleet.v1.Event") from error
    kind = parsed.kind
    columns: Sequence[list[int]] = ()
    ids: Sequence[int] = ()
    clients: Sequence[WirelessClient] = ()
    reason = _why_invalid(event, kind)
    if reason is None:
        if kind is Kind.INTERFACES:
            body = event.interfaces
            # A slice is a plain list, made at once: iterating upb's container takes twice as long.
            ids = body.ids[:]
            columns = [column[:] for column in _columns(body)]
            reason = _why_invalid_interfaces(body, ids, columns)
        elif kind is Kind.WIRELESS:
            clients = event.wireless.clients[:]
            reason = _why_invalid_clients(clients)
        elif kind in _BODY_CHECKS:
            reason = _BODY_CHECKS[kind](event)
    if reason is not None:
        raise RejectedEventError(subject, reason)
    return DecodedEvent(parsed, event, columns, ids, clients)


def _why_invalid(event: Event, kind: Kind) -> str | None:
    if event.schema_version < 1:
        return "schema_version: missing (at least 1)"
    if not _EARLIEST_SLOT_MS <= event.slot_unix_ms < _LATEST_SLOT_MS:
        return f"slot_unix_ms: {event.slot_unix_ms} is not between the years 2020 and 2100"
    body = event.WhichOneof("body")
    if body == BODY_FIELD[kind]:
        return None
    if body is None:
        return f"body: missing (the subject says {kind.value})"
    return f"body: {body} under a subject that says {kind.value}"


def _why_invalid_status(event: Event) -> str | None:
    status = event.status
    if not status.reachability:
        return "status.reachability: missing"
    if len(status.error_message) > _MAX_ERROR_MESSAGE:
        return (
            f"status.error_message: {len(status.error_message)} characters "
            f"(at most {_MAX_ERROR_MESSAGE})"
        )
    return None


def _why_invalid_interfaces(
    body: Interfaces, ids: Sequence[int], columns: Sequence[list[int]]
) -> str | None:
    count = len(ids)
    if len(set(ids)) != count:
        return "interfaces.ids: the same id twice"
    if not {0, count}.issuperset(map(len, columns)):
        for name, values in zip(COUNTER_COLUMNS, columns, strict=True):
            if values and len(values) != count:
                return f"interfaces.{name}: {len(values)} values for {count} interfaces"
    bitmap_size = (count + 7) // 8
    if len(body.running_bitmap) != bitmap_size:
        return _wrong_bitmap("running_bitmap", body.running_bitmap, count)
    if len(body.disabled_bitmap) != bitmap_size:
        return _wrong_bitmap("disabled_bitmap", body.disabled_bitmap, count)
    for change in body.link_changes:
        reason = _why_no_time("interfaces.link_changes", change, _LINK_TIMES)
        if reason is not None:
            return reason
    return None


def _wrong_bitmap(name: str, bitmap: bytes, count: int) -> str:
    return f"interfaces.{name}: {len(bitmap)} bytes for {count} interfaces"


def _why_no_time(where: str, message: Message, fields: Sequence[str]) -> str | None:
    for name in fields:
        seconds: int = getattr(message, name)
        if seconds >= TIME_END_UNIX_SECONDS:
            return f"{where}.{name}: {seconds} is after the year 9999 (seconds, not milliseconds)"
    return None


def _why_invalid_clients(clients: Sequence[WirelessClient]) -> str | None:
    sizes = set(map(len, map(_mac_address, clients)))
    for size in sizes - {_MAC_BYTES}:
        return f"wireless.clients.mac_address: {size} bytes ({_MAC_BYTES})"
    return None


def _why_invalid_advice(event: Event) -> str | None:
    advice = event.firmware_advice
    if not advice.verdict:
        return "firmware_advice.verdict: missing"
    return _why_no_time("firmware_advice", advice, _ADVICE_TIMES)


def _why_invalid_inventory(event: Event) -> str | None:
    interfaces = event.inventory.interfaces
    if len({interface.id for interface in interfaces}) != len(interfaces):
        return "inventory.interfaces.id: the same id twice"
    for interface in interfaces:
        if len(interface.mac_address) not in {0, _MAC_BYTES}:
            return (
                f"inventory.interfaces.mac_address: {len(interface.mac_address)} bytes "
                "(6, or 0 where there is none)"
            )
        reason = _why_no_time("inventory.interfaces", interface, _LINK_TIMES)
        if reason is not None:
            return reason
    return None


def _why_invalid_trim(event: Event) -> str | None:
    trim = event.trim
    if not trim.cause:
        return "trim.cause: missing"
    if not 1 <= trim.from_sequence <= trim.to_sequence:
        return f"trim.from_sequence: {trim.from_sequence} to {trim.to_sequence} is no range"
    for name in ("from_unix_ms", "to_unix_ms"):
        if trim.HasField(name) and not _EARLIEST_SLOT_MS <= getattr(trim, name) < _LATEST_SLOT_MS:
            return f"trim.{name}: {getattr(trim, name)} is not between the years 2020 and 2100"
    return None


_BODY_CHECKS: Final[dict[Kind, Callable[[Event], str | None]]] = {
    Kind.STATUS: _why_invalid_status,
    Kind.FIRMWARE_ADVICE: _why_invalid_advice,
    Kind.INVENTORY: _why_invalid_inventory,
    Kind.TRIM: _why_invalid_trim,
}
"""Of the kinds that have more to check than their presence; interfaces and wireless apart."""
