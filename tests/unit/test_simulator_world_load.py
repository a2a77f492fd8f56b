"""CPU, memory, sensors and links move as they do on routers."""

from itertools import pairwise
from statistics import fmean

from fleet_simulator.world import SimulatedRouter, build_router
from fleet_simulator.world.load import Load

MONDAY = 1_794_787_200.0  # 2026-11-16 00:00 UTC
HOUR, DAY = 3600.0, 86_400.0


def value(router: SimulatedRouter, path: str, name: bytes, now: float) -> int:
    menu = router.menu(path)
    assert menu is not None
    return int(menu.rows(now)[0][name])


def sensor(router: SimulatedRouter, name: bytes, now: float) -> float:
    menu = router.menu("/system/health")
    assert menu is not None
    return next(float(row[b"value"]) for row in menu.rows(now) if row[b"name"] == name)


def mean_load(load: Load, begin: float, length: float = HOUR) -> float:
    return fmean(load.cpu(begin + step) for step in range(0, int(length), 10))


def test_cpu_follows_the_hours_of_the_day() -> None:
    router = build_router(3, "r", personality="core")
    local = MONDAY - router.site.utc_offset
    by_hour = [mean_load(router.load, local + hour * HOUR) for hour in range(24)]
    busiest, calmest = by_hour.index(max(by_hour)), by_hour.index(min(by_hour))
    assert 12 <= busiest <= 19
    assert calmest <= 6 or calmest >= 23
    assert by_hour[busiest] > 2 * by_hour[calmest]


def test_cpu_spikes_are_short_and_not_rare() -> None:
    load = build_router(3, "r", personality="switch").load
    above = [load.cpu(MONDAY + second) > load.calm(MONDAY + second) * 1.4 + 0.1
             for second in range(int(DAY))]  # fmt: skip
    runs = [len(run) for run in "".join("x" if high else " " for high in above).split()]
    assert 5 <= len(runs) <= 60
    assert max(runs) <= 80


def test_neighbouring_seconds_differ_and_the_same_second_does_not() -> None:
    load = build_router(3, "r").load
    readings = [load.cpu(MONDAY + second) for second in range(60)]
    assert len(set(readings)) > 50
    assert load.cpu(MONDAY + 5) == readings[5]


def test_temperature_follows_load_with_a_lag() -> None:
    router = build_router(3, "r", personality="core")
    times = [MONDAY + step * 300.0 for step in range(int(5 * DAY / 300))]
    heat = [sensor(router, b"cpu-temperature", now) for now in times]
    assert 30 <= min(heat) < max(heat) <= 85
    lagged = correlation(heat, [router.load.calm(now - 900) for now in times])
    ahead = correlation(heat, [router.load.calm(now + 4 * HOUR) for now in times])
    assert lagged > 0.7
    assert lagged > ahead


def test_fans_turn_faster_when_it_is_warm() -> None:
    router = build_router(3, "r", personality="core")
    times = [MONDAY + step * 900.0 for step in range(int(3 * DAY / 900))]
    speed = [sensor(router, b"fan1-speed", now) for now in times]
    heat = [sensor(router, b"cpu-temperature", now) for now in times]
    assert correlation(speed, heat) > 0.7


def test_memory_leaks_until_a_reboot_frees_it() -> None:
    router = build_router(3, "r")
    router.reboot(MONDAY)
    fresh = value(router, "/system/resource", b"free-memory", MONDAY + HOUR)
    later = value(router, "/system/resource", b"free-memory", MONDAY + 15 * DAY + HOUR)
    assert later < fresh
    router.reboot(MONDAY + 15 * DAY + HOUR)
    assert value(router, "/system/resource", b"free-memory", MONDAY + 15 * DAY + 2 * HOUR) > later


def test_sectors_written_since_the_reboot_start_at_nothing_and_in_total_do_not() -> None:
    router = build_router(3, "r")
    router.reboot(MONDAY)
    path = "/system/resource"
    assert value(router, path, b"write-sect-since-reboot", MONDAY) == 0
    assert value(router, path, b"write-sect-total", MONDAY) > 0
    assert value(router, path, b"write-sect-since-reboot", MONDAY + DAY) > 0


def test_a_link_that_flaps_says_when_and_how_often() -> None:
    router, port = next(
        (router, port)
        for router in (
            build_router(seed, "r", personality="switch-48", interfaces=None) for seed in range(40)
        )
        for port in router.interfaces
        if 0 < port.flap_period < DAY
    )
    router.reboot(MONDAY)
    states = [port.link(MONDAY + step, MONDAY) for step in range(60, int(3 * DAY), 1)]
    downs = sum(before.running and not after.running for before, after in pairwise(states))
    last = states[-1]
    assert last.downs == downs > 2
    assert last.down is not None
    assert MONDAY < last.down <= MONDAY + 3 * DAY
    assert all(not state.running or state.up <= MONDAY + 3 * DAY for state in states)
    silent = [
        port.counters(MONDAY + step, MONDAY)
        for step, state in enumerate(states, start=60)
        if state.downs == 1 and not state.running
    ]
    assert silent
    assert len(set(silent)) == 1


def test_an_uplink_carries_about_what_the_ports_behind_it_do() -> None:
    router = build_router(3, "r", personality="switch", interfaces=None)
    router.reboot(MONDAY)
    now = MONDAY + DAY
    if router.booted(now) != MONDAY:
        raise AssertionError("choose a seed without a scheduled reboot on that day")
    counted = {each.name: each.counters(now, MONDAY) for each in router.interfaces}
    uplink, bridge = router.interfaces[0], counted[b"bridge"]
    inside = sum(counted[each.name][1] for each in router.interfaces if each.master)
    assert 0.85 <= counted[uplink.name][0] / inside <= 1.1
    assert 0.9 <= bridge[1] / inside <= 1.1


def correlation(left: list[float], right: list[float]) -> float:
    mean_left, mean_right = fmean(left), fmean(right)
    product = sum((a - mean_left) * (b - mean_right) for a, b in zip(left, right, strict=True))
    spread = sum((a - mean_left) ** 2 for a in left) * sum((b - mean_right) ** 2 for b in right)
    return product / spread**0.5
