"""`routerfleet soak` on real servers, with tiny limits and a few simulated minutes."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from fleet_cli.soak.link import open_link
from fleet_cli.soak.polling import SoakDevice
from fleet_common.fleet_spec import CadenceSpec
from fleet_contracts.codec import decode
from fleet_contracts.subjects import DeviceId, TenantId
from fleet_poller.events import OutgoingEvent
from fleet_poller.routeros.session import (
    Access,
    Credentials,
    Endpoint,
    RouterSession,
    open_session,
)
from fleet_poller.routeros.tls import Tls
from fleet_simulator.clock import VirtualClock
from fleet_simulator.command import CommandReader
from fleet_simulator.world import build_router
from support.demo import routerfleet
from support.simulator import simulate

pytestmark = pytest.mark.timeout(120)

SECONDS = 100


async def soak(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and results."""
    code, out, errors = await routerfleet(
        "soak", "--json", "--out", str(folder), *words, deadline_seconds=SECONDS
    )
    assert out, errors
    return code, cast("dict[str, Any]", json.loads(out))


async def test_a_planned_run_loses_and_doubles_nothing_over_both_ways(tmp_path: Path) -> None:
    code, results = await soak(
        tmp_path, "--devices", "8", "--tenants", "2", "--hours", "0.3", "--wire-hours", "0.1"
    )
    (run,) = results["runs"]
    assert (code, run["problems"], run["lost"], run["duplicates"]) == (0, [], 0, 0)
    assert run["polls"] == {"wire": 8 * 6, "direct": 8 * 12}
    assert run["failed_polls"] == 0
    assert {sample["source"] for sample in run["samples"]} == {"wire", "direct"}
    assert sum(one["keys"] for one in run["accounts"]) == sum(
        one["made"] for one in run["accounts"]
    )
    assert run["sse"]["events"] == 8 * 18
    assert (tmp_path / "soak.png").exists()


async def test_a_naive_broker_fills_up_and_the_plan_heals_it_without_losing_anything(
    tmp_path: Path,
) -> None:
    code, results = await soak(
        tmp_path, "--heal", "--devices", "30", "--tenants", "1", "--hours", "0.6",
        "--wire-hours", "0", "--limit", "1200000", "--heal-after", "0.1",
    )  # fmt: skip
    (run,) = results["runs"]
    assert (code, run["problems"]) == (0, [])
    assert run["full_hour"] == pytest.approx(0.32, abs=0.05)
    assert "err_code 10023" in run["services"]["refused"]["probe"]
    (trim,) = run["trims"][:1]
    assert trim["bytes_before"] > trim["max_bytes"] >= trim["bytes_after"]
    assert trim["dropped_messages"] > 0
    assert trim["unstored"] == 0
    assert max(sample["waiting"] for sample in run["samples"]) > 0
    (account,) = run["accounts"]
    assert account["waiting"] == 0
    assert account["stored"] == account["made"] == account["keys"]


async def test_events_are_the_same_over_tcp_and_without_a_socket() -> None:
    router = build_router(5, "core-1", personality="core", started=1_790_000_000.0)
    clock = VirtualClock(1_790_000_000.0, monotonic=lambda: 0.0)

    async with simulate(router, clock=clock) as simulator:
        endpoint = simulator.endpoint("core-1")

        async def wire() -> RouterSession:
            access = Access(Credentials(endpoint.username, endpoint.password), Tls(), None)
            return await open_session(Endpoint(endpoint.address, endpoint.port), access, 5.0)

        async def link() -> RouterSession:
            return open_link(router, CommandReader(), clock.now)

        cadence = CadenceSpec(interval=60)
        over_tcp, without = (
            SoakDevice(TenantId("acme"), DeviceId("core-1"), cadence, opener)
            for opener in (wire, link)
        )
        for minute in range(3):
            slot_ms = 1_790_000_000_000 + minute * 60_000
            first, second = await over_tcp.poll(slot_ms), await without.poll(slot_ms)
            assert [one.kind for one in first] == [one.kind for one in second]
            assert list(map(timeless, first)) == list(map(timeless, second))
            clock.advance(60)
        await over_tcp.use(wire)
        await without.use(link)


def timeless(event: OutgoingEvent) -> bytes:
    """The event without how long its poll took."""
    decoded = decode(f"fleet.acme.core-1.{event.kind.value}", event.payload).event
    decoded.poll_duration_us = 0
    decoded.observed_after_slot_ms = 0
    return decoded.SerializeToString()
