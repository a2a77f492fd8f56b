"""Device metrics: what the newest events of a device become at a scrape."""

from collections.abc import Mapping

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from fleet_contracts.subjects import Kind
from fleet_poller.events import inventory_message
from fleet_poller.exposition.description import unique_names
from fleet_poller.exposition.families import Group
from fleet_poller.exposition.held import HeldEvents
from fleet_poller.exposition.scrape import wanted_kinds
from fleet_poller.exposition.table import FAMILIES
from fleet_poller.readings import PollReadings
from support.device_metrics import ScrapedFleet, failed, polled, rendered
from support.device_readings import (
    ALL_GROUPS,
    full_readings,
    interface_description,
    interfaces_reading,
    inventory_reading,
)


@pytest.fixture
def fleet() -> ScrapedFleet:
    return ScrapedFleet()


async def test_every_family_of_the_table_is_served_when_the_router_gives_everything(
    fleet: ScrapedFleet,
) -> None:
    polled(fleet.add("core-1"), full_readings())
    failed(fleet.add("core-2"))  # one is down: that has a family of its own

    served = await fleet.families()

    assert set(served) == {
        one.name.removesuffix("_total") if one.type == "counter" else one.name for one in FAMILIES
    }
    for one in FAMILIES:
        family = served[one.name.removesuffix("_total") if one.type == "counter" else one.name]
        assert family.documentation == one.help
        assert family.type == ("gauge" if one.type == "info" else one.type)
        for sample in family.samples:
            assert set(sample.labels) <= {"tenant", "device", *one.labels}
            assert sample.name == one.name


async def test_values_are_in_base_units(fleet: ScrapedFleet) -> None:
    polled(fleet.add(), full_readings())

    assert await fleet.value("routeros_up") == 1
    assert await fleet.value("routeros_last_seen_timestamp_seconds") == 1_800_000_001.25
    assert await fleet.value("routeros_poll_duration_seconds") == 0.0023
    assert await fleet.value("routeros_uptime_seconds") == 86_400
    assert await fleet.value("routeros_cpu_load_ratio") == 0.07
    assert await fleet.value("routeros_cpu_core_load_ratio", core="1") == 0.08
    assert await fleet.value("routeros_cpu_frequency_hertz") == 1_700_000_000
    assert await fleet.value("routeros_storage_bad_blocks_ratio") == 0.002
    assert await fleet.value("routeros_temperature_celsius", sensor="cpu-temperature") == 38.5
    assert await fleet.value("routeros_sensor_ratio", sensor="battery") == 0.85
    assert await fleet.value("routeros_sensor_state", sensor="psu1-state", state="ok") == 1
    ether1 = {"interface": "ether1"}
    assert await fleet.value("routeros_interface_receive_bytes_total", **ether1) == 2**63
    assert await fleet.value("routeros_interface_up", **ether1) == 1
    assert await fleet.value("routeros_interface_link_rate_bytes_per_second", **ether1) == 1.25e8
    assert await fleet.value("routeros_wireless_frequency_hertz", interface="wifi1") == 5.18e9
    assert await fleet.value("routeros_wireless_clients", interface="wifi1") == 2
    assert await fleet.value("routeros_wireless_weakest_signal_dbm", interface="wifi1") == -71
    client = {"interface": "wifi1", "mac_address": "02:00:00:00:00:01"}
    assert await fleet.value("routeros_wireless_client_transmit_ccq_ratio", **client) == 0.93


async def test_what_the_router_did_not_give_has_no_sample(fleet: ScrapedFleet) -> None:
    interfaces = interfaces_reading([{b"rx-byte": b"5"}, {}], ids=[1, 2])
    inventory = inventory_reading(interface_description(1, "a"), interface_description(2, "b"))
    revision = inventory_message(inventory).revision
    readings = PollReadings(
        None, rebooted=False, interfaces=interfaces(revision), inventory=inventory
    )
    polled(fleet.add(), readings)

    text = await fleet.text()

    assert await fleet.value("routeros_interface_receive_bytes_total", interface="a") == 5
    assert await fleet.value("routeros_interface_receive_bytes_total", interface="b") is None
    assert "routeros_uptime_seconds" not in text
    assert "routeros_interface_transmit_bytes" not in text
    assert "routeros_cpu_load_ratio" not in text
    assert "routeros_interface_mtu_bytes" not in text


async def test_a_device_that_is_down_has_no_readings_and_its_last_seen_stands(
    fleet: ScrapedFleet,
) -> None:
    held = fleet.add()
    polled(held, full_readings())
    failed(held, failures=3)

    served = await fleet.families()

    assert set(served) == {
        "routeros_up",
        "routeros_last_seen_timestamp_seconds",
        "routeros_consecutive_poll_failures",
        "routeros_down_info",
        "routeros_device_info",
        "routeros_firmware_info",
        "routeros_update_available",
        "routeros_routerboot_upgrade_available",
        "routeros_cpu_cores",
        "routeros_cpu_frequency_hertz",
    }
    assert await fleet.value("routeros_up") == 0
    assert await fleet.value("routeros_last_seen_timestamp_seconds") == 1_800_000_001.25
    assert await fleet.value("routeros_consecutive_poll_failures") == 3
    assert await fleet.value("routeros_down_info", reason="timeout") == 1


async def test_readings_that_are_not_due_come_back_with_the_device(fleet: ScrapedFleet) -> None:
    held = fleet.add()
    polled(held, full_readings())
    failed(held)
    polled(held, PollReadings(86_520, rebooted=False), due=[])

    assert await fleet.value("routeros_uptime_seconds") == 86_520
    assert await fleet.value("routeros_cpu_load_ratio") == 0.07


async def test_a_menu_that_is_gone_takes_its_metrics_with_it(fleet: ScrapedFleet) -> None:
    held = fleet.add()
    polled(held, full_readings())
    polled(held, PollReadings(86_460, rebooted=False), due=[Kind.WIRELESS])

    text = await fleet.text()

    assert "routeros_wireless" not in text
    assert "routeros_interface_up" in text


async def test_a_device_that_was_never_polled_has_no_sample(fleet: ScrapedFleet) -> None:
    fleet.add()

    assert await fleet.text() == ""


async def test_counters_of_another_inventory_are_not_given_false_names(fleet: ScrapedFleet) -> None:
    held = fleet.add()
    polled(held, full_readings())
    other = inventory_reading(interface_description(1, "renamed"))
    polled(held, PollReadings(1, rebooted=False, inventory=other), due=[Kind.INVENTORY])

    assert "routeros_interface" not in await fleet.text()


@pytest.mark.parametrize("group", [one for one in Group if one is not Group.DEVICE])
async def test_a_group_that_is_off_is_neither_kept_nor_served(group: Group) -> None:
    fleet = ScrapedFleet(groups=ALL_GROUPS - {group})
    polled(fleet.add(), full_readings())

    text = await fleet.text()

    assert "routeros_up" in text
    for one in FAMILIES:
        assert (f"# TYPE {one.name} " in text) == (
            one.group is not group and one.name != "routeros_down_info"
        )


def test_without_device_metrics_nothing_is_kept() -> None:
    held = HeldEvents(wanted_kinds([]))
    polled(held, full_readings())
    failed(held)

    assert held.payloads == {}


async def test_devices_beyond_the_bound_are_left_out_whole_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fleet = ScrapedFleet(max_series=250)
    for name in ("b", "a", "c"):
        polled(fleet.add(name), full_readings())
    exposition = fleet.exposition()

    texts = [await rendered(exposition) for _ in range(3)]

    seen = {
        sample.labels["device"]
        for family in text_string_to_metric_families(texts[-1])
        for sample in family.samples
    }
    left_out = fleet.metrics.registry.get_sample_value(
        "fleet_poller_device_metrics_left_out_devices"
    )
    series = fleet.metrics.registry.get_sample_value("fleet_poller_device_metrics_series")
    assert texts[0] == texts[-1]
    assert seen == set("abc"[: len(seen)])
    assert 1 <= len(seen) < 3
    assert left_out == 3 - len(seen)
    lines = sum(not line.startswith("#") for line in texts[-1].splitlines())
    assert 0.9 * (series or 0) < lines <= (series or 0) <= fleet.max_series
    assert len([one for one in caplog.records if "leave out" in one.message]) == 1


async def test_openmetrics_names_families_and_strict_parsing_takes_it(fleet: ScrapedFleet) -> None:
    polled(fleet.add(), full_readings())
    text = await fleet.text(openmetrics=True)

    families = {
        one.name: one
        for one in openmetrics.text_string_to_metric_families(  # pyright: ignore[reportUnknownMemberType] - untyped
            text + "# EOF\n"
        )
    }

    assert "# TYPE routeros_interface_receive_bytes counter" in text
    assert families["routeros_device"].type == "info"
    assert families["routeros_interface_receive_bytes"].type == "counter"


async def test_two_interfaces_of_one_name_are_two_series(fleet: ScrapedFleet) -> None:
    inventory = inventory_reading(interface_description(1, "lan"), interface_description(26, "lan"))
    revision = inventory_message(inventory).revision
    counters = interfaces_reading([{b"rx-byte": b"1"}, {b"rx-byte": b"2"}], ids=[1, 26])
    readings = PollReadings(1, rebooted=False, interfaces=counters(revision), inventory=inventory)
    polled(fleet.add(), readings)

    name = "routeros_interface_receive_bytes_total"
    assert await fleet.value(name, interface="lan") == 1
    assert await fleet.value(name, interface="lan#1A") == 2


@pytest.mark.parametrize(
    ("named", "unique"),
    [
        ({1: "a", 2: "b"}, {1: "a", 2: "b"}),
        ({2: "a", 1: "a"}, {1: "a", 2: "a#2"}),
        ({1: "a", 2: "a", 3: "a#2"}, {1: "a", 2: "a#2#2", 3: "a#2"}),
        ({1: "", 2: ""}, {1: "", 2: "#2"}),
    ],
)
def test_names_are_made_unique(named: Mapping[int, str], unique: Mapping[int, str]) -> None:
    assert unique_names(named.items()) == unique
