"""Counters rise between reboots, at rates a link can carry, and start anew at a reboot."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_simulator.world import PERSONALITIES, SimulatedRouter, build_router
from fleet_simulator.world.link import flaps_before

BEGIN, END = 1_767_225_600.0, 1_830_297_600.0  # 2026 and 2027
COUNTERS = (
    b"rx-byte", b"tx-byte", b"rx-packet", b"tx-packet", b"rx-drop", b"tx-queue-drop", b"rx-error",
    b"fp-rx-byte", b"fp-tx-byte", b"fp-rx-packet", b"fp-tx-packet", b"link-downs",
)  # fmt: skip
BURST = 4.0  # the most a rate can be above its mean: a busy hour times a busy minute

times = st.floats(BEGIN, END, allow_nan=False)
seeds = st.integers(0, 2**32)
kinds = st.sampled_from(sorted(PERSONALITIES))
steps = st.one_of(st.floats(0, 1e-3), st.floats(1e-3, 120), st.floats(120, 30 * 86_400))


def counters(router: SimulatedRouter, now: float) -> list[dict[bytes, int]]:
    menu = router.menu("/interface")
    assert menu is not None
    return [{name: int(row[name]) for name in COUNTERS} for row in menu.rows(now)]


@settings(deadline=None, max_examples=150)
@given(kind=kinds, seed=seeds, now=times, step=steps)
def test_counters_never_fall_between_reboots(kind: str, seed: int, now: float, step: float) -> None:
    router = build_router(seed, "r", personality=kind, interfaces=None)
    before, after = counters(router, now), counters(router, now + step)
    if router.booted(now) == router.booted(now + step):
        for earlier, later in zip(before, after, strict=True):
            assert all(earlier[name] <= later[name] for name in COUNTERS)


@settings(deadline=None, max_examples=150)
@given(kind=kinds, seed=seeds, now=times, step=st.floats(1, 3600))
def test_a_rate_stays_within_what_the_link_can_carry(
    kind: str, seed: int, now: float, step: float
) -> None:
    router = build_router(seed, "r", personality=kind, interfaces=None)
    if router.booted(now) != router.booted(now + step):
        return
    before, after = counters(router, now), counters(router, now + step)
    for interface, earlier, later in zip(router.interfaces, before, after, strict=True):
        if interface.kind != b"ether":
            continue
        most = interface.mbps * 125_000 * step * 1.05 + 1500
        for name in (b"rx-byte", b"tx-byte"):
            assert later[name] - earlier[name] <= most, (interface.name, name)


@settings(deadline=None, max_examples=60)
@given(kind=kinds, seed=seeds, now=times, run=st.floats(1, 5 * 86_400))
def test_a_reboot_resets_counters_uptime_and_link_downs(
    kind: str, seed: int, now: float, run: float
) -> None:
    router = build_router(seed, "r", personality=kind)
    router.reboot(now)
    assert router.booted(now) == now
    assert all(not any(row.values()) for row in counters(router, now))
    resource = router.menu("/system/resource")
    assert resource is not None
    assert resource.rows(now)[0][b"uptime"] == b"0s"
    assert resource.rows(now)[0].get(b"write-sect-since-reboot", b"0") == b"0"
    busiest = max(router.interfaces, key=lambda interface: interface.rx_rate)
    grown = counters(router, now + run)[busiest.index - 1][b"rx-byte"]
    if router.booted(now + run) == now:
        # 180 s of bursts is the most a counter can be ahead of its mean rate.
        assert grown <= busiest.rx_rate * (BURST * run + 180)


@settings(deadline=None, max_examples=60)
@given(seed=seeds, now=times)
def test_before_and_after_a_scheduled_reboot_time_goes_on(seed: int, now: float) -> None:
    router = build_router(seed, "r")
    boot = router.booted(now)
    assert boot <= now
    assert router.booted(boot) == boot
    following = router.next_boot(now)
    assert router.booted(following - 0.01) == boot
    assert router.booted(following) == following > now
    earlier = router.booted(boot - 0.01)
    assert earlier < boot
    assert counters(router, boot - 0.01)[0][b"rx-byte"] > counters(router, boot + 60)[0][b"rx-byte"]
    # At least four days and at most 216 lie between two scheduled boots.
    assert 4 * 86_400 <= boot - earlier <= 216 * 86_400


@settings(deadline=None, max_examples=80)
@given(kind=kinds, seed=seeds, now=times)
def test_packets_fit_bytes_and_shares_fit_totals(kind: str, seed: int, now: float) -> None:
    router = build_router(seed, "r", personality=kind, interfaces=None)
    for row in counters(router, now):
        for way in (b"rx", b"tx"):
            size, packets = row[way + b"-byte"], row[way + b"-packet"]
            assert packets * 64 <= size <= (packets + 1) * 1518
            assert row[b"fp-" + way + b"-byte"] <= size
            assert row[b"fp-" + way + b"-packet"] <= packets


@settings(deadline=None, max_examples=60)
@given(seed=seeds, now=times, off=st.floats(1, 86_400), step=st.floats(1, 3600))
def test_a_disabled_interface_stands_still_and_goes_on_from_there(
    seed: int, now: float, off: float, step: float
) -> None:
    router = build_router(seed, "r")
    menu = router.menu("/interface")
    assert menu is not None
    router.reboot(now - 7200)
    if router.booted(now + off + step) != now - 7200:
        return
    busiest = max(router.interfaces, key=lambda interface: interface.rx_rate)
    name, place = busiest.name, busiest.index - 1
    before = counters(router, now)[place]
    menu.run("disable", {b"numbers": name}, now)
    held = counters(router, now + off)[place]
    assert held[b"rx-byte"] == before[b"rx-byte"]
    assert menu.rows(now + off)[place][b"running"] == b"false"
    menu.run("enable", {b"numbers": name}, now + off)
    after = counters(router, now + off + step)[place]
    assert held[b"rx-byte"] <= after[b"rx-byte"]
    assert after[b"rx-byte"] - held[b"rx-byte"] <= busiest.rx_rate * (BURST * step + 1)
    flaps = 0
    if busiest.flap_period:
        begin, end = (
            flaps_before(busiest.seed, moment, busiest.flap_period)
            for moment in (now + off, now + off + step)
        )
        flaps = end - begin
    assert after[b"link-downs"] == before[b"link-downs"] + 1 + flaps
