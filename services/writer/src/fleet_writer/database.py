"""The only module that knows asyncpg: connections, COPY, and its errors as ours.

A Connection runs one operation at a time; whoever shares one holds `lock` around an
operation or a transaction. Every statement has a deadline. An error other than
DuplicateRowsError leaves the connection fit for nothing but `close`.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import asyncpg

from fleet_writer.errors import (
    DatabaseAwayError,
    DatabaseFullError,
    DatabaseReadOnlyError,
    DatabaseRefusedError,
    DuplicateRowsError,
    RefusedRowsError,
)
from fleet_writer.settings import DatabaseSection
from fleet_writer.times import decode_timestamptz

_ENDED: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""What a connection that has gone may raise when it is given up (a time-out is an OSError)."""

type Row = Mapping[str, Any]
type Records = Sequence[tuple[object, ...]]

# A host that died without closing its connections holds its advisory locks until the
# server notices; these make it notice in about ten seconds.
_SERVER_SETTINGS: Final = {
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "timezone": "UTC",
    "client_connection_check_interval": "5s",
}
_CLOSE_SECONDS: Final = 2.0


class Connection:
    """One connection to PostgreSQL."""

    def __init__(self, raw: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._raw = raw
        self.lock = asyncio.Lock()

    async def fetch(self, sql: str, *arguments: object) -> list[Row]:
        """All rows, as mappings from column name to value."""
        with _our_errors():
            return cast("list[Row]", await self._raw.fetch(sql, *arguments))

    async def fetch_value(self, sql: str, *arguments: object) -> Any:  # noqa: ANN401 - any SQL type
        """The first column of the first row; None without rows."""
        with _our_errors():
            return await self._raw.fetchval(sql, *arguments)

    async def execute(self, sql: str, *arguments: object) -> int:
        """Run a statement; the number of rows it touched, 0 where the server gives none."""
        with _our_errors():
            tag = await self._raw.execute(sql, *arguments)
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        """Commit at the end of the block, roll back when it raises."""
        with _our_errors():
            transaction = self._raw.transaction()
            await transaction.start()
        try:
            yield
        except BaseException:
            # A connection that died has rolled back; the first error is the one to report.
            with contextlib.suppress(*_ENDED):
                await transaction.rollback()
            raise
        with _our_errors():
            await transaction.commit()

    async def copy_rows(self, table: str, columns: Sequence[str], records: Records) -> None:
        """COPY records into a table in the binary format, all or none.

        Raises RefusedRowsError for a value its column cannot hold, DuplicateRowsError
        when a key is taken; both leave the transaction aborted.
        """
        try:
            with _our_errors():
                await self._raw.copy_records_to_table(table, records=records, columns=columns)
        except (OverflowError, ValueError, TypeError) as error:
            # asyncpg's encoders raise Python's own errors for values out of range.
            raise RefusedRowsError(f"{table}: {error}") from error

    async def copy_packed(
        self, table: str, columns: Sequence[str], pieces: Iterator[bytes]
    ) -> None:
        """COPY what is in the binary format already, header and trailer included.

        Raises as `copy_rows` does.
        """

        async def source() -> AsyncGenerator[bytes]:
            for piece in pieces:
                yield piece

        with _our_errors():
            await self._raw.copy_to_table(table, source=source(), columns=columns, format="binary")

    async def close(self) -> None:
        """Close politely within two seconds, else cut. Frees the session's advisory locks."""
        try:
            await self._raw.close(timeout=_CLOSE_SECONDS)
        except _ENDED:
            self._raw.terminate()


class Database:
    """Where connections come from."""

    def __init__(self, settings: DatabaseSection) -> None:
        self._settings = settings

    async def connect(self, application: str) -> Connection:
        """Open a connection; raises DatabaseAwayError or DatabaseRefusedError."""
        settings = self._settings
        with _our_errors():
            raw = await asyncpg.connect(
                settings.url.get_secret_value(),
                timeout=settings.connect_timeout_seconds,
                command_timeout=settings.statement_timeout_seconds,
                server_settings={**_SERVER_SETTINGS, "application_name": application},
            )
            await set_codecs(raw)
        return Connection(raw)

    @contextlib.asynccontextmanager
    async def connection(self, application: str) -> AsyncGenerator[Connection]:
        """A connection for a block."""
        connection = await self.connect(application)
        try:
            yield connection
        finally:
            await connection.close()


async def set_codecs(raw: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Codecs for what travels as bytes.

    MAC addresses are six bytes in events and in PostgreSQL's binary format. Slots are
    encoded once a message: asyncpg's own codec takes longer for the datetime than for all
    other columns of a row, and an encoder of ours, called for each row, half as long. So
    every moment given to a statement is bytes made by fleet_writer.times.
    """
    await raw.set_type_codec(
        "macaddr", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )
    await raw.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=bytes,
        decoder=decode_timestamptz,
        format="binary",
    )


@contextlib.contextmanager
def _our_errors() -> Generator[None]:
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise DuplicateRowsError(str(error)) from error
    except asyncpg.DiskFullError as error:
        raise DatabaseFullError(f"the database's disk is full: {error}") from error
    except asyncpg.ReadOnlySQLTransactionError as error:
        raise DatabaseReadOnlyError(f"the database takes no writes: {error}") from error
    except (asyncpg.DataError, asyncpg.CheckViolationError, asyncpg.NotNullViolationError) as error:
        raise RefusedRowsError(str(error)) from error
    except (
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
        asyncpg.InterfaceError,
        # A connection that was lost in the middle of an operation ("cannot switch to state …"):
        # no fault of the rows.
        asyncpg.InternalClientError,
        OSError,
        TimeoutError,
    ) as error:
        reason = str(error) or type(error).__name__
        raise DatabaseAwayError(f"the database does not answer: {reason}") from error
    except asyncpg.PostgresError as error:
        raise DatabaseRefusedError(f"{type(error).__name__}: {error}") from error
