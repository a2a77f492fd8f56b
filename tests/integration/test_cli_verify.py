"""`routerfleet verify` on a real run: balanced, then after each kind of tampering."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from nats.js import JetStreamContext

from fleet_cli.folder import Running
from fleet_contracts.codec import decode
from support.demo import DemoRun, demo, routerfleet
from support.nats import connected
from support.waiting import eventually

pytestmark = pytest.mark.timeout(240)

STREAM = "FLEET_tenant-1"
OPTIONS = ("--devices", "8", "--tenants", "2", "--interval", "1s", "--json")


async def verify(folder: Path) -> tuple[int, dict[str, Any]]:
    code, output, errors = await routerfleet("verify", "--json", "--data-dir", str(folder))
    assert output, errors
    return code, json.loads(output)


async def problems(folder: Path) -> dict[str, tuple[int, list[list[int]]]]:
    """Of tenant-1's stream: problem to count and ranges; exit code 1."""
    code, found = await verify(folder)
    assert code == 1
    assert found["unaccounted"] > 0
    assert found["streams"]["FLEET_tenant-2"]["unaccounted"] == 0
    listed = found["streams"][STREAM]["problems"]
    return {one["problem"]: (one["count"], one["ranges"]) for one in listed}


async def test_a_run_balances_and_each_tampering_is_named_by_its_sequences(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with demo(folder, *OPTIONS) as run:
        running = await run.running()
        await run.everybody_up(8)
        code, found = await verify(folder)
        assert (code, found["unaccounted"], found["notes"]) == (0, 0, [])
        assert found["streams"].keys() == {STREAM, "FLEET_tenant-2"}
        assert all(one["stored"] > 0 for one in found["streams"].values())
        assert 8 <= found["polls"]["recorded"] <= found["polls"]["answered"]

        # A row is taken out of a table, while everything runs.
        sequence, device, slot = await oldest_status(running)
        await delete_row(running, device, slot)
        named = await problems(folder)
        assert named == {"without_row": (1, [[sequence, sequence]]), "rows": (1, [])}

        async with stopped_writer(run, running):
            # A message is taken out of the stream before anyone stored it.
            unread = await delete_unread(running, folder)
            assert (await problems(folder))["vanished"] == (1, [[unread, unread]])
            # The position is set back.
            position = await lower_position(running, 4)
            assert (await problems(folder))["ahead"] == (4, [[position + 1, position + 4]])
        _, shown, _ = await routerfleet("verify", "--data-dir", str(folder))
        assert "UNACCOUNTED" in shown
        await run.interrupt()
    code, _, errors = await routerfleet("verify", "--data-dir", str(folder))
    assert code == 2
    assert "no demo runs" in errors


@asynccontextmanager
async def stream_api(running: Running) -> AsyncGenerator[JetStreamContext]:
    async with (
        asyncio.timeout(30),
        connected(running.nats_url, token=running.nats_token) as client,
    ):
        yield client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely


@asynccontextmanager
async def database(running: Running) -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(running.database_url, timeout=10, command_timeout=20)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def stopped_writer(run: DemoRun, running: Running) -> AsyncGenerator[None]:
    """The writer stands still, between two transactions."""
    writer = run.pid_of("writer")

    async def stop(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
        os.kill(writer, signal.SIGSTOP)
        rows = await connection.fetch(
            "SELECT state FROM pg_stat_activity WHERE application_name LIKE 'routerfleet-writer%'"
        )
        states = [row["state"] for row in rows]
        if states and set(states) != {"idle"}:
            os.kill(writer, signal.SIGCONT)
        return states

    try:
        async with database(running) as connection:
            await eventually(
                lambda: stop(connection), lambda states: set(states) == {"idle"}, what="idle writer"
            )
        yield
    finally:
        os.kill(writer, signal.SIGCONT)


async def oldest_status(running: Running) -> tuple[int, str, int]:
    """Sequence, device and slot of the oldest status event in the stream."""
    async with stream_api(running) as js:
        message = await js.get_msg(STREAM, seq=1, next=True, subject="fleet.*.*.status")
    decoded = decode(message.subject or "", message.data or b"")
    assert message.seq is not None
    return message.seq, decoded.subject.device, decoded.event.slot_unix_ms


async def delete_row(running: Running, device: str, slot_ms: int) -> None:
    async with database(running) as connection:
        deleted = await connection.execute(
            "DELETE FROM device_status_samples USING devices, tenants "
            "WHERE devices.id = device_id AND tenants.id = tenant_id "
            "AND tenants.name = 'tenant-1' AND devices.name = $1 AND slot = $2",
            device,
            datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=slot_ms),
        )
    assert deleted == "DELETE 1"


async def delete_unread(running: Running, folder: Path) -> int:
    """Delete by hand the message behind the next unread one."""

    async def look() -> dict[str, Any]:
        return (await verify(folder))[1]["streams"][STREAM]

    stream = await eventually(look, lambda one: one["unread"] > 3, deadline_seconds=30)
    sequence = stream["published"] - stream["unread"] + 2
    async with stream_api(running) as js:
        assert await js.delete_msg(STREAM, sequence)
    return sequence


async def lower_position(running: Running, by: int) -> int:
    """The position afterwards."""
    async with database(running) as connection:
        return await connection.fetchval(
            "UPDATE stream_positions SET last_sequence = last_sequence - $1 "
            "WHERE stream = $2 RETURNING last_sequence",
            by,
            STREAM,
        )
