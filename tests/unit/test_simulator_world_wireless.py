"""Wireless stations: where they are, how they are written down, how they come and go."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import pytest

from fleet_simulator.tables import Row
from fleet_simulator.world import SimulatedRouter, build_fleet, build_router

MIDNIGHT = 1_795_046_400.0  # 2026-11-19 00:00 UTC
HOUR = 3600.0
PATHS = (
    "/interface/wireless/registration-table",
    "/interface/wifi/registration-table",
    "/interface/wifiwave2/registration-table",
)


def joined(router: SimulatedRouter, now: float) -> Sequence[Row]:
    for path in PATHS:
        menu = router.menu(path)
        rows = menu.rows(now) if menu is not None else ()
        if rows:
            return rows
    return ()


def access_points(devices: int = 60) -> list[SimulatedRouter]:
    fleet = build_fleet(3, ["acme"], devices, started=MIDNIGHT)
    return [
        router
        for router in fleet
        if router.personality.wireless != "none" and router.personality.capsman == "none"
    ]


def hours(day: int = 0) -> Iterator[float]:
    return (MIDNIGHT + day * 24 * HOUR + hour * HOUR for hour in range(24))


def test_a_station_is_joined_to_one_access_point_at_a_time() -> None:
    routers = access_points()
    for now in hours():
        seen = [row[b"mac-address"] for router in routers for row in joined(router, now)]
        assert len(seen) == len(set(seen))


def test_stations_roam_between_the_access_points_of_their_tenant() -> None:
    places: defaultdict[bytes, set[str]] = defaultdict(set)
    for day in range(3):
        for now in hours(day):
            for router in access_points():
                for row in joined(router, now):
                    places[row[b"mac-address"]].add(router.name)
    roaming = [mac for mac, names in places.items() if len(names) > 1]
    assert len(roaming) > len(places) / 2
    assert max(len(names) for names in places.values()) == 3


def test_more_stations_are_there_by_day_than_by_night() -> None:
    routers = access_points()
    offset = routers[0].site.utc_offset

    def count(hour: float) -> int:
        return sum(len(joined(router, MIDNIGHT + hour * HOUR - offset)) for router in routers)

    assert count(11) + count(14) > 1.5 * (count(3) + count(4))
    assert count(3) > 0


def test_the_legacy_package_writes_signal_with_its_rate_and_ccq() -> None:
    router = build_router(2, "r", personality="ap-wireless", interfaces=None)
    rows = [row for now in hours() for row in joined(router, now)]
    assert rows
    for row in rows:
        assert re.fullmatch(rb"-\d+@(1|6)Mbps", row[b"signal-strength"])
        assert re.fullmatch(rb"\d+(\.\d)?Mbps-20MHz/[12]S(/SGI)?", row[b"tx-rate"])
        assert re.fullmatch(rb"\d+,\d+", row[b"packets"])
        assert re.fullmatch(rb"(\d+s)?(\d+ms)?", row[b"last-activity"])
        assert 0 < int(row[b"tx-ccq"]) <= 100
        assert 0 < int(row[b"rx-ccq"]) <= 100
        assert (b"signal-strength-ch1" in row) == (b"/2S" in row[b"tx-rate"])
        assert b"signal" not in row


@pytest.mark.parametrize("kind", ["ap-wifi", "ap-wifiwave2"])
def test_the_new_packages_write_bare_signal_and_rates_and_no_ccq(kind: str) -> None:
    router = build_router(2, "r", personality=kind, interfaces=None)
    rows = [row for now in hours() for row in joined(router, now)]
    assert rows
    for row in rows:
        assert -100 < int(row[b"signal"]) < -20
        assert int(row[b"tx-rate"]) > 6_000_000
        assert int(row[b"tx-bits-per-second"]) >= 0
        assert row.keys().isdisjoint({b"tx-ccq", b"signal-strength", b"signal-to-noise"})


def test_bytes_of_a_station_rise_while_it_stays() -> None:
    router = build_router(2, "r", personality="ap-wifi", interfaces=None)
    for now in hours():
        before = {row[b"mac-address"]: row for row in joined(router, now)}
        for row in joined(router, now + 60):
            earlier = before.get(row[b"mac-address"])
            if earlier is None or seconds(row[b"uptime"]) < seconds(earlier[b"uptime"]):
                continue
            for first, later in zip(pair(earlier[b"bytes"]), pair(row[b"bytes"]), strict=True):
                assert first <= later


def test_only_the_legacy_package_of_v6_has_32_bit_bytes() -> None:
    def most(kind: str) -> int:
        routers = (build_router(seed, "r", personality=kind, interfaces=None) for seed in range(40))
        rows = (row for router in routers for row in joined(router, MIDNIGHT + 12 * HOUR))
        return max(max(pair(row[b"bytes"])) for row in rows)

    assert most("ap-wireless-v6") < 2**32
    assert most("ap-wireless") > 2**32
    assert most("ap-wifi") > 2**32


def test_a_reboot_sends_all_stations_away_for_a_moment() -> None:
    router = build_router(2, "r", personality="ap-wifi", interfaces=None)
    now = MIDNIGHT + 12 * HOUR
    assert joined(router, now)
    router.reboot(now)
    assert not joined(router, now + 1)
    back = joined(router, now + 30)
    assert back
    assert all(seconds(row[b"uptime"]) <= 30 for row in back)


def test_a_radio_switched_off_has_no_stations() -> None:
    router = build_router(2, "r", personality="ap-wifi", interfaces=None)
    now = MIDNIGHT + 12 * HOUR
    menu = router.menu("/interface/wifi")
    assert menu is not None
    for row in menu.rows(now):
        menu.run("disable", {b".id": row[b".id"]}, now)
    assert not joined(router, now)


@pytest.mark.parametrize(
    ("kind", "path", "clients"),
    [
        ("ap-wireless", "/interface/wireless", b"registered-clients"),
        ("ap-wifi", "/interface/wifi", b"registered-peers"),
        ("ap-wifiwave2", "/interface/wifiwave2", b"registered-peers"),
        ("capsman-wifi", "/interface/wifi", b"registered-peers"),
    ],
)
def test_a_radio_counts_the_stations_its_table_lists(kind: str, path: str, clients: bytes) -> None:
    router = build_router(2, "r", personality=kind, interfaces=None)
    menu, table = router.menu(path), router.menu(f"{path}/registration-table")
    assert menu is not None
    assert table is not None
    now = MIDNIGHT + 12 * HOUR
    total = 0
    for place in range(len(menu.rows(now))):
        (reading,) = menu.run("monitor", {b"numbers": b"%d" % place, b"once": b""}, now).rows
        total += int(reading[clients])
        assert re.match(rb"\d{4}/", reading[b"channel"])
        if kind == "ap-wireless":
            assert -120 < int(reading[b"noise-floor"]) < -90
    assert total == len(table.rows(now)) > 0


def test_a_legacy_manager_lists_its_access_points_and_their_stations() -> None:
    router = build_router(2, "r", personality="capsman", interfaces=None)
    now = MIDNIGHT + 12 * HOUR
    stations = router.menu("/caps-man/registration-table")
    caps = router.menu("/caps-man/remote-cap")
    interfaces = router.menu("/caps-man/interface")
    assert stations is not None
    assert caps is not None
    assert interfaces is not None
    rows = stations.rows(now)
    assert all({b"rx-signal", b"tx-signal", b"tx-rate", b"ssid"} <= row.keys() for row in rows)
    counted = sum(int(row[b"current-registered-clients"]) for row in interfaces.rows(now))
    assert counted == len(rows) > 0
    assert {row[b"interface"] for row in rows} <= {row[b"name"] for row in interfaces.rows(now)}
    assert len(caps.rows(now)) == len(interfaces.rows(now))


def pair(text: bytes) -> tuple[int, int]:
    first, second = text.split(b",")
    return int(first), int(second)


def seconds(text: bytes) -> int:
    units = {b"w": 604_800, b"d": 86_400, b"h": 3600, b"m": 60, b"s": 1}
    return sum(int(n) * units[u] for n, u in re.findall(rb"(\d+)([wdhms])", text))
