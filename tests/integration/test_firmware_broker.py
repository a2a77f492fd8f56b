"""The firmware-checker while the broker hangs, refuses, goes or has no leader for a stream."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

from nats.aio.client import Client
from nats.js.api import ConsumerConfig, StreamConfig

from fleet_common.broker import stream_config
from fleet_contracts.streams import tenant_stream
from fleet_contracts.subjects import tenant_id
from fleet_simulator.upgrade_host import UpgradeHost
from support.firmware_checker import (
    MODULE,
    declare,
    publish_firmware,
    settings,
    wait_for_verdict,
)
from support.nats import NatsServer, add_stream_on, connected, kill_one, nats_cluster, taken
from support.ports import free_port
from support.processes import service_process
from support.waiting import eventually


async def test_a_broker_that_hangs_turns_health_red_and_nothing_is_lost(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    with service_process(MODULE, settings(nats_server, host), tmp_path) as service:
        await service.ready()
        await publish_firmware(nats_client, "r1", "7.20.1")
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.4")

        async def health() -> int:
            answer = await service.get("/healthz")
            return answer.status_code if answer else 0

        assert await health() == 200
        nats_server.pause()
        await eventually(health, lambda code: code == 503, deadline_seconds=40, what="red health")
        # A new process would find the same broker.
        alive = await service.get("/livez")
        assert alive is not None
        assert alive.status_code == 200
        nats_server.resume()
        await eventually(health, lambda code: code == 200, deadline_seconds=40, what="green health")
        await publish_firmware(nats_client, "r2", "7.24.4")
        await wait_for_verdict(nats_client, "r2", "up_to_date 7.24.4")
        assert await service.stop() == 0


async def test_a_stream_that_refuses_a_consumer_turns_health_red_and_restarts_nobody(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    js = nats_client.jetstream()  # pyright: ignore[reportUnknownMemberType] - as above
    full = StreamConfig(
        name="FLEET_full",
        subjects=["fleet.full.*.*"],
        max_bytes=1 << 20,
        max_consumers=1,
        allow_direct=True,
    )
    await js.add_stream(full)  # pyright: ignore[reportUnknownMemberType] - as above
    await js.add_consumer("FLEET_full", ConsumerConfig(durable_name="the-only-one"))  # pyright: ignore[reportUnknownMemberType] - as above
    await publish_firmware(nats_client, "r1", "7.20.1", tenant="full")
    impatient = settings(nats_server, host, stalled_seconds="1")
    with service_process(MODULE, impatient, tmp_path) as service:

        async def failing() -> set[str]:
            answer = await service.get("/healthz")
            return set(answer.json()["failing"]) if answer is not None else set()

        await eventually(failing, lambda now: now == {"streams"}, what="red health")
        # A new process would be refused likewise.
        alive = await service.get("/livez")
        assert alive is not None
        assert alive.status_code == 200
        # The other tenant is served.
        await publish_firmware(nats_client, "r2", "7.24.4")
        await wait_for_verdict(nats_client, "r2", "up_to_date 7.24.4")
        await js.delete_consumer("FLEET_full", "the-only-one")
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.4", tenant="full")
        await eventually(failing, lambda now: not now, what="green health")
        assert await service.stop() == 0


async def test_a_stream_without_a_leader_is_not_gone(host: UpgradeHost, tmp_path: Path) -> None:
    with nats_cluster(tmp_path / "nats") as servers:
        async with connected(servers[0].url) as client:
            for place, tenant in ((0, "acme"), (2, "zeta")):
                stream = tenant_stream(tenant_id(tenant), max_bytes=1 << 20, max_age_seconds=3600)
                await add_stream_on(client, str(place), stream_config(stream))
            patient = settings(servers[0], host) | {"FLEET_NATS__REQUEST_TIMEOUT_SECONDS": "10"}
            with service_process(MODULE, patient, tmp_path) as service:
                await eventually(
                    lambda: service.metric("fleet_firmware_streams"), lambda n: n == 2, what="bound"
                )
                await kill_one(servers[2], client)
                await eventually(
                    service.log_text,
                    lambda text: "says nothing of a tenant's stream" in text,
                    deadline_seconds=30,
                    what="no leader",
                )
                await publish_firmware(client, "r1", "7.24.4")
                await wait_for_verdict(client, "r1", "up_to_date 7.24.4")
                servers[2].start()
                await taken(
                    lambda: publish_firmware(client, "r2", "7.24.4", tenant="zeta"),
                    what="a leader",
                    deadline_seconds=30,
                )
                await wait_for_verdict(client, "r2", "up_to_date 7.24.4", tenant="zeta")
                assert "tenant stream is gone" not in service.log_text()
                assert await service.stop() == 0


async def test_it_ends_in_time_while_the_broker_hangs_or_was_never_there(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    with service_process(MODULE, settings(nats_server, host), tmp_path / "hangs") as service:
        await service.ready()
        await eventually(
            lambda: service.metric("fleet_firmware_streams"), lambda n: n == 1, what="bound"
        )
        nats_server.pause()
        service.signal(signal.SIGTERM)
        assert await service.exit_code(11) == 0
    nats_server.resume()
    nats_server.stop()
    with service_process(MODULE, settings(nats_server, host), tmp_path / "absent") as service:
        await eventually(
            lambda: service.get("/healthz"), lambda answer: answer is not None, what="start"
        )
        assert await service.stop() == 0


@contextlib.asynccontextmanager
async def cut_at(target: int, words: bytes) -> AsyncGenerator[int]:
    """A port in front of another that is gone for good once a client sends these words."""
    ended = asyncio.Event()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if words in data:
                    ended.set()
                    return
                writer.write(data)
        ended.set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", target)
        pumps = [asyncio.create_task(pump(reader, forth)), asyncio.create_task(pump(back, writer))]
        await ended.wait()
        server.close()
        for task in pumps:
            task.cancel()
        for side in (writer, forth):
            side.transport.abort()

    port = free_port()
    server = await asyncio.start_server(carry, "127.0.0.1", port)
    try:
        yield port
    finally:
        server.close()


async def test_it_ends_in_time_when_the_broker_goes_in_the_middle_of_an_answer(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    await publish_firmware(nats_client, "r1", "7.20.1")
    async with cut_at(nats_server.port, b"$JS.API.DIRECT.GET") as port:
        through = settings(nats_server, host) | {
            "FLEET_NATS__URL": f"nats://127.0.0.1:{port}",
            "FLEET_NATS__REQUEST_TIMEOUT_SECONDS": "60",
        }
        with service_process(MODULE, through, tmp_path / "cut") as service:
            await eventually(
                lambda: "connection lost" in service.log_text(), bool, what="the connection cut"
            )
            assert await service.stop(9) == 0, service.log_text()[-2000:]
