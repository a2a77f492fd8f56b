"""The metrics-writer: events of a full stream to rows, against COPY alone.

A stream is filled with polls as the catalogue's cadences make them (10 interfaces, 5
wireless clients, 3 sensors: four events with 22 rows a poll, firmware with the first),
then the real writer process empties it into PostgreSQL. Then the same rows, in
transactions of the same size, go by asyncpg's COPY into the same tables, emptied. Wall
time of both counts everything: broker, decoding, server. Both are measured in the same
run, since the machine is shared; the ratio is the figure to trust.
"""

import asyncio
import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import nats
import psutil
from nats.aio.client import Client

from fleet_common.broker import declare_stream
from fleet_contracts.streams import tenant_stream
from fleet_contracts.subjects import Kind, device_id, stream_name, tenant_id
from fleet_writer.tables import SAMPLE_TABLES
from support.nats import NatsServer
from support.postgres import PostgresServer
from support.writer import (
    MINUTE_MS,
    ROWS_OF_A_POLL,
    now_slot_ms,
    outgoing,
    poll_events,
    reading,
    writer_process,
)

DEVICES = 400
POLLS = 36
# Firmware comes every six hours: with the first poll only.
EVENTS = DEVICES * (POLLS * 4 + 1)
ROWS = DEVICES * (POLLS * (ROWS_OF_A_POLL - 1) + 1)
BATCH_EVENTS = 5_000
_DEADLINE_SECONDS = 120.0
_TENANT = tenant_id("bench")


@dataclass(frozen=True)
class Spent:
    """Wall seconds; CPU seconds of the client alone, and with its servers."""

    seconds: float
    own_cpu: float
    all_cpu: float


type _Copy = tuple[str, Sequence[str], list[tuple[object, ...]]]


def run(runs: int) -> dict[str, float]:
    """Medians of rows/s, of the ratio to COPY (by wall time, by CPU time), of CPU per row."""
    directory = Path(tempfile.mkdtemp(prefix="routerfleet-bench-"))
    directory.chmod(0o755)
    postgres = PostgresServer(directory)
    broker = NatsServer(directory / "nats")
    broker.start()
    try:
        results = asyncio.run(_runs(runs, broker, postgres, directory))
    finally:
        broker.stop()
        postgres.close()
        shutil.rmtree(directory, ignore_errors=True)
    return {
        "writer_rows_per_second": statistics.median(ROWS / w.seconds for w, _ in results),
        "writer_ratio_to_copy": statistics.median(c.seconds / w.seconds for w, c in results),
        "writer_ratio_to_copy_cpu": statistics.median(c.all_cpu / w.all_cpu for w, c in results),
        "writer_cpu_us_per_row": statistics.median(w.own_cpu / ROWS * 1e6 for w, _ in results),
    }


async def _runs(
    runs: int, broker: NatsServer, postgres: PostgresServer, directory: Path
) -> list[tuple[Spent, Spent]]:
    client = await nats.connect(broker.url)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    await _fill(client)
    results: list[tuple[Spent, Spent]] = []
    # One run to warm caches and files, not counted.
    for number in range(runs + 1):
        database = postgres.create_database()
        written = await _write(broker, postgres, database, directory)
        copied = await _copy(postgres, database)
        if number:
            results.append((written, copied))
        postgres.drop_database(database)
    await client.close()
    return results


async def _fill(client: Client) -> None:
    """The stream with POLLS polls of DEVICES devices, in the order of their slots."""
    js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    await declare_stream(js, tenant_stream(_TENANT, max_bytes=1 << 28, max_age_seconds=86_400))
    first = now_slot_ms() - POLLS * MINUTE_MS
    messages = [
        outgoing(_TENANT, device_id(f"router-{device:04d}"), kind, event)
        for poll in range(POLLS)
        for device in range(DEVICES)
        for kind, event in poll_events(first + poll * MINUTE_MS, device + poll).items()
        if poll == 0 or kind is not Kind.FIRMWARE
    ]
    for chunk in itertools.batched(messages, 500):
        await asyncio.gather(
            *(
                js.publish(message.subject, message.payload, headers=message.headers, timeout=30)
                for message in chunk
            )
        )
    info = await js.stream_info(stream_name(_TENANT))
    if info.state.messages != EVENTS:
        raise RuntimeError(f"the stream has {info.state.messages} of {EVENTS} events")


async def _write(
    broker: NatsServer, postgres: PostgresServer, database: str, directory: Path
) -> Spent:
    """From the opened position to the last commit."""
    url = postgres.url(database)
    writer = writer_process(
        broker.url,
        url,
        directory / "writer.log",
        {"FLEET_WRITER__BATCH_MESSAGES": str(BATCH_EVENTS), "FLEET_WRITER__LINGER_SECONDS": "0.05"},
    ).start()
    assert broker.process is not None
    own = psutil.Process(writer.pid)
    nats_server = psutil.Process(broker.process.pid)
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS), reading(url) as connection:
            await _until(connection, 0)
            started, own_started = time.perf_counter(), _cpu_seconds(own)
            servers_started = _cpu_seconds(nats_server) + postgres.cpu_seconds()
            await _until(connection, EVENTS)
            seconds, own_cpu = time.perf_counter() - started, _cpu_seconds(own) - own_started
            servers_cpu = _cpu_seconds(nats_server) + postgres.cpu_seconds() - servers_started
            rows = await connection.fetchval("SELECT rows_stored FROM stream_accounts")
            if rows != ROWS:
                raise RuntimeError(f"{rows} rows stored, not {ROWS}")
    finally:
        await writer.stop()
    return Spent(seconds, own_cpu, own_cpu + servers_cpu)


async def _until(connection: "asyncpg.Connection[asyncpg.Record]", sequence: int) -> None:
    while True:
        try:
            stored = await connection.fetchval("SELECT last_sequence FROM stream_positions")
        except asyncpg.UndefinedTableError:
            stored = None
        if stored is not None and stored >= sequence:
            return
        await asyncio.sleep(0.01)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _copy(postgres: PostgresServer, database: str) -> Spent:
    """To COPY the database's own rows into its tables again, emptied before."""
    async with reading(postgres.url(database)) as connection:
        # Without a binary codec for MAC addresses COPY would refuse them; all else is
        # asyncpg as it comes.
        await connection.set_type_codec(
            "macaddr", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
        )
        batches = await _batches(connection)
        for table in SAMPLE_TABLES:
            await connection.execute(f"TRUNCATE {table.name}")
        started, own_started = time.perf_counter(), time.process_time()
        servers_started = postgres.cpu_seconds()
        for batch in batches:
            async with connection.transaction():
                for target, columns, records in batch:
                    await connection.copy_records_to_table(target, records=records, columns=columns)
        seconds, own_cpu = time.perf_counter() - started, time.process_time() - own_started
        return Spent(seconds, own_cpu, own_cpu + postgres.cpu_seconds() - servers_started)


async def _batches(connection: "asyncpg.Connection[asyncpg.Record]") -> list[list[_Copy]]:
    """The rows by partition, split over as many transactions as the writer made."""
    count = -(-EVENTS // BATCH_EVENTS)
    batches: list[list[_Copy]] = [[] for _ in range(count)]
    for table in SAMPLE_TABLES:
        columns = ", ".join(table.columns)
        rows = await connection.fetch(
            f"SELECT tableoid::regclass::text AS target, {columns} FROM {table.name} "  # noqa: S608 - our own names
            "ORDER BY tableoid, slot"
        )
        size = -(-len(rows) // count)
        for number, batch in enumerate(batches):
            part = [tuple(row.values()) for row in rows[number * size : (number + 1) * size]]
            for target in sorted({str(row[0]) for row in part}):
                records = [row[1:] for row in part if row[0] == target]
                batch.append((target, table.columns, records))
    return batches
