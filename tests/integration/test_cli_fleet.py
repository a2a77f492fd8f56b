"""`routerfleet demo --fleet`: real routers from a fleet file, and files that are wrong."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet_cli.database import DeviceState, read_model
from fleet_cli.folder import Running
from fleet_common.errors import TransientError
from fleet_simulator.server import Endpoint
from support.demo import demo, routerfleet
from support.ports import free_port
from support.routers import fixed_router
from support.simulator import simulate
from support.waiting import eventually

pytestmark = pytest.mark.timeout(240)

SECRET = "routers"


@dataclass
class FleetFile:
    """A fleet file of one tenant, with its secrets beside it."""

    path: Path
    tenant: str = "north"
    devices: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def write(self, **others: list[dict[str, Any]]) -> None:
        """This tenant's devices, and those of other tenants by name."""
        tenants = {self.tenant: self.devices, **others}
        text = yaml.safe_dump_all(fleet_document(*item) for item in tenants.items())
        self.path.write_text(text, encoding="utf-8")

    def write_secret(self, username: str, password: str) -> None:
        folder = self.path.parent / "credentials" / SECRET
        folder.mkdir(parents=True)
        (folder / "username").write_text(username)
        (folder / "password").write_text(password)


def fleet_document(tenant: str, devices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "routerfleet.io/v1alpha1",
        "kind": "RouterFleet",
        "metadata": {"name": tenant},
        "spec": {
            "credentials": {"secretRef": {"name": SECRET}},
            "cadence": {"interval": "1s"},
            "devices": devices,
        },
    }


@pytest.fixture
def fleet(tmp_path: Path) -> FleetFile:
    return FleetFile(tmp_path / "fleet.yaml")


def device(endpoint: Endpoint, name: str | None = None) -> dict[str, Any]:
    return {"name": name or endpoint.device, "address": endpoint.address, "port": endpoint.port}


@pytest.mark.parametrize(
    ("devices", "complaint"),
    [
        (
            [{"name": "core-1", "address": "192.0.2.1", "prot": 8728}],
            "spec.devices[0].prot: no such field",
        ),
        (
            [
                {"name": "core-1", "address": "192.0.2.1"},
                {"name": "core-1", "address": "192.0.2.2"},
            ],
            "device names must be unique; twice or more: core-1",
        ),
        (
            [{"name": "Core 1", "address": "192.0.2.1"}],
            "'Core 1' is not a DNS-1123 label",
        ),
    ],
    ids=["wrong-field", "duplicate-device", "bad-name"],
)
async def test_a_wrong_fleet_file_is_refused_before_anything_starts(
    fleet: FleetFile, tmp_path: Path, devices: list[dict[str, Any]], complaint: str
) -> None:
    fleet.devices = devices
    fleet.write()
    data = tmp_path / "data"
    code, output, errors = await routerfleet(
        "demo", "--fleet", str(fleet.path), "--data-dir", str(data)
    )
    assert (code, output) == (2, "")
    assert str(fleet.path) in errors
    assert complaint in errors
    assert "Traceback" not in errors
    assert not await asyncio.to_thread(data.exists)


async def test_a_fleet_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, _, errors = await routerfleet("demo", "--fleet", str(tmp_path / "none.yaml"))
    assert code == 2
    assert "none.yaml: No such file or directory" in errors


async def test_devices_that_cannot_be_polled_hold_up_nobody_and_edits_are_followed(
    fleet: FleetFile, tmp_path: Path
) -> None:
    routers = [fixed_router("core-1"), fixed_router("core-2"), fixed_router("core-3")]
    async with simulate(*routers) as simulator:
        places = {name: simulator.endpoint(name) for name in ("core-1", "core-2", "core-3")}
        fleet.write_secret(places["core-1"].username, places["core-1"].password)
        closed = {"name": "closed", "address": "127.0.0.1", "port": free_port()}
        unknown = {**device(places["core-2"], "unknown"), "credentials": other_secret("lost")}
        fleet.devices = [device(places["core-1"]), device(places["core-2"]), closed, unknown]
        fleet.write()
        options = ("--fleet", str(fleet.path), "--json", "--nats-port", str(free_port()))
        async with demo(tmp_path / "data", *options) as run:
            running = await run.running()
            states = await eventually_states(running, {"core-1", "core-2", "closed", "unknown"})
            assert {name: state.reachable for name, state in states.items()} == {
                "core-1": True,
                "core-2": True,
                "closed": False,
                "unknown": False,
            }
            assert states["closed"].error_class == "refused"
            assert states["unknown"].error_class == "credentials_missing"
            assert "lost/username" in (states["unknown"].error_message or "")
            await run.said("lost/username is missing: north/unknown cannot be polled")

            # A wrong edit changes nothing; the next good one is taken.
            fleet.devices = [{**device(places["core-1"]), "adress": "192.0.2.1"}]
            fleet.write()
            await run.said("spec.devices[0].adress: no such field")
            await run.said("what runs goes on as before")
            fleet.devices = [device(places["core-1"]), device(places["core-2"])]
            fleet.write(south=[device(places["core-3"])])
            await run.said("fleet file read again: 3 devices")
            await eventually_states(running, {"core-3"}, "south")
            code, summary = await run.interrupt()
    assert code == 0, run.progress()
    assert (summary["unaccounted"], summary["duplicates"], summary["problems"]) == (0, 0, [])
    assert (summary["devices_total"], summary["devices_up"]) == (3, 3)
    assert summary["polls_answered"] is None
    assert summary["accounts"].keys() == {"FLEET_north", "FLEET_south"}
    assert summary["accounts"]["FLEET_south"]["published"] > 0
    assert simulator.listeners["alpha/core-3"].device.ledger.polls > 0


def config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def referring(name: str, **others: object) -> dict[str, Any]:
    return {"configMapRef": {"name": name, **others}}


async def test_devices_of_config_maps_are_polled_and_their_edits_followed(
    fleet: FleetFile, tmp_path: Path
) -> None:
    names = [f"core-{number}" for number in range(1, 6)]
    async with simulate(*map(fixed_router, names)) as simulator:
        entries = {name: device(simulator.endpoint(name)) for name in names}
        endpoint = simulator.endpoint(names[0])
        fleet.write_secret(endpoint.username, endpoint.password)
        document = fleet_document(fleet.tenant, [entries["core-1"]])
        document["spec"]["devicesFrom"] = [
            referring("site-a"),
            referring("site-b", key="routers.yaml"),
            referring("site-c", optional=True),
        ]
        site_a = {
            "one.json": json.dumps([entries["core-2"]]),
            "two": yaml.dump([entries["core-3"]]),
        }
        site_b = {"routers.yaml": yaml.dump([entries["core-4"]]), "notes": "no devices"}

        def write(*config_maps: dict[str, Any]) -> None:
            text = yaml.safe_dump_all([*config_maps, document])
            fleet.path.write_text(text, encoding="utf-8")

        write(config_map("site-a", site_a), config_map("site-b", site_b))
        options = ("--fleet", str(fleet.path), "--json", "--nats-port", str(free_port()))
        async with demo(tmp_path / "data", *options) as run:
            running = await run.running()
            states = await eventually_states(running, names[:4])
            assert all(state.reachable for state in states.values())

            # One that is gone is not one that lists no devices.
            write(config_map("site-a", site_a))
            await run.said("ConfigMap site-b: does not exist")
            await run.said("what runs goes on as before")
            site_c = {"new": json.dumps([entries["core-5"]])}
            del site_a["two"]
            maps = {"site-a": site_a, "site-b": site_b, "site-c": site_c}
            write(*(config_map(name, data) for name, data in maps.items()))
            await run.said("fleet file read again: 4 devices")
            assert (await eventually_states(running, {"core-5"}))["core-5"].reachable
            await run.everybody_up(4)
            code, summary = await run.interrupt()
    assert code == 0, run.progress()
    assert (summary["unaccounted"], summary["duplicates"], summary["problems"]) == (0, 0, [])
    assert (summary["devices_total"], summary["devices_up"]) == (4, 4)


async def test_a_config_map_that_no_document_is_is_named_before_anything_starts(
    fleet: FleetFile, tmp_path: Path
) -> None:
    document = fleet_document(fleet.tenant, [])
    document["spec"]["devicesFrom"] = [referring("site-a")]
    fleet.path.write_text(yaml.safe_dump(document), encoding="utf-8")
    data = tmp_path / "data"
    code, output, errors = await routerfleet(
        "demo", "--fleet", str(fleet.path), "--data-dir", str(data)
    )
    assert (code, output) == (2, "")
    assert "ConfigMap site-a: does not exist" in errors
    assert "Traceback" not in errors
    assert not await asyncio.to_thread(data.exists)


def other_secret(name: str) -> dict[str, Any]:
    return {"secretRef": {"name": name}}


async def eventually_states(
    running: Running, names: Iterable[str], tenant: str = "north"
) -> dict[str, DeviceState]:
    """The named devices' states once each of them has one."""
    wanted = set(names)

    async def read() -> dict[str, DeviceState]:
        try:
            async with read_model(running.database_url) as model:
                states = await model.devices([tenant])
        except TransientError:
            return {}  # the writer has not made its tables yet
        return {one.device: one for one in states if one.reachable is not None}

    found = await eventually(
        read, lambda states: wanted <= states.keys(), deadline_seconds=40, what="all states"
    )
    return {name: found[name] for name in wanted}
