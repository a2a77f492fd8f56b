"""Device metrics of real pollers, scraped by a real Prometheus."""

import asyncio
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from fleet_simulator.faults import Fault, FaultRule
from fleet_simulator.server import Simulator
from fleet_simulator.world.fleet import build_fleet
from support.helm import CHART
from support.nats import NatsServer
from support.poller_process import PollerProcess, fleet_broker, poller_process
from support.pollers import device_record, write_secret
from support.prometheus import needs_prometheus, running_prometheus
from support.routers import fixed_router
from support.simulator import simulate
from support.waiting import eventually

TENANT = "alpha"


@pytest.fixture
def secrets(tmp_path: Path, simulator: Simulator) -> Path:
    directory = tmp_path / "secrets"
    write_secret(directory, simulator.endpoint("router-1"))
    return directory


async def fetch(poller: PollerProcess, path: str, accept: str = "") -> tuple[str, str]:
    """Content type and text."""
    url = f"http://127.0.0.1:{poller.admin_port}{path}"
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})

    def get() -> tuple[str, str]:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - our own
                return answer.headers["content-type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            return str(error.code), error.read().decode()
        except OSError:
            return "", ""

    return await asyncio.to_thread(get)


async def test_a_page_has_devices_service_or_both(
    nats_server: NatsServer, simulator: Simulator, secrets: Path
) -> None:
    async with fleet_broker(nats_server, TENANT) as broker:
        await broker.assign([device_record(simulator.endpoint("router-1"))])
        with poller_process(nats_server, TENANT, secrets) as poller:
            _, whole = await eventually(
                lambda: fetch(poller, "/metrics"),
                lambda page: "routeros_interface_info" in page[1],
                what="device metrics",
            )
            content_type, devices = await fetch(poller, "/metrics/devices")
            _, service = await fetch(poller, "/metrics/service")
            om_type, openmetrics = await fetch(
                poller, "/metrics", "application/openmetrics-text; version=1.0.0"
            )

    assert 'routeros_up{tenant="alpha",device="router-1"} 1\n' in whole
    assert "fleet_poller_polls_total" in whole
    assert "process_open_fds" in whole
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert "routeros_up" in devices
    assert "fleet_poller" not in devices
    assert "fleet_poller_polls_total" in service
    assert "routeros_up" not in service
    assert om_type.startswith("application/openmetrics-text")
    assert openmetrics.endswith("# EOF\n")
    assert openmetrics.count("# EOF") == 1


async def test_device_metrics_can_be_switched_off(
    nats_server: NatsServer, simulator: Simulator, secrets: Path
) -> None:
    async with fleet_broker(nats_server, TENANT) as broker:
        await broker.assign([device_record(simulator.endpoint("router-1"))])
        with poller_process(nats_server, TENANT, secrets, device_metrics="false") as poller:
            _, page = await eventually(
                lambda: fetch(poller, "/metrics"),
                lambda page: 'fleet_poller_polls_total{outcome="ok"} ' in page[1],
                what="a poll",
            )
            status, _ = await fetch(poller, "/metrics/devices")

    assert "routeros_up" not in page
    assert status == "404"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH")
async def test_promtool_has_nothing_to_say_about_them(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    groups = "system,sensors,interfaces,wireless,wireless-clients"
    async with (
        simulate(*build_fleet(3, (TENANT,), 12, started=time.time() - 86_400)) as sim,
        fleet_broker(nats_server, TENANT) as broker,
    ):
        secrets = tmp_path / "secrets"
        endpoints = sim.endpoints
        write_secret(secrets, endpoints[0])
        await broker.assign([device_record(one) for one in endpoints])
        with poller_process(nats_server, TENANT, secrets, device_metrics_groups=groups) as poller:
            _, page = await eventually(
                lambda: fetch(poller, "/metrics/devices"),
                lambda page: page[1].count("routeros_up{") == 12,
                what="all devices",
            )

    outcome = await asyncio.to_thread(
        subprocess.run,
        ["promtool", "check", "metrics"],
        input=page,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert outcome.stderr + outcome.stdout == ""


@needs_prometheus
async def test_prometheus_answers_about_each_device(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with (
        simulate(*build_fleet(3, (TENANT,), 6, started=time.time() - 86_400)) as sim,
        fleet_broker(nats_server, TENANT) as broker,
    ):
        secrets = tmp_path / "secrets"
        endpoints = sim.endpoints
        write_secret(secrets, endpoints[0])
        away = endpoints[0].device
        sim.faults.add(FaultRule(Fault.REFUSE, devices=(away,)))
        await broker.assign([device_record(one) for one in endpoints])
        with (
            poller_process(nats_server, TENANT, secrets) as poller,
            running_prometheus(tmp_path / "prom", {"shard-0": poller.admin_port}) as prometheus,
        ):
            seen = await prometheus.when("routeros_up", "tenant", "device", count=6)
            rates = await prometheus.when(
                "sum by (device) (rate(routeros_interface_receive_bytes_total[5s])) > 0",
                "device",
                count=5,
            )
            errors = await prometheus.scrape_errors()
            complaints = prometheus.complaints()

    assert seen == {(TENANT, one.device): float(one.device != away) for one in endpoints}
    assert (away,) not in rates
    assert errors == {"shard-0": ""}
    assert complaints == []


@needs_prometheus
async def test_a_device_that_moves_is_never_there_twice(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with (
        simulate(*build_fleet(3, (TENANT,), 4, started=time.time() - 86_400)) as sim,
        fleet_broker(nats_server, TENANT) as broker,
    ):
        secrets = tmp_path / "secrets"
        endpoints = sim.endpoints
        write_secret(secrets, endpoints[0])
        records = [device_record(one) for one in endpoints]
        names = [one.device for one in records]
        await broker.assign(records, {"shard-0": names, "shard-1": []})
        with (
            poller_process(nats_server, TENANT, secrets) as first,
            poller_process(nats_server, TENANT, secrets, shard="shard-1") as second,
            running_prometheus(
                tmp_path / "prom", {"shard-0": first.admin_port, "shard-1": second.admin_port}
            ) as prometheus,
        ):
            await prometheus.when('routeros_up{instance="shard-0"} == 1', "device", count=4)
            await broker.assign(records, {"shard-0": names[:2], "shard-1": names[2:]})
            moved = await prometheus.when('routeros_up{instance="shard-1"} == 1', "device", count=2)
            # The shards are scraped one after the other: a second later the old series have ended.
            await prometheus.when("count(routeros_up) == 4", count=1, deadline_seconds=5)
            now = await prometheus.values("routeros_up == 1", "device")
            # The dashboards' form: two shards in a rate's window are still one interface.
            rate = "rate(routeros_interface_receive_bytes_total[30s])"
            rates = await prometheus.when(
                f"count by (device) (max by (device, interface) ({rate}))", "device", count=4
            )
            complaints = prometheus.complaints()

    assert set(moved) == {(name,) for name in names[2:]}
    assert set(now) == {(name,) for name in names}
    assert set(rates) == {(name,) for name in names}
    assert complaints == []


@needs_prometheus
async def test_prometheus_takes_any_name_a_router_gives(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    names = [
        b'a "quoted" \\ back\\n',
        b"100%d\rx\x85",
        "\u00fcn\u00ef \U0001f6f0".encode(),
        b"caf\xe9\x00",
        b"lan",
        b"lan",
    ]
    router = fixed_router("core-1", interfaces=len(names))
    for row, name in zip(router.menus["/interface"].table, names, strict=True):
        row[b"name"] = row[b"comment"] = name
    async with simulate(router) as sim, fleet_broker(nats_server, TENANT) as broker:
        secrets = tmp_path / "secrets"
        write_secret(secrets, sim.endpoint("core-1"))
        await broker.assign([device_record(sim.endpoint("core-1"))])
        with (
            poller_process(nats_server, TENANT, secrets) as poller,
            running_prometheus(tmp_path / "prom", {"shard-0": poller.admin_port}) as prometheus,
        ):
            seen = await prometheus.when(
                "routeros_interface_receive_bytes_total", "interface", count=len(names)
            )
            errors = await prometheus.scrape_errors()

    assert errors == {"shard-0": ""}
    assert set(seen) == {
        ('a "quoted" \\ back\\n',),
        ("100%d\rx\u0085",),
        ("\u00fcn\u00ef \U0001f6f0",),
        ("caf\u00e9\x00",),
        ("lan",),
        ("lan#6",),
    }


DASHBOARD = CHART / "files/dashboards/devices.json"
QUIET = {"Errors", "Drops", "Errors and drops"}
"""Panels of what may well be nothing."""
BY = ("tenant", "device", "interface", "sensor", "mac_address", "reason")


@needs_prometheus
async def test_the_dashboard_of_devices_shows_a_fleet(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    expressions = [
        (panel["title"], target["expr"].replace("$tenant", ".*").replace("$device", ".*"))
        for panel in panels
        for target in panel.get("targets", ())
    ]
    groups = "system,sensors,interfaces,wireless,wireless-clients"
    async with (
        simulate(*build_fleet(3, (TENANT,), 24, started=time.time() - 86_400)) as sim,
        fleet_broker(nats_server, TENANT) as broker,
    ):
        secrets = tmp_path / "secrets"
        write_secret(secrets, sim.endpoints[0])
        sim.faults.add(FaultRule(Fault.REFUSE, devices=(sim.endpoints[0].device,)))
        await broker.assign([device_record(one) for one in sim.endpoints])
        with (
            poller_process(nats_server, TENANT, secrets, device_metrics_groups=groups) as poller,
            running_prometheus(tmp_path / "prom", {"shard-0": poller.admin_port}) as prometheus,
        ):
            await prometheus.when(
                "count by (device) (rate(routeros_interface_receive_bytes_total[1m]))",
                "device",
                count=23,
            )
            found = [
                (title, expression, await prometheus.values(expression, *BY))
                for title, expression in expressions
            ]

    empty = {(title, expression) for title, expression, samples in found if not samples}
    assert {title for title, _ in empty} <= QUIET, empty
