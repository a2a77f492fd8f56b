"""What each kind of router answers, in the words of its generation."""

import re
from collections.abc import Sequence

import pytest

from fleet_simulator.tables import Row, TrapError
from fleet_simulator.world import PERSONALITIES, SimulatedRouter, build_router

NOW = 1_795_000_000.0
DURATION = re.compile(rb"(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?")
V6_DATE = re.compile(rb"[a-z]{3}/\d\d/\d{4} \d\d:\d\d:\d\d")
V7_DATE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
KINDS = sorted(PERSONALITIES)


def rows(router: SimulatedRouter, path: str, now: float = NOW) -> Sequence[Row]:
    menu = router.menu(path)
    assert menu is not None, f"{router.personality.name} {router.version} has no {path}"
    return menu.rows(now)


def built(kind: str, version: str | None = None, seed: int = 4) -> SimulatedRouter:
    return build_router(seed, "r", personality=kind, version=version, interfaces=None)


@pytest.mark.parametrize("kind", KINDS)
def test_every_router_answers_what_every_poll_asks(kind: str) -> None:
    router = built(kind)
    assert rows(router, "/system/identity") == [{b"name": b"r"}]
    (resource,) = rows(router, "/system/resource")
    assert {
        b"uptime", b"version", b"build-time", b"free-memory", b"total-memory", b"cpu",
        b"cpu-count", b"cpu-frequency", b"cpu-load", b"free-hdd-space", b"total-hdd-space",
        b"architecture-name", b"board-name", b"platform",
    } <= resource.keys()  # fmt: skip
    assert DURATION.fullmatch(resource[b"uptime"])
    assert re.fullmatch(rb"[67]\.\d+(\.\d+)? \((stable|long-term)\)", resource[b"version"])
    assert 0 < int(resource[b"free-memory"]) < int(resource[b"total-memory"])
    assert 0 < int(resource[b"free-hdd-space"]) < int(resource[b"total-hdd-space"])
    assert 0 <= int(resource[b"cpu-load"]) <= 100
    for row in rows(router, "/interface"):
        assert {
            b".id", b"name", b"type", b"mtu", b"actual-mtu", b"mac-address", b"link-downs",
            b"rx-byte", b"tx-byte", b"rx-packet", b"tx-packet", b"rx-drop", b"tx-drop",
            b"rx-error", b"tx-error", b"running", b"disabled",
        } <= row.keys()  # fmt: skip
        assert row[b"running"] in {b"true", b"false"}
        assert re.fullmatch(rb"([0-9A-F]{2}:){5}[0-9A-F]{2}", row[b"mac-address"])
    (board,) = rows(router, "/system/routerboard")
    assert board[b"routerboard"] == (b"false" if "chr" in kind else b"true")


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_unique_and_come_first(kind: str) -> None:
    router = built(kind)
    for path in ("/interface", "/ip/address", "/ip/route", "/ip/firewall/filter", "/ip/service"):
        table = rows(router, path)
        assert all(next(iter(row)) == b".id" for row in table)
        assert len({row[b".id"] for row in table}) == len(table)


@pytest.mark.parametrize("kind", KINDS)
def test_cores_share_the_load(kind: str) -> None:
    router = built(kind)
    cores = rows(router, "/system/resource/cpu")
    (resource,) = rows(router, "/system/resource")
    assert len(cores) == int(resource[b"cpu-count"])
    assert {row[b"cpu"] for row in cores} == {b"cpu%d" % place for place in range(len(cores))}
    assert all(0 <= int(row[b"load"]) <= 100 for row in cores)


def test_health_is_one_row_in_v6_and_a_row_per_sensor_in_v7() -> None:
    (old,) = rows(built("core-v6"), "/system/health")
    assert {b"voltage", b"temperature", b"cpu-temperature", b"fan1-speed"} <= old.keys()
    assert b".id" not in old
    new = rows(built("core"), "/system/health")
    assert all(list(row) == [b".id", b"name", b"value", b"type"] for row in new)
    states = {row[b"name"]: row for row in new if row[b"name"].endswith(b"-state")}
    assert set(states) == {b"psu1-state", b"psu2-state"}
    assert states[b"psu1-state"][b"value"] == b"ok"
    assert states[b"psu1-state"][b"type"] == b""
    assert {row[b"type"] for row in new} == {b"C", b"RPM", b""}


@pytest.mark.parametrize("kind", ["chr", "chr-v6"])
def test_a_chr_has_no_sensors_and_no_routerboard(kind: str) -> None:
    router = built(kind)
    assert rows(router, "/system/health") == []
    assert rows(router, "/system/routerboard") == [{b"routerboard": b"false"}]
    assert router.menu("/system/routerboard/settings") is None
    assert b"system-id" in rows(router, "/system/license")[0]


def test_some_spare_power_supply_has_failed() -> None:
    states = {
        row[b"value"]
        for seed in range(150)
        for row in rows(built("switch-48", seed=seed), "/system/health")
        if row[b"name"] == b"psu2-state"
    }
    assert states == {b"ok", b"fail"}


def test_dates_are_written_as_their_generation_writes_them() -> None:
    for kind, form in (("core-v6", V6_DATE), ("core", V7_DATE)):
        router = built(kind)
        assert form.fullmatch(rows(router, "/system/resource")[0][b"build-time"])
        up = [row for row in rows(router, "/interface") if b"last-link-up-time" in row]
        assert up
        assert all(form.fullmatch(row[b"last-link-up-time"]) for row in up)
        clock = rows(router, "/system/clock")[0]
        assert form.fullmatch(clock[b"date"] + b" " + clock[b"time"])


@pytest.mark.parametrize(
    ("kind", "version", "there", "absent"),
    [
        ("ap-wireless-v6", None, "/interface/wireless", "/interface/wifi"),
        ("ap-wireless-v6", None, "/caps-man/registration-table", "/interface/wifi/capsman"),
        ("router-v6", None, "/interface/wireless", "/ipv6/firewall/connection"),
        ("ap-wifiwave2", "7.12.1", "/interface/wifiwave2", "/interface/wifi"),
        ("ap-wifiwave2", "7.12.1", "/interface/wifiwave2/registration-table", "/caps-man/manager"),
        ("ap-wifi", "7.13.5", "/interface/wifi/registration-table", "/interface/wireless"),
        ("ap-wireless", "7.16.1", "/interface/wireless", "/interface/wifiwave2"),
        ("ap-wireless", "7.16.1", "/interface/wifi", "/routing/bgp/peer"),
        ("router", "7.12.1", "/interface/wireless", "/interface/wifi"),
        ("router", "7.20", "/interface/wifi", "/interface/wireless"),
        ("core-v6", None, "/routing/bgp/peer", "/routing/bgp/session"),
        ("core", None, "/routing/bgp/session", "/routing/bgp/peer"),
        ("switch", None, "/interface/ethernet/switch/port", "/caps-man"),
        ("core", None, "/routing/stats", "/interface/ethernet/switch"),
        ("router-v6", None, "/interface/lte", "/interface/wireguard"),
        ("router-v6", None, "/ip", "/ipv6"),
    ],
)
def test_a_menu_is_there_with_its_package_or_hardware_only(
    kind: str, version: str | None, there: str, absent: str
) -> None:
    router = built(kind, version)
    assert router.menu(there) is not None
    assert router.menu(absent) is None


def test_a_modem_is_asked_with_info_in_v6_and_with_monitor_in_v7() -> None:
    for kind, command, other in (("lte-v6", "info", "monitor"), ("lte", "monitor", "info")):
        menu = built(kind).menu("/interface/lte")
        assert menu is not None
        assert command in menu.commands
        assert other not in menu.commands
        (reading,) = menu.run(command, {b"number": b"0"}, NOW).rows
        assert -130 < int(reading[b"rsrp"]) < -70
        assert -20 < int(reading[b"rsrq"]) < 0
        assert DURATION.fullmatch(reading[b"session-uptime"])


def test_ports_are_monitored_by_place_by_name_and_several_at_once() -> None:
    router = build_router(1, "r", personality="router", interfaces=None)
    menu = router.menu("/interface/ethernet")
    assert menu is not None
    names = [row[b"name"] for row in menu.rows(NOW)]
    (by_place,) = menu.run("monitor", {b"numbers": b"0", b"once": b""}, NOW).rows
    both = menu.run("monitor", {b"numbers": names[0] + b"," + names[-1]}, NOW).rows
    assert by_place == both[0]
    assert [row[b"name"] for row in both] == [names[0], names[-1]]
    assert by_place[b"status"] == b"link-ok"
    assert by_place[b"rate"] == b"2.5Gbps"
    assert b"sfp-module-present" not in both[0]
    assert both[1][b"sfp-module-present"] in {b"true", b"false"}


def test_a_port_without_a_link_has_no_rate() -> None:
    router = build_router(1, "r", personality="switch-48", interfaces=None)
    menu = router.menu("/interface/ethernet")
    assert menu is not None
    everyone = b",".join(row[b"name"] for row in menu.rows(NOW))
    readings = menu.run("monitor", {b"numbers": everyone}, NOW).rows
    assert {row[b"status"] for row in readings} == {b"link-ok", b"no-link"}
    assert all((b"rate" in row) == (row[b"status"] == b"link-ok") for row in readings)


def test_fed_ports_draw_power_in_bare_numbers() -> None:
    router = next(
        router
        for seed in range(20)
        if (router := built("switch", seed=seed)).board.model == "CRS328-24P-4S+"
    )
    menu = router.menu("/interface/ethernet/poe")
    assert menu is not None
    readings = [
        menu.run("monitor", {b"numbers": b"%d" % place}, NOW).rows[0]
        for place in range(len(menu.rows(NOW)))
    ]
    assert {row[b"poe-out-status"] for row in readings} == {b"powered-on", b"waiting-for-load"}
    for row in readings:
        if row[b"poe-out-status"] == b"powered-on":
            watts = float(row[b"poe-out-voltage"]) * float(row[b"poe-out-current"]) / 1000
            assert abs(watts - float(row[b"poe-out-power"])) < 0.2


@pytest.mark.parametrize("kind", ["core", "core-v6"])
def test_routes_carry_the_flags_exporters_count_by(kind: str) -> None:
    table = rows(built(kind), "/ip/route")
    assert len(table) == 60
    origins = [{b"connect", b"static", b"bgp", b"ospf"} & row.keys() for row in table]
    assert all(len(origin) == 1 for origin in origins)
    assert set().union(*origins) == {b"connect", b"static", b"bgp", b"ospf"}
    assert all((b"dynamic" in row) != (b"static" in row) for row in table)


def test_bgp_fields_have_dots_in_v7_and_none_in_v6() -> None:
    (new, *_) = rows(built("core"), "/routing/bgp/session")
    (old, *_) = rows(built("core-v6"), "/routing/bgp/peer")
    assert {b"remote.as", b"remote.address", b"established", b"prefix-count"} <= new.keys()
    assert {b"remote-as", b"remote-address", b"state", b"prefix-count"} <= old.keys()


def test_leases_agree_with_the_pool() -> None:
    router = built("router")
    bound = [row for row in rows(router, "/ip/dhcp-server/lease") if row[b"status"] == b"bound"]
    (pool,) = rows(router, "/ip/pool")
    assert len(bound) == int(pool[b"used"]) == len(rows(router, "/ip/pool/used"))
    assert int(pool[b"total"]) == int(pool[b"used"]) + int(pool[b"available"])
    assert all(b"active-address" in row for row in bound)


def test_names_and_comments_that_are_not_utf8_keep_their_bytes() -> None:
    comments = {
        row[b"comment"]
        for seed in range(60)
        for row in rows(built("switch-v6", seed=seed), "/interface")
        if b"comment" in row
    }
    assert "café terrace".encode("latin-1") in comments
    assert "Склад".encode("cp1251") in comments
    broken = [comment for comment in comments if _undecodable(comment)]
    assert len(broken) >= 3


def test_some_interfaces_have_names_that_trip_clients() -> None:
    names = {
        row[b"name"]
        for seed in range(150)
        for row in rows(built("router", seed=seed), "/interface")
    }
    assert {b"no", b"true", b"7", b"LAN 2", b"uplink.100"} <= names


def test_packages_name_the_wireless_driver() -> None:
    for kind, version, expected in (
        ("ap-wifi", "7.16.1", {b"routeros", b"wifi-qcom"}),
        ("ap-wifiwave2", "7.12.1", {b"routeros", b"wifiwave2"}),
        ("ap-wireless", "7.16.1", {b"routeros", b"wireless"}),
        ("router", "7.16.1", {b"routeros"}),
    ):
        packages = rows(built(kind, version), "/system/package")
        assert {row[b"name"] for row in packages} == expected
    old = {row[b"name"]: row[b"disabled"] for row in rows(built("core-v6"), "/system/package")}
    assert {b"system", b"wireless", b"routing", b"dhcp"} <= old.keys()
    assert old[b"ipv6"] == b"true"


def test_an_update_check_tells_what_is_new_until_the_next_reboot() -> None:
    router = build_router(1, "r", version="7.16.1")
    menu = router.menu("/system/package/update")
    assert menu is not None
    assert b"latest-version" not in menu.rows(NOW)[0]
    progress = menu.run("check-for-updates", {}, NOW).rows
    assert progress[0][b"status"] == b"finding out latest version..."
    assert progress[-1][b"latest-version"] == b"7.24.4"
    assert menu.rows(NOW)[0][b"status"] == b"New version is available"
    router.reboot(NOW + 1)
    assert b"latest-version" not in menu.rows(NOW + 2)[0]


def test_rebooting_by_command_restarts_the_clock() -> None:
    router = build_router(1, "r")
    menu = router.menu("/system")
    assert menu is not None
    assert "reboot" in menu.commands
    menu.run("reboot", {}, NOW)
    assert router.booted(NOW + 5) == NOW


def test_pings_are_answered_and_counted() -> None:
    menu = built("router").menu("")
    assert menu is not None
    rows = menu.run("ping", {b"address": b"192.0.2.1", b"count": b"100"}, NOW).rows
    assert [int(row[b"seq"]) for row in rows] == list(range(100))
    answered = [row for row in rows if b"status" not in row]
    assert int(rows[-1][b"received"]) == len(answered) > 90
    assert all(re.fullmatch(rb"(\d+ms)?\d+us", row[b"time"]) for row in answered)
    for wrong in ({b"count": b"3"}, {b"address": b"192.0.2.1", b"count": b"0"}):
        with pytest.raises(TrapError):
            menu.run("ping", wrong, NOW)


def _undecodable(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return True
    return False
