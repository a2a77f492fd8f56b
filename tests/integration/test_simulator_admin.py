"""The admin endpoint: ledger, faults and time at run time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from fleet_common.health import Health
from fleet_simulator.admin import admin_app
from fleet_simulator.metrics import SimulatorMetrics
from fleet_simulator.server import Simulator
from support.rawapi import raw_api
from support.waiting import eventually


@asynccontextmanager
async def admin(simulator: Simulator) -> AsyncGenerator[httpx.AsyncClient]:
    app = admin_app(simulator, Health(), SimulatorMetrics(simulator))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
        yield client


async def test_ledger_counts_what_was_really_answered(simulator: Simulator) -> None:
    async with admin(simulator) as http, raw_api(simulator.endpoint("router-1")) as api:
        for _ in range(3):
            await api.rows("/interface/print")
        await api.talk("/interface/wireless/print")
        whole = (await http.get("/ledger")).json()
        one = (await http.get("/ledger/alpha/router-1")).json()

        assert one["virtual_time"] == pytest.approx(simulator.clock.now(), abs=30)
        del one["virtual_time"]
        assert whole["devices"]["alpha/router-1"] == one
        assert one["commands"] == {"/interface/print": 3, "/interface/wireless/print": 1}
        assert one["refusals"] == {"/interface/wireless/print": 1}
        assert (one["sessions"], one["polls"], one["logins"]) == (1, 3, 1)
        assert whole["totals"]["polls"] == 3
        assert whole["devices"]["alpha/router-2"]["connections"] == 0
        await http.delete("/ledger")
        assert (await http.get("/ledger")).json()["totals"]["polls"] == 0


async def test_faults_are_switched_on_and_off(simulator: Simulator) -> None:
    async with admin(simulator) as http, raw_api(simulator.endpoint("router-1")) as api:
        added = await http.post("/faults", json={"kind": "trap", "devices": ["router-1"]})
        assert added.status_code == 201
        [rule] = (await http.get("/faults")).json()["faults"]
        assert (rule["kind"], rule["devices"]) == ("trap", ["router-1"])
        assert (await api.talk("/interface/print"))[0][0] == b"!trap"
        ledger = (await http.get("/ledger/alpha/router-1")).json()
        assert ledger["faults"] == {"trap": 1}
        assert (await http.delete("/faults/trap?device=other")).json() == {"removed": 0}
        assert (await http.delete("/faults/trap")).json() == {"removed": 1}
        assert len(await api.rows("/interface/print")) == 10


async def test_a_whole_plan_replaces_the_rules_and_its_window_begins_now(
    simulator: Simulator,
) -> None:
    async with admin(simulator) as http, raw_api(simulator.endpoint("router-1")) as api:
        await http.post("/faults", json={"kind": "cut"})
        plan = {"faults": [{"kind": "trap", "lasting": 60}]}
        assert (await http.put("/faults", json=plan)).json() == {"faults": 1}
        assert (await api.talk("/interface/print"))[0][0] == b"!trap"


async def test_device_is_rebooted_and_time_moved(simulator: Simulator) -> None:
    async with admin(simulator) as http:
        before = (await http.get("/clock")).json()["virtual_time"]
        after = (await http.post("/clock", json={"advance_seconds": 3600, "scale": 60})).json()
        assert after["virtual_time"] >= before + 3600
        assert after["scale"] == 60
        assert (await http.post("/devices/alpha/router-1/reboot")).status_code == 200
        assert (await http.get("/ledger/alpha/router-1")).json()["reboots"] == 1


async def test_devices_are_listed_without_credentials(simulator: Simulator) -> None:
    async with admin(simulator) as http:
        answer = await http.get("/devices")

    assert [device["device"] for device in answer.json()] == ["router-1", "router-2"]
    assert answer.json()[1]["version"] == "6.49.10"
    assert "secret" not in answer.text


async def test_users_are_changed_while_sessions_go_on_or_are_hung_up(
    simulator: Simulator,
) -> None:
    endpoint = simulator.endpoint("router-1")
    old = {"username": endpoint.username, "password": endpoint.password}
    new = {**old, "password": "next"}
    renewed = replace(endpoint, password="next")
    async with admin(simulator) as http, raw_api(endpoint) as api:
        answer = await http.put("/users/alpha", json={"users": [old, new]})
        assert answer.json() == {"devices": 2}
        async with raw_api(endpoint), raw_api(renewed):
            pass
        await http.put("/users/alpha", json={"users": [new]})
        assert len(await api.rows("/interface/print")) == 10
        with pytest.raises(AssertionError, match="user name or password"):
            async with raw_api(endpoint):
                pass
        await http.put("/users/alpha", json={"users": [new], "hang_up": True})
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await api.rows("/interface/print")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/faults", b"{", 400, "not JSON"),
        ("POST", "/faults", b"[]", 400, "JSON object"),
        ("POST", "/faults", b'{"kind": "explode"}', 400, "unknown fault 'explode'"),
        ("POST", "/faults", b'{"kind": "cut", "probability": 7}', 400, "probability"),
        ("PUT", "/faults", b'{"fault": []}', 400, "fault plan"),
        ("DELETE", "/faults/explode", b"", 400, "unknown fault"),
        ("POST", "/faults", b" " * (1 << 20) + b"{}", 400, "body of more than"),
        ("POST", "/clock", b'{"advance_seconds": -1}', 400, "advance_seconds"),
        ("POST", "/clock", b'{"scale": true}', 400, "scale must be a number"),
        ("GET", "/ledger/alpha/nobody", b"", 404, "no device alpha/nobody"),
        ("POST", "/devices/alpha/nobody/reboot", b"", 404, "no device alpha/nobody"),
        ("PUT", "/users/nobody", b"{}", 404, "no device of nobody"),
        ("PUT", "/users/alpha", b"{}", 400, "users must be a list"),
        ("PUT", "/users/alpha", b'{"users": [{"username": "a"}]}', 400, "username and password"),
        ("PUT", "/users/alpha", b'{"users": [], "hang_up": 1}', 400, "hang_up must be"),
        ("GET", "/nothing", b"", 404, "Not Found"),
        ("PATCH", "/faults", b"", 405, "Method Not Allowed"),
    ],
)
async def test_bad_requests_are_answered_in_json(
    simulator: Simulator, method: str, path: str, body: bytes, status: int, said: str
) -> None:
    async with admin(simulator) as http:
        answer = await http.request(method, path, content=body)

    assert answer.status_code == status
    assert said in answer.json()["error"]


async def test_metrics_add_the_ledgers_up(simulator: Simulator) -> None:
    async with admin(simulator) as http, raw_api(simulator.endpoint("router-1")) as api:
        await api.rows("/interface/print")
        before = (await http.get("/metrics")).text
        await http.post("/faults", json={"kind": "offline", "devices": ["router-2"]})

        async def page() -> str:
            return (await http.get("/metrics")).text

        await eventually(
            page,
            lambda text: 'fleet_simulator_devices{state="listening"} 1.0' in str(text),
            what="the device that is offline listens no more",
        )

    assert "fleet_simulator_polls_total 1.0" in before
    assert "fleet_simulator_sessions 1.0" in before
    assert 'fleet_simulator_devices{state="listening"} 2.0' in before


def test_metric_table_lists_what_is_exported(simulator: Simulator) -> None:
    metrics = SimulatorMetrics(simulator)

    exported = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in metrics.registry.collect()
    }

    assert {row.name for row in metrics.table} == exported
