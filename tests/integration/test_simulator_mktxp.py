"""A full scrape by mktxp 2.1.0, a stranger's exporter, over its own client library."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from fleet_simulator.server import Endpoint
from fleet_simulator.world import build_router
from support.ports import free_port
from support.simulator import simulate
from support.waiting import eventually

SCRAPE_SECONDS = 40.0

DEFAULT_SCRAPE = {
    "/system/identity/print",
    "/system/resource/print",
    "/system/health/print",
    "/ip/cloud/print",
    "/ip/neighbor/print",
    "/system/package/print",
    "/ip/firewall/connection/print",
    "/ipv6/firewall/connection/print",
    "/ip/pool/print",
    "/ip/dhcp-server/lease/print",
    "/interface/print",
    "/interface/vlan/print",
    "/ip/firewall/filter/print",
    "/ip/firewall/raw/print",
    "/ip/firewall/nat/print",
    "/ip/firewall/mangle/print",
    "/interface/ethernet/print",
    "/interface/ethernet/monitor",
    "/interface/ethernet/poe/print",
    "/tool/netwatch/print",
    "/ip/route/print",
    "/interface/wifi/print",
    "/interface/wifi/monitor",
    "/interface/wifi/registration-table/print",
    "/interface/wifi/capsman/remote-cap/print",
    "/user/active/print",
    "/queue/tree/print",
    "/queue/simple/print",
}

type Samples = dict[str, list[tuple[dict[str, str], float]]]


def write_config(
    directory: Path, endpoints: Sequence[Endpoint], port: int, on: Sequence[str]
) -> None:
    """mktxp's own default configuration, for these devices and with these features on."""
    packaged = files("mktxp").joinpath("cli", "config")
    routers = packaged.joinpath("mktxp.conf").read_text(encoding="utf-8")
    defaults = routers[routers.index("[default]") :]
    for feature in on:
        defaults, replaced = re.subn(
            rf"(?m)^    {feature} = False", f"    {feature} = True", defaults
        )
        assert replaced == 1, feature
    sections = [
        f"[{endpoint.device}]\n    hostname = {endpoint.address}\n    port = {endpoint.port}\n"
        f"    username = {endpoint.username}\n    password = {endpoint.password}\n"
        for endpoint in endpoints
    ]
    (directory / "mktxp.conf").write_text("".join([*sections, defaults]), encoding="utf-8")
    system = packaged.joinpath("_mktxp.conf").read_text(encoding="utf-8")
    system = system.replace("0.0.0.0:49090", f"127.0.0.1:{port}")
    # It collects once before it listens; a failure there would mean two minutes of silence.
    system = system.replace("initial_delay_on_failure = 120", "initial_delay_on_failure = 1")
    (directory / "_mktxp.conf").write_text(system, encoding="utf-8")


@asynccontextmanager
async def exporter(directory: Path) -> AsyncGenerator[Path]:
    """mktxp as a process; gives the file with its output."""
    log = directory / "mktxp.log"
    command = [sys.executable, "-m", "mktxp.cli.dispatch", "--cfg-dir", str(directory), "export"]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
    try:
        yield log
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def fetch(port: int) -> str:
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SCRAPE_SECONDS) as answer:
            return answer.read().decode()
    except (URLError, ConnectionError):
        return ""


async def scrape(directory: Path, port: int) -> Samples:
    """The exporter's first complete answer; its output is the evidence when there is none."""
    async with exporter(directory) as log:
        try:
            text = await eventually(
                lambda: asyncio.to_thread(fetch, port),
                lambda body: "mktxp_interface_rx_byte_total" in body,
                deadline_seconds=SCRAPE_SECONDS,
                every_seconds=0.1,
                what="mktxp's metrics",
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\nmktxp said:\n{log.read_text()[-4000:]}") from None
        assert "Exception" not in log.read_text(), log.read_text()[-4000:]
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples


def of(samples: Samples, metric: str, device: str) -> list[tuple[dict[str, str], float]]:
    return [
        (labels, value)
        for labels, value in samples.get(metric, [])
        if labels.get("routerboard_name") == device
    ]


async def test_default_scrape_is_answered_without_a_trap(tmp_path: Path) -> None:
    # This seed's product is a hAP ax3, which has a PoE port: no sentence meets an absent menu.
    router = build_router(
        0, "hall", personality="ap-wifi", interfaces=None, started=time.time() - 86400
    )
    async with simulate(router) as sim:
        port = free_port()
        write_config(tmp_path, sim.endpoints, port, [])
        samples = await scrape(tmp_path, port)
        ledger = sim.device("hall").ledger
        interface = router.menu("/interface")
        clients = router.menu("/interface/wifi/registration-table")
        assert interface is not None
        assert clients is not None
        names = {row[b"name"].decode() for row in interface.rows(sim.clock.now())}
        macs = {row[b"mac-address"].decode() for row in clients.rows(sim.clock.now())}

    assert ledger.refusals == {}
    assert set(ledger.commands) >= DEFAULT_SCRAPE
    received = of(samples, "mktxp_interface_rx_byte_total", "hall")
    assert {labels["name"] for labels, _ in received} == names
    assert all(value >= 0 for _, value in received)
    [(_, load)] = of(samples, "mktxp_system_cpu_load", "hall")
    assert 0 <= load <= 100
    [(_, uptime)] = of(samples, "mktxp_system_uptime", "hall")
    assert uptime > 0
    stations = of(samples, "mktxp_wlan_clients_signal_strength", "hall")
    assert {labels["mac_address"] for labels, _ in stations} & macs
    assert all(-100 < value < 0 for _, value in stations)


async def test_scrape_of_an_old_and_a_core_router_with_more_features(tmp_path: Path) -> None:
    started = time.time() - 86400
    routers = [
        build_router(4, "edge", personality="core", interfaces=10, started=started),
        build_router(4, "barn", personality="router-v6", interfaces=5, started=started),
    ]
    features = ["routerboard", "dns", "bgp", "ipsec", "switch_port", "bridge_vlan", "certificate"]
    async with simulate(*routers) as sim:
        port = free_port()
        write_config(tmp_path, sim.endpoints, port, features)
        samples = await scrape(tmp_path, port)
        refusals = {device.name: set(device.ledger.refusals) for device in sim.devices}

    for device, interfaces in (("edge", 10), ("barn", 5)):
        received = of(samples, "mktxp_interface_rx_byte_total", device)
        assert len(received) >= interfaces
        assert of(samples, "mktxp_system_cpu_load", device)
        assert of(samples, "mktxp_system_uptime", device)
    # What a router does not have is refused, as by a real one; nothing else is.
    absent = (
        "/caps-man",
        "/interface/ethernet/poe",
        "/interface/ethernet/switch",
        "/interface/wifi",
        "/ipv6",
        "/routing",
    )
    for paths in refusals.values():
        assert all(path.startswith(absent) for path in paths), refusals
