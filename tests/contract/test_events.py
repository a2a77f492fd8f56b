"""Codec, columns and view under every event that can be made."""

import json
from typing import Any, cast

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts.codec import (
    BODY_FIELD,
    COUNTER_COLUMNS,
    TIME_END_UNIX_SECONDS,
    DecodedEvent,
    RejectedEventError,
    decode,
    encode,
)
from fleet_contracts.columns import InterfaceReading, pack, pack_bits, unpack, unpack_bits
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    ErrorClass,
    Event,
    FirmwareAdvice,
    Health,
    Interfaces,
    Inventory,
    Reachability,
    Sensor,
    SensorName,
    Status,
    TrimCause,
    Verdict,
    Wireless,
    WirelessClient,
)
from fleet_contracts.subjects import STREAM_DEVICE, Kind
from fleet_contracts.view import body_view, event_view, sensor_name

SLOT = 1_790_000_040_000
MAX_TOTAL = 2**64 - 2

totals = st.one_of(st.none(), st.just(0), st.integers(0, MAX_TOTAL))
readings = st.builds(
    InterfaceReading,
    st.integers(1, 2**32 - 1),
    st.booleans(),
    st.booleans(),
    st.tuples(*([totals] * len(COUNTER_COLUMNS))),
)
tables = st.lists(readings, max_size=20, unique_by=lambda reading: reading.id)

_INTEGERS: dict[int, tuple[int, int]] = {
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
}


@st.composite
def messages(draw: st.DrawFn, message_class: type[Message]) -> Message:
    """A message with any of its fields set to anything of its type."""
    message = message_class()
    oneofs_done: set[str] = set()
    for field in cast("list[FieldDescriptor]", message.DESCRIPTOR.fields):
        oneof = field.containing_oneof
        if oneof is not None and oneof.name in oneofs_done:
            continue
        if not draw(st.booleans()):
            continue
        if oneof is not None:
            oneofs_done.add(oneof.name)
        value = _values(field)
        if field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(value, max_size=3)))
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            getattr(message, field.name).CopyFrom(draw(value))
        else:
            setattr(message, field.name, draw(value))
    return message


def _values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.type in _INTEGERS:
        return st.integers(*_INTEGERS[field.type])
    match field.type:
        case FieldDescriptor.TYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.TYPE_STRING:
            return st.text(max_size=12)
        case FieldDescriptor.TYPE_BYTES:
            return st.binary(min_size=6, max_size=6)
        case FieldDescriptor.TYPE_ENUM:
            assert field.enum_type is not None
            known = [value.number for value in field.enum_type.values]
            return st.sampled_from([*known, 99])  # proto3 enums are open: 99 is of the future
        case _:
            assert field.message_type is not None
            return messages(message_factory.GetMessageClass(field.message_type))


@st.composite
def events(draw: st.DrawFn) -> tuple[str, Event]:
    """A valid event of any kind and its subject."""
    kind = draw(st.sampled_from(Kind))
    event = Event(
        slot_unix_ms=draw(st.integers(1_577_836_800_000, 4_102_444_799_999)),
        observed_after_slot_ms=draw(st.integers(0, 2**32 - 1)),
        poll_duration_us=draw(st.integers(0, 2**32 - 1)),
    )
    body: Message = getattr(event, BODY_FIELD[kind])
    body.SetInParent()
    if kind is Kind.INTERFACES:
        body.CopyFrom(pack(draw(tables), draw(st.integers(0, 2**32 - 1))))
    else:
        body.CopyFrom(draw(messages(type(body))))
    _make_valid(event)
    device = STREAM_DEVICE if kind is Kind.TRIM else "core-1"
    return f"fleet.acme.{device}.{kind.value}", event


def _make_valid(event: Event) -> None:
    match event.WhichOneof("body"):
        case "status":
            event.status.reachability = event.status.reachability or Reachability.REACHABILITY_UP
        case "firmware_advice":
            advice = event.firmware_advice
            advice.verdict = advice.verdict or Verdict.VERDICT_UP_TO_DATE
            _bound_times(advice, "latest_released_unix_seconds", "channel_read_unix_seconds")
        case "trim":
            trim = event.trim
            trim.cause = trim.cause or TrimCause.TRIM_CAUSE_SHRUNK
            trim.from_sequence = max(1, trim.from_sequence)
            trim.to_sequence = max(trim.to_sequence, trim.from_sequence)
            for name in ("from_unix_ms", "to_unix_ms"):
                if trim.HasField(name):
                    setattr(trim, name, event.slot_unix_ms)
        case "wireless":
            for client in event.wireless.clients:
                client.mac_address = client.mac_address or b"\0" * 6
        case "inventory":
            for position, interface in enumerate(event.inventory.interfaces):
                interface.id = position
                _bound_times(
                    interface, "last_up_router_unix_seconds", "last_down_router_unix_seconds"
                )
        case _:
            pass


def _bound_times(message: Message, *fields: str) -> None:
    for field in fields:
        if getattr(message, field) >= TIME_END_UNIX_SECONDS:
            setattr(message, field, TIME_END_UNIX_SECONDS - 1)


@given(events())
def test_every_event_survives_the_way_through_its_bytes(made: tuple[str, Event]) -> None:
    subject, event = made
    decoded = decode(subject, encode(event))
    assert decoded.event == event
    assert encode(decoded.event) == encode(event)


@given(events())
def test_every_event_has_a_view_that_is_plain_json(made: tuple[str, Event]) -> None:
    subject, event = made
    view = event_view(decode(subject, encode(event)))
    assert json.loads(json.dumps(view, allow_nan=False)) == view
    assert view["slot_unix_ms"] == event.slot_unix_ms
    assert view["kind"] == subject.rpartition(".")[2]


@given(st.sampled_from(Kind), st.binary(max_size=200))
def test_any_bytes_are_an_event_or_rejected_with_a_reason(kind: Kind, payload: bytes) -> None:
    device = STREAM_DEVICE if kind is Kind.TRIM else "core-1"
    subject = f"fleet.acme.{device}.{kind.value}"
    try:
        decoded = decode(subject, payload)
    except RejectedEventError as error:
        assert ": " in error.reason  # noqa: PT017 - any of many reasons
        return
    event_view(decoded)


@given(tables, st.integers(0, 2**32 - 1))
def test_packed_readings_unpack_to_themselves(table: list[InterfaceReading], revision: int) -> None:
    message = Interfaces.FromString(pack(table, revision).SerializeToString())
    assert unpack(message) == table
    assert message.inventory_revision == revision


@given(tables)
def test_absent_is_never_zero_in_the_view(table: list[InterfaceReading]) -> None:
    view = body_view(Event(interfaces=pack(table, 1)))
    for shown, reading in zip(view["interfaces"], table, strict=True):
        for name, total in zip(COUNTER_COLUMNS, reading.totals, strict=True):
            assert shown.get(name) == total
            assert (name in shown) == (total is not None)


def test_a_column_of_zeros_costs_a_bit_and_an_unknown_column_nothing() -> None:
    zero = (0,) * len(COUNTER_COLUMNS)
    none = (None,) * len(COUNTER_COLUMNS)
    with_zeros = pack([InterfaceReading(n, True, False, zero) for n in range(1, 11)], 1)
    with_none = pack([InterfaceReading(n, True, False, none) for n in range(1, 11)], 1)
    assert with_zeros.ByteSize() - with_none.ByteSize() <= 4
    assert not with_none.zero_columns


def test_the_columns_are_the_fields_of_the_message_in_their_order() -> None:
    numbers = [Interfaces.DESCRIPTOR.fields_by_name[name].number for name in COUNTER_COLUMNS]
    assert numbers == list(range(5, 5 + len(COUNTER_COLUMNS)))


def test_a_total_of_all_ones_is_refused_rather_than_wrapped() -> None:
    row = (2**64 - 1, *([None] * (len(COUNTER_COLUMNS) - 1)))
    with pytest.raises(ValueError, match="out of range"):
        pack([InterfaceReading(1, True, False, row)], 1)


@given(st.lists(st.booleans(), max_size=70))
def test_bits_read_back(flags: list[bool]) -> None:
    packed = pack_bits(flags)
    assert len(packed) == (len(flags) + 7) // 8
    assert unpack_bits(packed, len(flags)) == flags


def test_encode_sets_the_schema_version_itself() -> None:
    event = Event(slot_unix_ms=SLOT, status=Status(reachability=Reachability.REACHABILITY_UP))
    assert decode("fleet.a.b.status", encode(event)).event.schema_version == 1


def view_of(event: Event, kind: Kind) -> dict[str, Any]:
    event.slot_unix_ms = SLOT
    decoded: DecodedEvent = decode(f"fleet.a.b.{kind.value}", encode(event))
    return event_view(decoded)[BODY_FIELD[kind]]


def test_absent_and_zero_stay_apart_in_the_view() -> None:
    assert view_of(Event(health=Health()), Kind.HEALTH) == {}
    assert view_of(Event(health=Health(cpu_load_percent=0)), Kind.HEALTH) == {"cpu_load_percent": 0}


def test_enums_are_words_and_an_unspecified_one_is_left_out() -> None:
    up = Status(reachability=Reachability.REACHABILITY_UP)
    down = Status(
        reachability=Reachability.REACHABILITY_DOWN,
        error_class=ErrorClass.ERROR_CLASS_LOGIN_REJECTED,
    )
    assert "error_class" not in view_of(Event(status=up), Kind.STATUS)
    assert view_of(Event(status=down), Kind.STATUS)["error_class"] == "login_rejected"


def test_an_enum_value_of_the_future_is_its_number() -> None:
    raw = Event(
        slot_unix_ms=SLOT, firmware_advice=FirmwareAdvice(verdict=Verdict.VERDICT_UP_TO_DATE)
    )
    payload = encode(raw).replace(b"\x08\x01", b"\x08\x63")
    view = event_view(decode("fleet.a.b.firmware-advice", payload))
    assert view["firmware_advice"]["verdict"] == "99"


def test_mac_addresses_are_written_as_routeros_writes_them() -> None:
    wireless = Wireless(clients=[WirelessClient(mac_address=bytes.fromhex("488f5a010203"))])
    view = view_of(Event(wireless=wireless), Kind.WIRELESS)
    assert view["clients"] == [{"mac_address": "48:8F:5A:01:02:03"}]


known_sensors = pytest.mark.parametrize(
    "name",
    [value for value in SensorName.DESCRIPTOR.values_by_name if not value.endswith("UNSPECIFIED")],
)


@known_sensors
def test_known_sensors_carry_the_router_s_own_name(name: str) -> None:
    text = sensor_name(Sensor(known_name=name))
    assert f"SENSOR_NAME_{text.upper().replace('-', '_')}" == name


def test_a_sensor_of_another_name_or_of_the_future_is_shown() -> None:
    assert sensor_name(Sensor(name="outdoor")) == "outdoor"
    # known_name 99 and unit 99, which nobody knows today
    future = Sensor.FromString(bytes([0x08, 99, 0x18, 99]))
    assert sensor_name(future) == "99"
    view = view_of(Event(health=Health(sensors=[future])), Kind.HEALTH)
    assert view["sensors"] == [{"name": "99", "unit": "99"}]


def test_an_inventory_without_a_mac_address_is_valid() -> None:
    inventory = Inventory()
    inventory.interfaces.add(id=1, name="pppoe-out1")
    assert view_of(Event(inventory=inventory), Kind.INVENTORY)["interfaces"] == [
        {"id": 1, "name": "pppoe-out1"}
    ]
