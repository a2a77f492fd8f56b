"""A fleet from a seed: who is in it, under which names."""

import re
import tracemalloc
from collections import Counter

import pytest

from fleet_simulator.world import FLEET_MIX, PERSONALITIES, build_fleet, build_router

STARTED = 1_795_000_000.0
TENANTS = ("acme", "borg", "cyan")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
POLLED = (
    "/system/identity", "/system/resource", "/system/health", "/system/routerboard", "/interface",
    "/interface/wifi/registration-table", "/interface/wireless/registration-table",
)  # fmt: skip


def test_devices_are_spread_evenly_over_the_tenants() -> None:
    fleet = build_fleet(1, TENANTS, 101, started=STARTED)
    assert Counter(router.tenant for router in fleet) == {"acme": 34, "borg": 34, "cyan": 33}


def test_names_are_labels_and_unique_within_a_tenant() -> None:
    fleet = build_fleet(1, TENANTS, 500, started=STARTED)
    assert all(LABEL.fullmatch(router.name) for router in fleet)
    assert len({(router.tenant, router.name) for router in fleet}) == 500
    assert {"core-001", "ap-014", "sw-003", "lte-002", "chr-001"} <= {
        router.name for router in fleet
    }


def test_a_hundred_devices_hold_every_personality_and_both_generations() -> None:
    fleet = build_fleet(1, TENANTS, 101, started=STARTED)
    assert {router.personality.name for router in fleet} == set(PERSONALITIES)
    generations = Counter(router.version[0] for router in fleet)
    assert generations[7] > generations[6] > 10
    assert {router.version_text.count(".") for router in fleet} == {1, 2}


def test_the_same_seed_builds_the_same_fleet_and_another_a_different_one() -> None:
    def faces(seed: int) -> list[tuple[object, ...]]:
        return [
            (router.name, router.version, router.password, router.menu("/interface").rows(STARTED))  # pyright: ignore[reportOptionalMemberAccess] - every router has it
            for router in build_fleet(seed, TENANTS, 30, started=STARTED)
        ]

    assert faces(1) == faces(1)
    assert faces(1) != faces(2)


def test_a_grown_fleet_keeps_the_devices_it_had() -> None:
    small = build_fleet(1, ["acme"], 20, started=STARTED)
    large = build_fleet(1, ["acme"], 60, started=STARTED)
    for before, after in zip(small, large, strict=False):
        assert (before.name, before.version) == (after.name, after.version)
        for path in ("/system/resource", "/interface"):
            assert before.menu(path).rows(STARTED) == after.menu(path).rows(STARTED)  # pyright: ignore[reportOptionalMemberAccess] - every router has both


def test_tenants_do_not_share_passwords_and_their_devices_do() -> None:
    fleet = build_fleet(1, TENANTS, 30, started=STARTED)
    assert len({router.password for router in fleet}) == 3
    assert len({(router.tenant, router.password) for router in fleet}) == 3


@pytest.mark.parametrize("count", [4, 10, 48])
@pytest.mark.parametrize("kind", ["router", "switch", "ap-wifi", "chr-v6", "core"])
def test_a_router_has_as_many_interfaces_as_asked_for(kind: str, count: int) -> None:
    router = build_router(1, "r", personality=kind, interfaces=count)
    menu = router.menu("/interface")
    assert menu is not None
    assert len(menu.rows(STARTED)) == count
    assert len({row[b"name"] for row in menu.rows(STARTED)}) == count


def test_a_version_can_be_asked_for() -> None:
    router = build_router(1, "r", version="7.20")
    assert router.version == (7, 20, 0)
    assert router.menu("/system/resource").rows(STARTED)[0][b"version"] == b"7.20 (stable)"  # pyright: ignore[reportOptionalMemberAccess] - every router has it


@pytest.mark.parametrize("tenants", [[], ["acme", "acme"]])
def test_no_tenants_or_the_same_twice_are_refused(tenants: list[str]) -> None:
    with pytest.raises(ValueError, match="tenants must be one or more different names"):
        build_fleet(1, tenants, 10, started=STARTED)


def test_an_unknown_personality_or_version_is_refused_with_what_there_is() -> None:
    with pytest.raises(ValueError, match="unknown personality 'toaster', known: core,"):
        build_fleet(1, ["acme"], 1, started=STARTED, mix=["toaster"])
    with pytest.raises(ValueError, match=r"unknown version '8\.0', known: 6\.49\.10,"):
        build_router(1, "r", version="8.0")


def test_a_polled_router_costs_less_than_40_kilobytes() -> None:
    build_fleet(2, ["warm"], len(FLEET_MIX), started=STARTED)
    tracemalloc.start()
    try:
        fleet = build_fleet(1, ["acme"], 136, started=STARTED)
        for router in fleet:
            for path in POLLED:
                menu = router.menu(path)
                if menu is not None:
                    menu.rows(STARTED)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / len(fleet) < 40_000
