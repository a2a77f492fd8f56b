"""The poller's figures: polls per core, against stock librouteros, memory, CPU of a shard.

Client CPU only: routers and broker are other processes. Every poll reads all five kinds
of an access point with ten interfaces and six clients (see bench.poller_fleet).

polls_per_core                     the whole poll: read, parse, encode, publish to a real
                                   JetStream, take the acknowledgement
polls_ratio_to_librouteros         the same commands, answers taken apart into rows, by
                                   the poller's session and by librouteros as it is
polls_ratio_whole_to_librouteros   the whole poll against only the reads by librouteros
"""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import librouteros  # pyright: ignore[reportMissingTypeStubs] - ships none
import uvloop
from librouteros.api import AsyncApi  # pyright: ignore[reportMissingTypeStubs] - ships none

from bench.poller_setup import context, load_endpoints, records, write_secrets
from fleet_common.broker import connect, declare_stream
from fleet_common.collector import calm_collector
from fleet_common.fleet_spec import CadenceSpec
from fleet_common.raw_client import RawClient
from fleet_common.settings import NatsSection
from fleet_contracts.streams import tenant_stream
from fleet_contracts.subjects import TenantId
from fleet_poller import menus
from fleet_poller.device import Device
from fleet_poller.metrics import PollerMetrics
from fleet_poller.publisher import Publisher, PublisherBounds
from fleet_poller.routeros.commands import Command
from fleet_poller.routeros.session import (
    Access,
    Credentials,
    Endpoint,
    RouterSession,
    open_session,
)
from fleet_poller.routeros.tls import Tls
from support.nats import NatsServer

_DEVICES = 50
_IDLE_DEVICES = 500
_POLLS = 3_000
_STOCK_POLLS = 500
_FIRST_SLOT = 1_800_000_000_000
_CHILD_DEADLINE_SECONDS = 120.0

# All five kinds at every slot; the inventory, which is a sixth, every half hour.
_ALL_KINDS = CadenceSpec(interval=60, firmware=60)
_POLL_COMMANDS: Sequence[Command] = (
    menus.RESOURCE_WHOLE,
    menus.INTERFACES,
    menus.HEALTH,
    menus.CORES,
    menus.WIRELESS[0].radios,
    menus.WIRELESS[0].clients,
    menus.PACKAGE_UPDATE,
    menus.ROUTERBOARD,
    Command("/interface/wifi/monitor", (b"=numbers=wifi1,wifi2", b"=once=")),
)


def run(runs: int) -> dict[str, float]:
    """The median of `runs` measurements of each figure."""
    calm_collector()  # as the service does; stock librouteros has the same benefit
    with tempfile.TemporaryDirectory() as folder, _fleet(Path(folder)) as (endpoints, secrets):
        whole: list[float] = []
        ratios: list[float] = []
        whole_ratios: list[float] = []
        for number in range(runs):
            with _broker(Path(folder) / f"nats-{number}") as broker:
                whole.append(uvloop.run(_polls_per_core(endpoints, secrets, broker)))
            stock = uvloop.run(_stock_polls_per_core(endpoints))
            ratios.append(uvloop.run(_reads_per_core(endpoints)) / stock)
            whole_ratios.append(whole[-1] / stock)
        return {
            "polls_per_core": statistics.median(whole),
            "polls_ratio_to_librouteros": statistics.median(ratios),
            "polls_ratio_whole_to_librouteros": statistics.median(whole_ratios),
            "poller_kb_per_idle_device": _median_of_children("memory", runs, endpoints, secrets),
            "poller_core_percent_101_devices": _median_of_children(
                "shard", runs, endpoints, secrets
            ),
        }


async def _polls_per_core(endpoints: Path, secrets: Path, broker: NatsServer) -> float:
    """Polls per CPU second: read, parse, encode, publish, acknowledge."""
    client = RawClient()
    await connect(NatsSection(url=broker.url), "bench", client)
    metrics = PollerMetrics()
    publisher = Publisher(client, PublisherBounds(100_000, 1 << 28, 1_000, 30.0), metrics)
    publishing = asyncio.create_task(publisher.run())
    chosen = records(endpoints, _ALL_KINDS)[:_DEVICES]
    tenant = TenantId(chosen[0].tenant)
    definition = tenant_stream(tenant, max_bytes=1 << 28, max_age_seconds=3600)
    await declare_stream(client.jetstream(), definition)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    devices = [Device(one, context(secrets, publisher, metrics)) for one in chosen]
    slot = _FIRST_SLOT
    for _ in range(2):
        slot += 60_000
        await asyncio.gather(*(device.poll(slot) for device in devices))
    await publisher.drain(30)
    cpu = time.process_time()
    for _ in range(_POLLS // _DEVICES):
        slot += 60_000
        await asyncio.gather(*(device.poll(slot) for device in devices))
    left = await publisher.drain(30)
    cpu = time.process_time() - cpu
    polled = metrics.registry.get_sample_value("fleet_poller_polls_total", {"outcome": "ok"})
    if left or polled != _POLLS + 2 * _DEVICES:
        raise RuntimeError(f"{polled} polls succeeded, {left} events were not acknowledged")
    for device in devices:
        device.drop_session()
    publishing.cancel()
    await asyncio.wait([publishing])
    await client.close()
    return _POLLS / cpu


async def _reads_per_core(endpoints: Path) -> float:
    """The same commands through the poller's session: rows of bytes, nothing published."""
    loop = asyncio.get_running_loop()
    sessions: list[RouterSession] = []
    for _, _, address, port, username, password in load_endpoints(endpoints)[:_DEVICES]:
        access = Access(Credentials(username, password), Tls(), None)
        sessions.append(await open_session(Endpoint(address, port), access, 30.0))
    cpu = time.process_time()
    for _ in range(_POLLS // _DEVICES):
        deadline = loop.time() + 30.0
        await asyncio.gather(*(one.exchange(_POLL_COMMANDS, deadline) for one in sessions))
    cpu = time.process_time() - cpu
    for one in sessions:
        one.abort()
    return _POLLS / cpu


async def _stock_polls_per_core(endpoints: Path) -> float:
    """The same commands by librouteros as it is: rows of its own types, nothing published."""
    apis: list[AsyncApi] = []
    for _, _, address, port, username, password in load_endpoints(endpoints)[:_DEVICES]:
        apis.append(
            await librouteros.async_connect(
                address, username, password, port=port, encoding="utf-8", timeout=30
            )
        )
    cpu = time.process_time()
    for _ in range(_STOCK_POLLS // _DEVICES):
        await asyncio.gather(*map(_stock_poll, apis))
    cpu = time.process_time() - cpu
    for api in apis:
        await api.close()
    return _STOCK_POLLS / cpu


async def _stock_poll(api: AsyncApi) -> None:
    for command in _POLL_COMMANDS:
        words = [word.decode() for word in command.words]
        async for _ in api.rawCmd(command.path, *words):
            pass


def _median_of_children(what: str, runs: int, endpoints: Path, secrets: Path) -> float:
    return statistics.median(_child(what, endpoints, secrets) for _ in range(runs))


def _child(what: str, endpoints: Path, secrets: Path) -> float:
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "bench.poller_child", what, str(endpoints), str(secrets)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        check=True,
        timeout=_CHILD_DEADLINE_SECONDS,
    )
    return float(json.loads(done.stdout))


@contextlib.contextmanager
def _fleet(folder: Path) -> Generator[tuple[Path, Path]]:
    """Access points in a process of their own: their endpoints file and secrets folder."""
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "bench.poller_fleet", str(_IDLE_DEVICES)],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        if process.stdout is None or not (line := process.stdout.readline()):
            raise RuntimeError("the simulated fleet did not start")
        endpoints, secrets = folder / "endpoints.json", folder / "secrets"
        endpoints.write_bytes(line)
        write_secrets(secrets, load_endpoints(endpoints))
        yield endpoints, secrets
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


@contextlib.contextmanager
def _broker(folder: Path) -> Generator[NatsServer]:
    server = NatsServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
