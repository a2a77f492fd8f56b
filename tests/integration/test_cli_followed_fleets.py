"""What the local runner does of the operator's part: plans by measured sizes, edits that hold."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from nats.aio.client import Client
from rich.console import Console

from fleet_cli import followed_fleets
from fleet_cli.console import RunConsole
from fleet_cli.environment import Wiring
from fleet_cli.fleets import FleetSource
from fleet_cli.folder import load_kept, open_folder
from fleet_cli.followed_fleets import FollowedFleets
from fleet_cli.foundation import Foundation, PortBook
from fleet_cli.metrics import RunnerMetrics
from fleet_cli.nats_process import NatsPlan
from fleet_cli.postgres_process import PostgresPlan
from fleet_cli.shards import Shards
from fleet_common.fleet_spec import RouterFleet
from fleet_common.inventory import inventory_bucket, keys_under
from fleet_common.streams.listing import list_streams
from support.nats import NatsServer
from support.ports import free_port
from support.waiting import eventually

MIB = 1024**2


class NoPollers(Shards):
    """Nobody polls in these tests."""

    def __init__(self) -> None:
        self.fleets: Sequence[RouterFleet] = ()

    async def reconcile(self, fleets: Sequence[RouterFleet]) -> None:
        self.fleets = fleets


class Run:
    """The fleets of one run, on a broker that is there already."""

    def __init__(self, client: Client, port: int, path: Path) -> None:
        self.client = client
        self.file = path / "fleet.yaml"
        self.said = StringIO()
        self.js = client.jetstream(timeout=2)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        folder = open_folder(path / "data")
        wiring = Wiring(
            nats=NatsPlan(port, "", 64 * MIB),
            # Nobody is there: a first run, before the writer has made its tables.
            postgres=PostgresPlan(free_port(), "none"),
            gateway_port=free_port(),
            credentials_directory=path,
            upgrade_url=None,
            admin_ports={},
        )
        foundation = Foundation(
            folder=folder,
            ports=PortBook(folder, load_kept(folder)),
            wiring=wiring,
            source=FleetSource(self.file, path, None),
            simulator=None,
            client=client,
            js=self.js,
        )
        console = RunConsole(Console(file=self.said, width=400))
        self.fleets = FollowedFleets(foundation, NoPollers(), 64 * MIB, RunnerMetrics(), console)

    def write(self, *tenants: str, devices: int = 50) -> None:
        spec = {
            "credentials": {"secretRef": {"name": "routers"}},
            "cadence": {"interval": "1s"},
            "events": {"replayWindow": "5m"},
            "devices": [{"name": f"d{n}", "address": "192.0.2.1"} for n in range(devices)],
        }
        heads = {"apiVersion": "routerfleet.io/v1alpha1", "kind": "RouterFleet"}
        text = yaml.safe_dump_all(
            [{**heads, "metadata": {"name": tenant}, "spec": spec} for tenant in tenants]
        )
        self.file.write_text(text, encoding="utf-8")

    async def size(self, tenant: str) -> int | None:
        return (await list_streams(self.client))[f"FLEET_{tenant}"].max_bytes

    async def hears(self, text: str) -> None:
        await eventually(self.said.getvalue, lambda said: text in said, deadline_seconds=30)


@asynccontextmanager
async def doing(*work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def run(nats_client: Client, nats_server: NatsServer, tmp_path: Path) -> Run:
    return Run(nats_client, nats_server.port, tmp_path)


async def test_a_run_begins_with_the_sizes_that_the_one_before_has_measured(
    run: Run, nats_client: Client, nats_server: NatsServer, tmp_path: Path
) -> None:
    run.write("north")
    await run.fleets.begin()
    by_catalogue = await run.size("north")
    assert by_catalogue is not None
    for number in range(50):
        await run.js.publish(f"fleet.north.d{number}.status", bytes(600))  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    again = Run(nats_client, nats_server.port, tmp_path)
    await again.fleets.begin()
    measured = await run.size("north")
    assert measured is not None
    assert measured > 1.3 * by_catalogue
    # An edit is no reason to forget them either.
    async with doing(again.fleets.follow_edits()):
        again.write("north", devices=51)
        await again.hears("fleet file read again: 51 devices")
    assert (await run.size("north") or 0) >= measured


async def test_an_edit_made_while_the_broker_is_away_is_taken_when_it_is_back(
    run: Run, nats_server: NatsServer
) -> None:
    run.write("north")
    await run.fleets.begin()
    async with doing(run.fleets.follow_edits()):
        nats_server.pause()
        run.write("north", "south")
        await run.hears("could not be applied yet")
        nats_server.resume()
        await run.hears("fleet file read again: 100 devices")
    assert run.fleets.tenants == ["north", "south"]
    assert run.said.getvalue().count("could not be applied yet") == 1
    assert await run.size("south")


async def test_an_edit_is_not_undone_by_a_plan_that_was_made_before_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_fleets, "_REAPPLY_SECONDS", 0.0)
    rounds: list[None] = []
    run.write("north")
    await run.fleets.begin()
    async with doing(run.fleets.reapply(lambda: rounds.append(None)), run.fleets.follow_edits()):
        run.write("north", "south")
        await run.hears("fleet file read again: 100 devices")
        # Whatever was under way then has been done, and said.
        begun = len(rounds)
        await eventually(lambda: len(rounds), lambda now: now > begun + 2)
        assert len(await keys_under(await inventory_bucket(run.js), "south")) == 50
    assert "belongs to no fleet any more" not in run.said.getvalue()
