"""The rendered configuration, read by a real nats-server; and a real poller as its user."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from fleet_common.broker import declare_bucket
from fleet_common.inventory import keys_under
from fleet_contracts.streams import SHARDS_BUCKET, SHARDS_BUCKET_MAX_BYTES
from support.chart_nats import ChartServer, checked, environment
from support.helm import CI_VALUES, Chart
from support.nats import connected
from support.poller_process import SHARD, fleet_broker, poller_process
from support.pollers import device_record, write_secret
from support.routers import fixed_router
from support.simulator import simulate
from support.waiting import eventually

NAME = "rf-routerfleet-nats"
BUNDLED = [path for path in CI_VALUES if "external" not in path.name]


@pytest.fixture
def chart_server(chart: Chart, tmp_path: Path) -> Iterator[ChartServer]:
    """The bundled server with its default values."""
    rendered = chart.render()
    config = rendered.one("ConfigMap", NAME)["data"]["nats.conf"]
    server = ChartServer(tmp_path / "nats", config=config, variables=environment(rendered, NAME))
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("values", BUNDLED, ids=lambda path: path.stem)
def test_the_server_takes_the_configuration(values: Path, chart: Chart, tmp_path: Path) -> None:
    rendered = chart.render(values)
    config = rendered.one("ConfigMap", NAME)["data"]["nats.conf"]

    complaints = checked(
        config.replace("/run/nats", str(tmp_path)).replace("/data", str(tmp_path)),
        environment(rendered, NAME),
        tmp_path,
    )

    assert not complaints


def test_the_servers_check_finds_a_fault(chart: Chart, tmp_path: Path) -> None:
    rendered = chart.render()
    config = rendered.one("ConfigMap", NAME)["data"]["nats.conf"]

    assert checked(config.replace("publish:", "publisch:"), environment(rendered, NAME), tmp_path)


@pytest.mark.parametrize("user", ["services", "poller"])
async def test_a_wrong_password_is_refused(chart_server: ChartServer, user: str) -> None:
    wrong = chart_server.url.replace(chart_server.variables["NATS_SERVICES_PASSWORD"], "guess")

    client = Client()
    try:
        with pytest.raises(NatsError, match=r"(?i)authorization"):
            async with asyncio.timeout(10):
                await client.connect(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
                    wrong.replace("services", user), allow_reconnect=False, max_reconnect_attempts=0
                )
    finally:
        await client.close()


async def test_a_poller_has_the_rights_it_needs(chart_server: ChartServer, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    pollers = chart_server.as_user("poller")
    async with simulate(fixed_router("router-1")) as simulator:
        endpoint = simulator.endpoint("router-1")
        write_secret(secrets, endpoint)
        async with fleet_broker(chart_server, endpoint.tenant) as broker:
            shards = await declare_bucket(broker.js, SHARDS_BUCKET, SHARDS_BUCKET_MAX_BYTES)
            sign = f"{endpoint.tenant}.{SHARD}"
            await broker.assign([device_record(endpoint)])
            logs = ""
            for _ in range(2):  # the second one takes over what the first has polled
                before = await broker.stored()
                with poller_process(pollers, endpoint.tenant, secrets) as poller:
                    await eventually(broker.stored, lambda now, least=before: now > least + 10)
                    await eventually(
                        lambda: keys_under(shards, endpoint.tenant), lambda keys: sign in keys
                    )
                    await poller.terminate(15)
                    logs += poller.tail()

    # Without a right the server says so, and the client's wait ends with a warning.
    assert "ermissions" not in chart_server.log()
    assert "ermissions" not in logs
    assert "not known" not in logs


async def refusals(server: ChartServer, user: str, subject: str, *, reads: bool) -> list[str]:
    """What the server says to a user who publishes or subscribes; waits for an answer."""
    said: asyncio.Queue[str] = asyncio.Queue()

    async def on_error(error: Exception) -> None:
        said.put_nowait(str(error).lower())

    url = server.as_user(user).url
    async with asyncio.timeout(10), connected(url, error_cb=on_error) as client:
        if reads:
            await client.subscribe(subject)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        else:
            await client.publish(subject, b"{}")
        # The refusal of this one comes after any other: nobody may send to it.
        await client.publish("$SYS.end", b"")
        heard: list[str] = []
        while not heard or "$sys.end" not in heard[-1]:
            heard.append(await said.get())
    return [one for one in heard[:-1] if "permissions violation" in one]


@pytest.mark.parametrize(
    "subject",
    [
        "$JS.API.STREAM.DELETE.FLEET_alpha",
        "$JS.API.STREAM.UPDATE.FLEET_alpha",
        "$JS.API.STREAM.CREATE.FLEET_alpha",
        "$JS.API.STREAM.PURGE.FLEET_alpha",
        "$JS.API.CONSUMER.CREATE.FLEET_alpha",
        "$KV.fleet-inventory.alpha.router-1",
        "$KV.fleet-assignments.alpha.shard-0",
    ],
)
async def test_a_poller_has_no_other_rights(chart_server: ChartServer, subject: str) -> None:
    assert await refusals(chart_server, "poller", subject, reads=False)


@pytest.mark.parametrize("subject", ["fleet.>", "$KV.>", ">"])
async def test_a_poller_cannot_read_along(chart_server: ChartServer, subject: str) -> None:
    assert await refusals(chart_server, "poller", subject, reads=True)


async def test_a_pollers_events_are_taken(chart_server: ChartServer) -> None:
    assert not await refusals(chart_server, "poller", "fleet.alpha.router-1.status", reads=False)
