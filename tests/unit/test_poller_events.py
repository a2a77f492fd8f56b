from fleet_contracts.codec import COUNTER_COLUMNS, decode
from fleet_contracts.columns import unpack, unpack_totals
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    ERROR_CLASS_UNSPECIFIED,
    REACHABILITY_DOWN,
    REACHABILITY_UP,
    SENSOR_NAME_CPU_TEMPERATURE,
    SENSOR_UNIT_CELSIUS,
    SENSOR_UNIT_STATE,
    SENSOR_UNIT_UNSPECIFIED,
    Event,
)
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    ErrorClass as PbErrorClass,
)
from fleet_contracts.subjects import Kind
from fleet_poller.events import Occasion, failure_event, inventory_message, poll_events
from fleet_poller.parse.interfaces import parse_counters
from fleet_poller.parse.inventory import parse_inventory
from fleet_poller.parse.system import parse_resource
from fleet_poller.readings import (
    HealthReading,
    InterfacesReading,
    LinkTimes,
    PollReadings,
    SensorReading,
)
from fleet_poller.routeros.errors import ErrorClass

OCCASION = Occasion(1_800_000_000_000, 1_250, 2_300)


def only(kind: Kind, readings: PollReadings) -> Event:
    (payload,) = (one.payload for one in poll_events(OCCASION, readings) if one.kind is kind)
    return decode(f"fleet.alpha.core-1.{kind.value}", payload).event


def test_every_poll_has_a_status_with_its_times() -> None:
    event = only(Kind.STATUS, PollReadings(uptime_seconds=77, rebooted=True))

    assert event.slot_unix_ms == 1_800_000_000_000
    assert event.observed_after_slot_ms == 1_250
    assert event.poll_duration_us == 2_300
    assert event.status.reachability == REACHABILITY_UP
    assert event.status.uptime_seconds == 77
    assert event.status.rebooted


def test_what_was_not_read_has_no_event() -> None:
    events = poll_events(OCCASION, PollReadings(uptime_seconds=None, rebooted=False))

    assert [one.kind for one in events] == [Kind.STATUS]
    assert not only(Kind.STATUS, PollReadings(None, rebooted=False)).status.HasField(
        "uptime_seconds"
    )


def test_a_failed_poll_is_a_status_with_its_reason() -> None:
    kind, payload = failure_event(OCCASION, ErrorClass.LOGIN_REJECTED, "no" * 500, 3)
    status = decode("fleet.alpha.core-1.status", payload).event.status

    assert kind is Kind.STATUS
    assert status.reachability == REACHABILITY_DOWN
    assert status.error_class == PbErrorClass.ERROR_CLASS_LOGIN_REJECTED
    assert len(status.error_message) == 200
    assert status.consecutive_failures == 3
    assert not status.HasField("uptime_seconds")


def test_every_error_class_has_its_own_value_in_the_contract() -> None:
    values: set[int] = set()
    for error_class in ErrorClass:
        _, payload = failure_event(OCCASION, error_class, "", 1)
        values.add(decode("fleet.a.b.status", payload).event.status.error_class)

    assert len(values) == len(ErrorClass)
    assert ERROR_CLASS_UNSPECIFIED not in values


def test_absent_health_values_stay_unset() -> None:
    reading = HealthReading(parse_resource({b"cpu-load": b"0"}), (), ())
    health = only(Kind.HEALTH, PollReadings(1, rebooted=False, health=reading)).health

    assert health.HasField("cpu_load_percent")
    assert health.cpu_load_percent == 0
    assert not health.HasField("memory_free_bytes")
    assert not health.HasField("bad_blocks_permille")


def test_known_sensors_travel_as_numbers_and_unknown_ones_as_text() -> None:
    sensors = (
        SensorReading("cpu-temperature", "C", 38_000, None),
        SensorReading("lightning-strikes", "kA", 2_000, None),
        SensorReading("psu1-state", "", None, "ok"),
    )
    reading = HealthReading(parse_resource({}), (11, 8), sensors)
    health = only(Kind.HEALTH, PollReadings(1, rebooted=False, health=reading)).health

    known, unknown, state = health.sensors
    assert (known.known_name, known.name) == (SENSOR_NAME_CPU_TEMPERATURE, "")
    assert (known.unit, known.value_thousandths) == (SENSOR_UNIT_CELSIUS, 38_000)
    assert (unknown.name, unknown.unit) == ("lightning-strikes", SENSOR_UNIT_UNSPECIFIED)
    assert (state.unit, state.state) == (SENSOR_UNIT_STATE, "ok")
    assert list(health.cpu_core_load_percent) == [11, 8]


def test_interface_columns_read_back_as_what_the_router_said() -> None:
    rows = [
        {b"rx-byte": b"5", b"rx-error": b"0", b"running": b"true", b"link-downs": b"1"},
        {b"rx-byte": b"0", b"rx-error": b"0", b"disabled": b"true"},
    ]
    reading = InterfacesReading(
        parse_counters(rows, [1, 26]), ((26, LinkTimes(1_700_000_000, None)),), 0xDEADBEEF
    )
    message = only(Kind.INTERFACES, PollReadings(1, rebooted=False, interfaces=reading)).interfaces

    totals = dict(zip(COUNTER_COLUMNS, unpack_totals(message), strict=True))
    assert totals["rx_bytes_total"] == [5, 0]
    assert totals["rx_errors_total"] == [0, 0]
    assert totals["link_downs_total"] == [1, None]
    assert totals["tx_bytes_total"] == [None, None]
    assert len(message.rx_errors_total) == 0, "a column of zeros is only named"
    first, second = unpack(message)
    assert (first.id, first.running, first.disabled) == (1, True, False)
    assert (second.id, second.running, second.disabled) == (26, False, True)
    assert message.inventory_revision == 0xDEADBEEF
    (change,) = message.link_changes
    assert (change.id, change.last_up_router_unix_seconds) == (26, 1_700_000_000)
    assert not change.HasField("last_down_router_unix_seconds")


def test_the_inventory_comes_first_and_its_revision_follows_its_content() -> None:
    before = parse_inventory({b"name": b"roof"}, {}, {}, {}, ())
    after = parse_inventory({b"name": b"cellar"}, {}, {}, {}, ())
    events = poll_events(OCCASION, PollReadings(1, rebooted=False, inventory=before))

    assert [one.kind for one in events] == [Kind.INVENTORY, Kind.STATUS]
    assert inventory_message(before).revision == inventory_message(before).revision != 0
    assert inventory_message(before).revision != inventory_message(after).revision
