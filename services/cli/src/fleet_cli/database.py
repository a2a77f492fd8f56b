"""What the runner and the doctor read from PostgreSQL. The CLI's only user of asyncpg.

Reads the writer's tables, never writes. Every call has a deadline and raises
TransientError when the database is away or not migrated yet; none says "0" instead.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, cast

import asyncpg

from fleet_common.errors import TransientError
from fleet_contracts.subjects import STREAM_DEVICE, Kind

_CONNECTION_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # What asyncpg raises of a connection that was lost in the middle of an operation ("cannot
    # switch to state …"): no fault of the query, and a new connection is the way out.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    asyncio.IncompleteReadError,
)
_CONNECT_SECONDS: Final = 5.0
_QUERY_SECONDS: Final = 60.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

SAMPLE_TABLE: Final[dict[Kind, str]] = {
    Kind.STATUS: "device_status_samples",
    Kind.HEALTH: "health_samples",
    Kind.INTERFACES: "interface_samples",
    Kind.WIRELESS: "wireless_samples",
    Kind.FIRMWARE: "firmware_samples",
    Kind.INVENTORY: "inventory_samples",
    Kind.FIRMWARE_ADVICE: "firmware_advice_samples",
}
"""Where the writer stores each kind of device event; an event is one (device, slot) there."""

_MORE_SAMPLE_TABLES: Final = ("sensor_samples", "radio_samples", "wireless_client_samples")
"""Further rows of events that SAMPLE_TABLE has."""
_SAMPLE_ROWS_ONE_A_SLOT: Final = frozenset(SAMPLE_TABLE) - {Kind.INTERFACES}


@dataclass(frozen=True, slots=True)
class Position:
    """How far one stream is stored, in one of its lives (stream, created, generation)."""

    tenant: str
    stream: str
    created: str
    generation: int
    first_sequence: int
    last_sequence: int
    events_stored: int
    events_rejected: int
    events_lost: int
    rows_stored: int
    rows_duplicate: int
    rows_expired: int


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What the read model knows of one device; `reachable` is None before its first status.

    `status_slot` is the slot of its newest status, `last_seen` when it last answered.
    """

    tenant: str
    device: str
    reachable: bool | None
    status_slot: datetime | None
    last_seen: datetime | None
    error_class: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class Schema:
    """What migrated the database; `timescaledb` is the extension's version there."""

    migrations: tuple[str, ...]
    timescaledb: str | None


class ReadModel:
    """One connection, used by one caller at a time."""

    def __init__(self, raw: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._raw = raw

    async def _rows(self, query: str, *arguments: object) -> "list[asyncpg.Record]":
        with _as_transient():
            return await self._raw.fetch(query, *arguments)

    async def _value(self, query: str, *arguments: object) -> object:
        with _as_transient():
            return await self._raw.fetchval(query, *arguments)

    async def positions(self) -> list[Position]:
        """All streams' positions."""
        rows = await self._rows(
            "SELECT tenant, stream, created, generation, first_sequence, last_sequence, "
            "events_stored, events_rejected, events_lost, rows_stored, rows_duplicate, "
            "rows_expired FROM stream_accounts ORDER BY stream, generation"
        )
        return [Position(*row.values()) for row in rows]

    async def devices(self, tenants: Sequence[str]) -> list[DeviceState]:
        """The devices of these tenants."""
        rows = await self._rows(
            "SELECT tenants.name, devices.name, reachable, status_slot, last_seen, "
            "error_class, error_message "
            "FROM devices JOIN tenants ON tenants.id = tenant_id "
            "WHERE tenants.name = ANY($1) ORDER BY 1, 2",
            list(tenants),
        )
        return [DeviceState(*row.values()) for row in rows]

    async def stored_keys(
        self, tenant: str, kind: Kind, first_slot_ms: int
    ) -> set[tuple[str, int]]:
        """(device, slot in ms) of every event of a kind stored since a slot."""
        if kind is Kind.TRIM:
            return await self._stored_trims(tenant, first_slot_ms)
        table = SAMPLE_TABLE[kind]
        rows = await self._rows(
            f"SELECT DISTINCT devices.name, slot FROM {table} "  # noqa: S608 - fixed names
            "JOIN devices ON devices.id = device_id JOIN tenants ON tenants.id = tenant_id "
            "WHERE tenants.name = $1 AND slot >= $2",
            tenant,
            _EPOCH + first_slot_ms * _MILLISECOND,
        )
        return {
            (cast("str", row[0]), (cast("datetime", row[1]) - _EPOCH) // _MILLISECOND)
            for row in rows
        }

    async def _stored_trims(self, tenant: str, first_slot_ms: int) -> set[tuple[str, int]]:
        rows = await self._rows(
            "SELECT slot FROM stream_trims JOIN stream_positions "
            "ON stream_positions.id = position_id JOIN tenants ON tenants.id = tenant_id "
            "WHERE tenants.name = $1 AND slot >= $2",
            tenant,
            _EPOCH + first_slot_ms * _MILLISECOND,
        )
        slots = (cast("datetime", row[0]) for row in rows)
        return {(STREAM_DEVICE, (slot - _EPOCH) // _MILLISECOND) for slot in slots}

    async def rejected_sequences(self, stream: str) -> set[int]:
        """Sequences of the messages that were set aside."""
        rows = await self._rows(
            "SELECT sequence FROM rejected_events JOIN stream_positions "
            "ON stream_positions.id = position_id WHERE stream = $1",
            stream,
        )
        return {cast("int", row[0]) for row in rows}

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[None]:
        """Within it every reading sees the tables as they were at its beginning."""
        with _as_transient():
            transaction = self._raw.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
        try:
            yield
        finally:
            # Nothing was written: a connection that is gone ends it as well.
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await transaction.rollback()

    async def lost_ranges(self, stream: str) -> dict[tuple[str, int], list[tuple[int, int]]]:
        """By (created, generation) the recorded ranges of sequences, in order."""
        rows = await self._rows(
            "SELECT created, generation, from_sequence, to_sequence FROM lost_ranges "
            "JOIN stream_positions ON stream_positions.id = position_id WHERE stream = $1 "
            "ORDER BY from_sequence",
            stream,
        )
        found: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for created, generation, first, last in rows:
            found.setdefault((created, generation), []).append((first, last))
        return found

    async def rejected_by_position(self, stream: str) -> dict[tuple[str, int], set[int]]:
        """By (created, generation) the sequences of messages that were set aside."""
        rows = await self._rows(
            "SELECT created, generation, sequence FROM rejected_events "
            "JOIN stream_positions ON stream_positions.id = position_id WHERE stream = $1",
            stream,
        )
        found: dict[tuple[str, int], set[int]] = {}
        for created, generation, sequence in rows:
            found.setdefault((created, generation), set()).add(sequence)
        return found

    async def sample_rows(self, tenant: str) -> int | None:
        """All rows of a tenant's devices in all sample tables; None when that takes too long.

        Reads the tables whole, within `snapshot`, which goes on whatever comes of it.
        """
        try:
            with _as_transient():
                # A savepoint: a query that was given up would end the snapshot.
                async with self._raw.transaction():
                    return await self._count_sample_rows(tenant)
        except TransientError as error:
            if _took_too_long(error):
                return None
            raise

    async def _count_sample_rows(self, tenant: str) -> int:
        tables = (*SAMPLE_TABLE.values(), *_MORE_SAMPLE_TABLES)
        total = 0
        for table in tables:
            count = await self._value(
                f"SELECT count(*) FROM {table} JOIN devices ON devices.id = device_id "  # noqa: S608 - fixed names
                "JOIN tenants ON tenants.id = tenant_id WHERE tenants.name = $1",
                tenant,
            )
            total += cast("int", count)
        return total

    async def oldest_slot_ms(self, tenant: str, kind: Kind) -> int | None:
        """The oldest slot (Unix ms) of a kind that is in the tables; None when there is none."""
        # By device: its oldest row is the first of the key's index.
        slot = await self._value(
            "SELECT min(oldest.slot) FROM tenants JOIN devices ON tenants.id = tenant_id "  # noqa: S608 - fixed names
            f"CROSS JOIN LATERAL (SELECT slot FROM {SAMPLE_TABLE[kind]} "
            "WHERE device_id = devices.id ORDER BY slot LIMIT 1) AS oldest WHERE tenants.name = $1",
            tenant,
        )
        return None if slot is None else (cast("datetime", slot) - _EPOCH) // _MILLISECOND

    async def retention_days(self, tenant: str) -> dict[str, int]:
        """What the tenant's fleet asks for, by kind of row; empty where it asks for nothing."""
        rows = await self._rows(
            "SELECT word, days::int FROM tenants, "
            "jsonb_each_text(retention_days) AS asked (word, days) WHERE name = $1",
            tenant,
        )
        return {cast("str", row[0]): cast("int", row[1]) for row in rows}

    async def answered_polls(self, tenant: str, since: datetime) -> dict[str, int]:
        """By device, the stored polls that were answered since then."""
        rows = await self._rows(
            "SELECT devices.name, count(*) FROM device_status_samples "
            "JOIN devices ON devices.id = device_id JOIN tenants ON tenants.id = tenant_id "
            "WHERE tenants.name = $1 AND device_status_samples.reachable AND slot >= $2 "
            "AND slot + observed_after_slot_ms * interval '1 millisecond' >= $3 "
            "GROUP BY devices.name",
            tenant,
            since - timedelta(days=1),  # no slot is observed later; prunes partitions
            since,
        )
        return {cast("str", row[0]): cast("int", row[1]) for row in rows}

    async def duplicate_keys(self, first_slot_ms: int) -> int:
        """Events that stand in the tables more than once."""
        total = 0
        for kind in _SAMPLE_ROWS_ONE_A_SLOT:
            total += await self._duplicates(SAMPLE_TABLE[kind], "device_id, slot", first_slot_ms)
        interfaces = SAMPLE_TABLE[Kind.INTERFACES]
        key = "device_id, slot, interface_id"
        return total + await self._duplicates(interfaces, key, first_slot_ms)

    async def _duplicates(self, table: str, key: str, first_slot_ms: int) -> int:
        count = await self._value(
            f"SELECT coalesce(sum(n - 1), 0)::bigint FROM (SELECT count(*) AS n FROM {table} "  # noqa: S608 - fixed names
            f"WHERE slot >= $1 GROUP BY {key} HAVING count(*) > 1) AS twice",
            _EPOCH + first_slot_ms * _MILLISECOND,
        )
        return cast("int", count)

    async def schema(self) -> Schema:
        """Applied migrations and TimescaleDB's version; TransientError before the first one."""
        rows = await self._rows("SELECT name FROM schema_migrations ORDER BY version")
        version = await self._value(
            "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
        )
        return Schema(tuple(cast("str", row[0]) for row in rows), cast("str | None", version))

    async def server_version(self) -> str:
        """`18.4`."""
        return cast("str", await self._value("SHOW server_version"))


@contextlib.asynccontextmanager
async def read_model(
    url: str, *, query_seconds: float = _QUERY_SECONDS
) -> AsyncGenerator[ReadModel]:
    """A connection for a block. Raises TransientError when it cannot be made."""
    with _as_transient():
        raw = await asyncpg.connect(
            url,
            timeout=_CONNECT_SECONDS,
            command_timeout=query_seconds,
            server_settings={"application_name": "routerfleet", "timezone": "UTC"},
        )
    try:
        yield ReadModel(raw)
    finally:
        try:
            await raw.close(timeout=2)
        except _CONNECTION_ERRORS:
            raw.terminate()


async def server_version(url: str) -> str:
    """The server's version, once it answers. Raises TransientError."""
    async with read_model(url) as model:
        return await model.server_version()


async def is_shutting_down(url: str) -> bool:
    """Whether a server is there that takes no connection because it is shutting down.

    One that is starting, away or merely silent is not. The text is PostgreSQL's own; both
    states have SQLSTATE 57P03. The runner's servers speak English (`LC_ALL=C`).
    """
    try:
        async with read_model(url):
            return False
    except TransientError as error:
        refused = error.__cause__
        return isinstance(refused, asyncpg.CannotConnectNowError) and "shutting down" in str(
            refused
        )


def _took_too_long(error: TransientError) -> bool:
    # By the server's own limit, or by ours.
    return isinstance(error.__cause__, (asyncpg.QueryCanceledError, TimeoutError))


@contextlib.contextmanager
def _as_transient() -> Generator[None]:
    try:
        yield
    except asyncpg.UndefinedTableError as error:
        raise TransientError(f"the database is not migrated yet: {error}") from error
    except _CONNECTION_ERRORS as error:
        raise TransientError(f"database: {str(error) or type(error).__name__}") from error
