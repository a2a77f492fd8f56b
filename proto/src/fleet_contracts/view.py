"""An event as plain JSON values: what SSE clients and `routerfleet events tail` see.

Field names are those of events.proto; columns become one object per interface, MAC
addresses and enum values become text, thousandths become numbers of the unit.
Absent stays absent: a key that is not there was not given by the router.
"""

from typing import Any, Final, cast

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from fleet_contracts.codec import BODY_FIELD, COUNTER_COLUMNS, DecodedEvent
from fleet_contracts.columns import unpack_bits, unpack_totals
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    Event,
    Interfaces,
    Sensor,
)

type Json = dict[str, Any]

_SENSOR_FIELDS = cast("dict[str, FieldDescriptor]", Sensor.DESCRIPTOR.fields_by_name)
_SENSOR_NAME: Final = _SENSOR_FIELDS["known_name"].enum_type
_SENSOR_UNIT: Final = _SENSOR_FIELDS["unit"].enum_type

_THOUSAND: Final = 1000
# Empty text, empty bytes and an unspecified enum value say "not given".
_ABSENT_WHEN_EMPTY: Final = frozenset(
    {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_ENUM}
)


def event_view(decoded: DecodedEvent) -> Json:
    """The whole event: tenant, device, kind, times, and the body under its kind's field name."""
    event = decoded.event
    subject = decoded.subject
    return {
        "tenant": subject.tenant,
        "device": subject.device,
        "kind": subject.kind.value,
        "slot_unix_ms": event.slot_unix_ms,
        "observed_unix_ms": event.slot_unix_ms + event.observed_after_slot_ms,
        "poll_duration_us": event.poll_duration_us,
        "schema_version": event.schema_version,
        BODY_FIELD[subject.kind]: body_view(event),
    }


def body_view(event: Event) -> Json:
    """The body alone."""
    name = event.WhichOneof("body")
    if name is None:
        raise ValueError("event without a body")
    if name == "interfaces":
        return _interfaces_view(event.interfaces)
    return _message_view(getattr(event, name))


def _interfaces_view(body: Interfaces) -> Json:
    count = len(body.ids)
    running = unpack_bits(body.running_bitmap, count)
    disabled = unpack_bits(body.disabled_bitmap, count)
    interfaces: list[Json] = [
        {"id": id_, "running": running[n], "disabled": disabled[n]}
        for n, id_ in enumerate(body.ids)
    ]
    for name, column in zip(COUNTER_COLUMNS, unpack_totals(body), strict=True):
        for interface, value in zip(interfaces, column, strict=True):
            if value is not None:
                interface[name] = value
    view: Json = {"inventory_revision": body.inventory_revision, "interfaces": interfaces}
    if body.link_changes:
        view["link_changes"] = [_message_view(change) for change in body.link_changes]
    return view


def _message_view(message: Message) -> Json:
    if isinstance(message, Sensor):
        return _sensor_view(message)
    view: Json = {}
    for field in _fields(message):
        value = getattr(message, field.name)
        if field.is_repeated:
            if value:
                view[field.name] = [_value_view(field, item) for item in value]
        elif field.has_presence:
            if message.HasField(field.name):
                view[field.name] = _value_view(field, value)
        elif value or field.type not in _ABSENT_WHEN_EMPTY:
            view[field.name] = _value_view(field, value)
    return view


def _fields(message: Message) -> list[FieldDescriptor]:
    # The stubs name both the pure and the upb descriptor class; they have one interface.
    return cast("list[FieldDescriptor]", message.DESCRIPTOR.fields)


def _value_view(field: FieldDescriptor, value: Any) -> Any:  # noqa: ANN401 - protobuf's own values
    match field.type:
        case FieldDescriptor.TYPE_MESSAGE:
            return _message_view(value)
        case FieldDescriptor.TYPE_BYTES:
            return value.hex(":").upper()
        case FieldDescriptor.TYPE_ENUM:
            return _enum_text(field.enum_type, value)
        case _:
            return value


def _enum_text(enum: EnumDescriptor | None, number: int) -> str:
    """`VERDICT_UP_TO_DATE` as `up_to_date`; a number this reader does not know yet as digits."""
    if enum is None or number not in enum.values_by_number:
        return str(number)
    names = enum.values_by_number
    prefix = len(names[0].name) - len("UNSPECIFIED")
    return names[number].name[prefix:].lower()


def sensor_name(sensor: Sensor) -> str:
    """The router's own name of a sensor (`cpu-temperature`).

    A known name this reader does not know yet is its number.
    """
    if sensor.known_name:
        return _enum_text(_SENSOR_NAME, sensor.known_name).replace("_", "-")
    return sensor.name


def _sensor_view(sensor: Sensor) -> Json:
    view: Json = {"name": sensor_name(sensor)}
    if sensor.unit:
        view["unit"] = _enum_text(_SENSOR_UNIT, sensor.unit)
    if sensor.HasField("value_thousandths"):
        view["value"] = sensor.value_thousandths / _THOUSAND
    elif sensor.HasField("state"):
        view["state"] = sensor.state
    return view
