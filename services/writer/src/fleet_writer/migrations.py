"""Forward-only schema migrations: numbered .sql files, applied under an advisory lock.

Each applied file is recorded with its checksum. Starting against a database that a
newer release migrated, or whose applied files differ from the code's, is refused.
Any number of processes may start at once: one migrates, the others wait for it.
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import Final

from fleet_writer.database import Connection
from fleet_writer.errors import MigrationChangedError, SchemaTooNewError
from fleet_writer.hypertables import hypertable_statements

_log = logging.getLogger(__name__)

_LOCK: Final = "fleet_writer/migrations"
_FILE: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class ChunkMode(StrEnum):
    """Who divides the sample tables by time; chosen once, at the first migration."""

    NATIVE = "native"
    TIMESCALEDB = "timescaledb"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations() -> list[Migration]:
    """The code's migrations in order; raises ValueError for a gap or a stray name."""
    found: list[Migration] = []
    for entry in resources.files("fleet_writer").joinpath("migrations").iterdir():
        match = _FILE.fullmatch(entry.name)
        if match is None:
            raise ValueError(f"migrations/{entry.name}: not NNNN_name.sql")
        found.append(Migration(int(match[1]), entry.name, entry.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError("migrations: numbers are not 1, 2, 3, …")
    return found


async def migrate(
    connection: Connection, migrations: Sequence[Migration] | None = None
) -> ChunkMode:
    """Bring the schema to the code's version; waits for another process doing so.

    Raises SchemaTooNewError, MigrationChangedError, or what the database says.
    """
    wanted = load_migrations() if migrations is None else list(migrations)
    async with connection.lock, connection.transaction():
        # Held to the end of the transaction: all files or none.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", _LOCK)
        mode = await _prepare(connection)
        applied = {
            row["version"]: (row["name"], row["checksum"])
            for row in await connection.fetch(
                "SELECT version, name, checksum FROM schema_migrations ORDER BY version"
            )
        }
        _check(applied, wanted)
        for migration in wanted:
            if migration.version in applied:
                continue
            await connection.execute(render(migration.sql, mode))
            await connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                migration.version,
                migration.name,
                migration.checksum,
            )
            _log.info("migrated", extra={"migration": migration.name, "chunks": mode.value})
        if mode is ChunkMode.TIMESCALEDB:
            for statement in hypertable_statements():
                await connection.execute(statement)
    return mode


def render(sql: str, mode: ChunkMode) -> str:
    """The SQL for a way of dividing tables by time."""
    clause = "PARTITION BY RANGE (slot)" if mode is ChunkMode.NATIVE else ""
    return sql.replace("{{partition_by_slot}}", clause)


def choose_chunk_mode(*, recorded: str | None, timescaledb_installed: bool) -> ChunkMode:
    """What was chosen before stays: a partitioned table cannot become a hypertable in place."""
    if recorded is not None:
        return ChunkMode(recorded)
    return ChunkMode.TIMESCALEDB if timescaledb_installed else ChunkMode.NATIVE


async def _prepare(connection: Connection) -> ChunkMode:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        "version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
        "applied_at timestamptz NOT NULL DEFAULT now())"
    )
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS chunk_mode ("
        "only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), mode text NOT NULL)"
    )
    recorded = await connection.fetch_value("SELECT mode FROM chunk_mode")
    # Installed in this database, not merely on the server's disk: creating the extension
    # needs a superuser and a preloaded library, and is the administrator's decision.
    installed = await connection.fetch_value(
        "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')"
    )
    mode = choose_chunk_mode(recorded=recorded, timescaledb_installed=bool(installed))
    if recorded is None:
        await connection.execute("INSERT INTO chunk_mode (mode) VALUES ($1)", mode.value)
    return mode


def _check(applied: dict[int, tuple[str, str]], wanted: Sequence[Migration]) -> None:
    newest = max(applied, default=0)
    if newest > len(wanted):
        raise SchemaTooNewError(
            f"the database is at schema version {newest}, this release knows {len(wanted)}: "
            "run the newer release, or restore a backup made before the upgrade"
        )
    for migration in wanted:
        name, checksum = applied.get(migration.version, (migration.name, migration.checksum))
        if checksum != migration.checksum:
            raise MigrationChangedError(
                f"migration {migration.version} was applied as {name} with another content "
                f"than {migration.name} has now: applied migrations must not be edited"
            )
