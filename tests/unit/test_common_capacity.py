"""The incident's own arithmetic, and the same for any fleet."""

import pytest

from fleet_common.capacity import Naive, capacity, seconds_to_fill
from fleet_common.measured_sizes import CATALOG_INTERFACES, TABLES, stored_bytes
from fleet_common.planning import (
    BudgetTooSmallError,
    Reason,
    ServerBudget,
    bucket_reservations,
    messages_per_second,
)
from fleet_contracts.catalog import load_catalog
from fleet_contracts.subjects import Kind
from fleet_writer.settings import RetentionSection
from fleet_writer.tables import SAMPLE_TABLES
from support.fleets import fleet

INCIDENT_DEVICES, INCIDENT_INTERVAL, BROKER_BYTES = 101, 60.0, 128_000_000


def test_the_incident_sent_727_200_messages_a_day() -> None:
    assert Naive().messages_per_day(INCIDENT_DEVICES, INCIDENT_INTERVAL) == 727_200


def test_the_incident_sent_about_300_mb_a_day() -> None:
    assert Naive().bytes_per_day(INCIDENT_DEVICES, INCIDENT_INTERVAL) == pytest.approx(
        300e6, rel=0.01
    )
    smallest, largest = Naive(message_bytes=400), Naive(message_bytes=600)
    assert smallest.bytes_per_day(INCIDENT_DEVICES, INCIDENT_INTERVAL) == pytest.approx(290.88e6)
    assert largest.bytes_per_day(INCIDENT_DEVICES, INCIDENT_INTERVAL) == pytest.approx(436.32e6)


def test_the_incidents_broker_was_full_in_about_ten_hours() -> None:
    stood_at = Naive().seconds_until(125_000_000, INCIDENT_DEVICES, INCIDENT_INTERVAL)
    limit = Naive().seconds_until(BROKER_BYTES, INCIDENT_DEVICES, INCIDENT_INTERVAL)
    assert stood_at is not None
    assert limit is not None
    assert stood_at / 3600 == pytest.approx(10, abs=0.05)
    assert limit / 3600 == pytest.approx(10.25, abs=0.05)


def test_the_cure_of_64_mb_kept_about_five_hours() -> None:
    window = Naive().seconds_until(64_000_000, INCIDENT_DEVICES, INCIDENT_INTERVAL)
    assert window is not None
    assert window / 3600 == pytest.approx(5.13, abs=0.05)


def test_a_fleet_small_enough_is_saved_by_age() -> None:
    assert Naive().seconds_until(BROKER_BYTES, 40, INCIDENT_INTERVAL) is None
    assert seconds_to_fill(1, 0.0, 10.0) is None


def test_the_same_fleet_now_keeps_its_window_in_the_same_broker() -> None:
    fleets = [fleet("north", 34), fleet("south", 34), fleet("east", 33)]
    result = capacity(fleets, BROKER_BYTES)
    assert result.devices == INCIDENT_DEVICES
    assert result.naive_messages_per_day == pytest.approx(727_200)
    assert result.naive_hours_to_fill_budget == pytest.approx(10.25, abs=0.05)
    assert [one.plan.reason for one in result.fleets] == [Reason.FITS] * 3
    assert sum(one.plan.max_bytes for one in result.fleets) <= BROKER_BYTES
    assert result.bytes_per_day < result.naive_bytes_per_day
    assert sum(one.bytes_per_day for one in result.fleets) == pytest.approx(result.bytes_per_day)
    assert sum(one.messages_per_day for one in result.fleets) == pytest.approx(
        result.messages_per_day
    )


def test_a_new_stream_is_full_after_the_window_and_its_headroom() -> None:
    (one,) = capacity([fleet("north", 101)], BROKER_BYTES).fleets
    assert one.hours_to_fill_stream == pytest.approx(6 * 1.25, rel=0.03)
    assert one.shards == 1


def test_messages_follow_each_kinds_cadence() -> None:
    result = capacity([fleet("north", 10, cadence={"wireless": "5m"})], BROKER_BYTES)
    loads = {one.kind: one for one in result.kinds}
    assert loads[Kind.STATUS].messages_per_day == pytest.approx(14_400)
    assert loads[Kind.WIRELESS].messages_per_day == pytest.approx(2_880)
    assert loads[Kind.FIRMWARE].messages_per_day == pytest.approx(40)


@pytest.mark.parametrize(
    ("interfaces", "interfaces_event", "inventory_event"),
    [(2, 177, 338), (5, 260, 496), (24, 750, 1392), (48, 1408, 2443)],
)
def test_sizes_follow_the_number_of_interfaces_as_measured(
    interfaces: int, interfaces_event: float, inventory_event: float
) -> None:
    assert stored_bytes(Kind.INTERFACES, interfaces) == pytest.approx(interfaces_event, rel=0.1)
    # The catalogue's inventory is on the large side: 900 where 798 were seen.
    inventory = stored_bytes(Kind.INVENTORY, interfaces)
    assert inventory_event * 0.95 < inventory < inventory_event + 250
    assert stored_bytes(Kind.STATUS, interfaces) == load_catalog()[Kind.STATUS].stored_bytes


def test_with_the_catalogues_interfaces_sizes_are_the_catalogues() -> None:
    for kind in Kind:
        assert stored_bytes(kind, CATALOG_INTERFACES) == load_catalog()[kind].stored_bytes


def test_more_interfaces_are_more_of_everything_they_touch() -> None:
    few = capacity([fleet("north", 101)], BROKER_BYTES, interfaces=10)
    many = capacity([fleet("north", 101)], BROKER_BYTES, interfaces=48)
    assert many.bytes_per_day > few.bytes_per_day * 1.8
    assert many.fleets[0].plan.max_bytes > few.fleets[0].plan.max_bytes
    rows = {one.table: one for one in many.tables}["interface_samples"]
    assert rows.rows_per_day == pytest.approx(101 * 1440 * 48)


def test_tables_hold_their_retention() -> None:
    result = capacity([fleet("north", 10)], BROKER_BYTES, retention_days=7)
    assert {one.retention_days for one in result.tables} == {7}
    by_table = capacity([fleet("north", 10)], BROKER_BYTES, retention_days={"health_samples": 3})
    days = {one.table: one.retention_days for one in by_table.tables}
    assert (days["health_samples"], days["sensor_samples"]) == (3, 30)
    for one in result.tables:
        assert one.bytes_at_retention == pytest.approx(one.bytes_per_day * 7)


def test_the_tables_and_their_retention_are_the_writers() -> None:
    assert [one.table for one in TABLES] == [table.name for table in SAMPLE_TABLES]
    retention = RetentionSection()
    for table, own in zip(SAMPLE_TABLES, TABLES, strict=True):
        assert own.retention_days == getattr(retention, table.retention_setting)


def test_shards_follow_the_spec() -> None:
    (one,) = capacity([fleet("north", 2500)], 2**30).fleets
    assert one.shards == 3


def test_memory_streams_need_a_larger_server() -> None:
    in_files = capacity([fleet("north", 101)], BROKER_BYTES)
    in_memory = capacity([fleet("north", 101, events={"storage": "memory"})], BROKER_BYTES)
    grown = in_memory.server_memory_bytes - in_files.server_memory_bytes
    assert grown > in_memory.fleets[0].plan.max_bytes


def test_the_server_has_memory_for_the_buckets_too() -> None:
    result = capacity([fleet("north", 10)], BROKER_BYTES)
    server = ServerBudget(result.server_memory_bytes, 0)
    rate = messages_per_second(fleet("north", 10))
    files = 1 + len(bucket_reservations())
    assert server.stream_budget(files, rate).memory_bytes == 0
    with pytest.raises(BudgetTooSmallError):
        server.stream_budget(files + 1, rate)


def test_a_budget_below_the_floors_is_refused() -> None:
    with pytest.raises(BudgetTooSmallError):
        capacity([fleet("north", 1), fleet("south", 1)], 1_500_000)
