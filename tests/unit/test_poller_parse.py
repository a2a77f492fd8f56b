"""Rows of each menu as routers of both generations print them."""

import pytest

from fleet_poller.parse.interfaces import identify, parse_counters, parse_descriptions
from fleet_poller.parse.inventory import parse_firmware, parse_inventory
from fleet_poller.parse.system import parse_cores, parse_health, parse_resource
from fleet_poller.parse.wireless import MAX_CLIENTS, channel, parse_wireless
from fleet_poller.readings import Package, SensorReading
from fleet_poller.routeros.wire import Attributes

# A capture of 6.27 on an OmniTIK.
V6_RESOURCE: Attributes = {
    b"uptime": b"4d15h20m38s",
    b"version": b"6.27",
    b"free-memory": b"36741120",
    b"total-memory": b"67108864",
    b"cpu": b"MIPS 24Kc V7.4",
    b"cpu-count": b"1",
    b"cpu-frequency": b"400",
    b"cpu-load": b"28",
    b"free-hdd-space": b"116649984",
    b"total-hdd-space": b"134217728",
    b"write-sect-since-reboot": b"1070",
    b"bad-blocks": b"0",
    b"architecture-name": b"mipsbe",
    b"board-name": b"RB OmniTIK UPA-5HnD",
    b"platform": b"MikroTik",
}


def test_a_resource_row() -> None:
    resource = parse_resource(V6_RESOURCE)

    assert resource.uptime_seconds == 400_838
    assert resource.cpu_load_percent == 28
    assert resource.memory_free_bytes == 36_741_120
    assert resource.write_sectors_total == 1070
    assert resource.bad_blocks_permille == 0


def test_bad_blocks_are_in_percent() -> None:
    assert parse_resource({b"bad-blocks": b"0.3"}).bad_blocks_permille == 3
    assert parse_resource({b"bad-blocks": b"1.2%"}).bad_blocks_permille == 12


def test_what_the_router_does_not_print_is_absent_not_zero() -> None:
    assert set(parse_resource({})) == {None}


def test_health_of_v7_is_a_row_per_sensor() -> None:
    rows = [
        {b".id": b"*D", b"name": b"voltage", b"value": b"23.9", b"type": b"V"},
        {b".id": b"*11", b"name": b"cpu-temperature", b"value": b"38", b"type": b"C"},
        {b".id": b"*1B59", b"name": b"fan1-speed", b"value": b"3165", b"type": b"RPM"},
        {b".id": b"*1CE9", b"name": b"psu1-state", b"value": b"ok", b"type": b""},
    ]

    assert parse_health(rows) == (
        SensorReading("voltage", "V", 23_900, None),
        SensorReading("cpu-temperature", "C", 38_000, None),
        SensorReading("fan1-speed", "RPM", 3_165_000, None),
        SensorReading("psu1-state", "", None, "ok"),
    )


def test_health_of_v6_is_one_row_with_settings_between_the_sensors() -> None:
    row = {
        b"fan-mode": b"auto",
        b"use-fan": b"main",
        b"voltage": b"24.1V",
        b"temperature": b"-3C",
        b"cpu-temperature": b"46",
        b"psu2-state": b"fail",
    }

    assert parse_health([row]) == (
        SensorReading("voltage", "V", 24_100, None),
        SensorReading("temperature", "C", -3_000, None),
        SensorReading("cpu-temperature", "C", 46_000, None),
        SensorReading("psu2-state", "", None, "fail"),
    )


def test_a_board_without_sensors_has_none() -> None:
    assert parse_health([]) == ()


def test_cores_are_all_or_nothing() -> None:
    rows = [{b"cpu": b"cpu0", b"load": b"11"}, {b"cpu": b"cpu1", b"load": b"8%"}]

    assert parse_cores(rows) == (11, 8)
    assert parse_cores([*rows, {b"cpu": b"cpu2"}]) == ()


def test_counters_are_columns_of_value_plus_one() -> None:
    rows: list[Attributes] = [
        {b"rx-byte": b"10", b"tx-byte": b"0", b"running": b"true", b"disabled": b"false"},
        {b"rx-byte": b"18446744073709551614", b"running": b"false", b"disabled": b"true"},
        {b"rx-byte": b"what", b"running": b"true"},
    ]

    counters = parse_counters(rows, [1, 2, 3])

    assert counters.columns[0] == [11, 2**64 - 1, 0]
    assert counters.columns[1] == [1, 0, 0]
    assert counters.columns[2] == [0, 0, 0]
    assert counters.running == [True, False, True]
    assert counters.disabled == [False, True, False]


@pytest.mark.parametrize("value", [b"18446744073709551615", b"-1", b"-2", b"1e3", b""])
def test_a_counter_that_does_not_fit_is_absent(value: bytes) -> None:
    assert parse_counters([{b"rx-byte": value}, {b"rx-byte": b"5"}], [1, 2]).columns[0] == [0, 6]


def test_rows_without_a_usable_id_are_left_out() -> None:
    rows: list[Attributes] = [{b".id": b"*1"}, {b"name": b"x"}, {b".id": b"*1"}, {b".id": b"*A"}]

    assert identify(rows) == ([rows[0], rows[3]], [1, 10])


def test_a_description_joins_the_link_rate_by_name() -> None:
    rows: list[Attributes] = [
        {
            b".id": b"*1",
            b"name": b"ether1",
            b"type": b"ether",
            b"mac-address": b"48:A9:8A:79:D2:01",
            b"mtu": b"1500",
            b"comment": b"caf\xe9",
            b"last-link-up-time": b"sep/30/2024 21:35:18",
        },
        {b".id": b"*2", b"name": b"bridge", b"type": b"bridge", b"mtu": b"auto"},
    ]
    monitor = {"ether1": {b"status": b"link-ok", b"rate": b"2.5Gbps", b"full-duplex": b"true"}}

    port, bridge = parse_descriptions(rows, monitor)

    assert port.link_rate_bits_per_second == 2_500_000_000
    assert port.full_duplex is True
    assert port.comment == "café"
    assert port.link_times.last_up_router_unix_seconds == 1_727_732_118
    assert bridge.mtu is None
    assert bridge.link_rate_bits_per_second is None
    assert bridge.mac_address is None


def test_a_port_without_link_has_no_rate() -> None:
    rows: list[Attributes] = [{b".id": b"*1", b"name": b"ether1"}]
    monitor = {"ether1": {b"status": b"no-link", b"rate": b"1Gbps"}}

    assert parse_descriptions(rows, monitor)[0].link_rate_bits_per_second is None


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (b"5180/20-Ceee/ac(28dBm)", (5180, 80)),
        (b"2437/20-Ce/gn(17dBm)", (2437, 40)),
        (b"2412/20/gn", (2412, 20)),
        (b"5180/ax/Ceee", (5180, 80)),
        (b"2412/ax", (2412, 20)),
        (b"5500/10/a", (5500, 10)),
        (b"", (None, None)),
        (b"auto", (None, None)),
    ],
)
def test_channels(printed: bytes, expected: tuple[int | None, int | None]) -> None:
    assert channel(printed) == expected


def test_a_client_of_the_old_package() -> None:
    row = {
        b"interface": b"wlan1",
        b"mac-address": b"DC:A6:32:3B:9F:F6",
        b"signal-strength": b"-62@1Mbps",
        b"signal-to-noise": b"40",
        b"tx-rate": b"60Mbps-40MHz/2S/SGI",
        b"rx-rate": b"26Mbps-20MHz/2S",
        b"tx-ccq": b"76",
        b"rx-ccq": b"33",
        b"uptime": b"4d15h19m47s",
        b"packets": b"37184706,33176656",
        b"bytes": b"2871035632,2916519196",
    }

    (client,) = parse_wireless(Package.WIRELESS, [], {}, [row]).clients

    assert client.signal_dbm == -62
    assert client.tx_rate_bits_per_second == 60_000_000
    assert client.tx_ccq_percent == 76
    assert client.tx_bytes_total == 2_871_035_632
    assert client.rx_packets_total == 33_176_656


def test_a_client_of_the_wifi_package_has_no_ccq() -> None:
    row = {
        b"interface": b"wifi1",
        b"ssid": b"test-ssid",
        b"mac-address": b"DC:A6:32:3B:9F:F6",
        b"signal": b"-47",
        b"tx-rate": b"54000000",
        b"bytes": b"1851474,2037295",
    }

    (client,) = parse_wireless(Package.WIFI, [], {}, [row]).clients

    assert client.signal_dbm == -47
    assert client.tx_rate_bits_per_second == 54_000_000
    assert client.tx_ccq_percent is None
    assert client.ssid == "test-ssid"


def test_clients_beyond_the_bound_are_counted_and_those_without_address_skipped() -> None:
    rows: list[Attributes] = [{b"interface": b"wlan1"}]
    rows += [
        {b"mac-address": b"02:00:00:00:%02X:%02X" % divmod(number, 256)}
        for number in range(MAX_CLIENTS + 7)
    ]

    reading = parse_wireless(Package.WIRELESS, [], {}, rows)

    assert len(reading.clients) == MAX_CLIENTS
    assert reading.clients_left_out == 7


def test_a_radio_says_what_is_seen_rather_than_what_is_configured() -> None:
    row = {
        b"name": b"wlan2",
        b"ssid": b"office",
        b"frequency": b"5200",
        b"band": b"5ghz-a/n/ac",
        b"channel-width": b"20/40/80mhz-XXXX",
        b"running": b"true",
    }
    monitor = {
        b"channel": b"5180/20-Ceee/ac(17dBm)",
        b"noise-floor": b"-106",
        b"registered-clients": b"3",
    }

    seen, unseen = (
        parse_wireless(Package.WIRELESS, [row], monitored, []).radios[0]
        for monitored in ({b"wlan2": monitor}, {})
    )

    assert (seen.frequency_mhz, seen.channel_width_mhz) == (5180, 80)
    assert (seen.noise_floor_dbm, seen.clients_count, seen.tx_power_dbm) == (-106, 3, 17)
    assert (unseen.frequency_mhz, unseen.channel_width_mhz) == (5200, None)
    assert (unseen.noise_floor_dbm, unseen.clients_count) == (None, None)


def test_firmware_falls_back_to_the_channel_in_the_version() -> None:
    reading = parse_firmware({b"version": b"6.47.9 (long-term)"}, {}, {})

    assert (reading.installed_version, reading.channel) == ("6.47.9", "long-term")
    assert reading.routerboard is None


def test_firmware_of_a_board() -> None:
    update = {b"channel": b"stable", b"installed-version": b"7.17", b"latest-version": b"7.18.2"}
    board = {
        b"routerboard": b"true",
        b"current-firmware": b"7.17",
        b"upgrade-firmware": b"7.17",
        b"factory-firmware": b"3.35",
    }

    reading = parse_firmware({b"version": b"7.17 (stable)"}, update, board)

    assert reading.latest_version == "7.18.2"
    assert (reading.routerboot_current, reading.routerboot_factory) == ("7.17", "3.35")
    assert reading.routerboard is True


def test_an_inventory_of_an_old_board() -> None:
    reading = parse_inventory({b"name": b"roof"}, V6_RESOURCE, {}, {b"nlevel": b"4"}, ())

    assert reading.identity == "roof"
    assert reading.board_name == "RB OmniTIK UPA-5HnD"
    assert reading.cpu_frequency_mhz == 400
    assert reading.license_level == "4"
    assert reading.model == ""
