"""Time partitions of the sample tables: made before they are needed, dropped when they are old.

Rows go straight into their partition, so a row is never turned away for want of one and
there is no default partition (rows in one would block the making of the right one).
Names and bounds are pure functions of (table, day): every process comes to the same.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from fleet_writer.database import Connection
from fleet_writer.errors import DatabaseRefusedError
from fleet_writer.migrations import ChunkMode
from fleet_writer.settings import RetentionSection
from fleet_writer.tables import SAMPLE_TABLES, SampleTable

_log = logging.getLogger(__name__)

DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1)
_LOCK: Final = "fleet_writer/partitions"


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition; `first_day` and `end_day` count days from 1970-01-01, end excluded."""

    table: SampleTable
    first_day: int

    @property
    def end_day(self) -> int:
        """The first day behind it."""
        return self.first_day + self.table.partition_days

    def bounds(self) -> tuple[str, str]:
        """Its first moment and the first behind it, as SQL takes them."""
        first, end = day_date(self.first_day), day_date(self.end_day)
        return f"{first}T00:00:00Z", f"{end}T00:00:00Z"

    @property
    def name(self) -> str:
        """`interface_samples_p20261124`."""
        return f"{self.table.name}_p{day_date(self.first_day):%Y%m%d}"


def day_date(day: int) -> date:
    """The calendar day (UTC)."""
    return _EPOCH + timedelta(days=day)


def today() -> int:
    """Days from 1970-01-01 until now."""
    return (datetime.now(UTC).date() - _EPOCH).days


def partition_for(table: SampleTable, day: int) -> Partition:
    """The partition that holds a day."""
    return Partition(table, day - day % table.partition_days)


def retention_days(settings: RetentionSection) -> dict[str, int]:
    """Days by table name."""
    return {table.name: getattr(settings, table.retention_setting) for table in SAMPLE_TABLES}


def parse_partition(table: SampleTable, name: str) -> Partition | None:
    """The partition of that name; None when the name is not one of ours."""
    prefix = f"{table.name}_p"
    try:
        first = datetime.strptime(name.removeprefix(prefix), "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None
    partition = Partition(table, (first - _EPOCH).days)
    return partition if partition.name == name else None


class Partitions:
    """What partitions there are, as far as this process knows."""

    def __init__(self, mode: ChunkMode) -> None:
        self.mode = mode
        self._known: set[str] = set()

    def begin(self, mode: ChunkMode) -> None:
        """Forget what there was: by the next session the database may be another one.

        It may have been restored from a backup or made anew, and a partition dropped by
        another writer or by hand.
        """
        self.mode = mode
        self._known.clear()

    def target(self, partition: Partition) -> str:
        """The table that rows of this partition are copied to."""
        return partition.name if self.mode is ChunkMode.NATIVE else partition.table.name

    def missing(self, wanted: Iterable[Partition]) -> list[Partition]:
        """Those that must be made before rows can go in."""
        if self.mode is not ChunkMode.NATIVE:
            return []
        return [partition for partition in wanted if partition.name not in self._known]

    async def make(self, connection: Connection, wanted: Iterable[Partition]) -> int:
        """Make those that are missing, in a transaction of their own; returns how many.

        Made apart and then attached: attaching lets readers and writers of the parent go
        on, where CREATE TABLE … PARTITION OF would shut them out. The caller holds the
        connection's lock.
        """
        missing = self.missing(wanted)
        if not missing:
            return 0
        made = 0
        async with connection.transaction():
            await _lock(connection)
            existing = await _existing(connection)
            for partition in missing:
                if partition.name in existing:
                    continue
                await connection.execute(create_statement(partition))
                await connection.execute(attach_statement(partition))
                made += 1
        self._known.update(partition.name for partition in missing)
        return made

    async def existing(
        self, connection: Connection, retention: Mapping[str, int], current_day: int
    ) -> list[Partition]:
        """Those there are; of tables that TimescaleDB divides, those there may be.

        The caller holds the connection's lock.
        """
        if self.mode is not ChunkMode.NATIVE:
            wanted = {
                partition_for(table, day): None
                for table in SAMPLE_TABLES
                for day in range(current_day - retention[table.name], current_day + 1)
            }
            return list(wanted)
        names = await _existing(connection)
        parsed = (parse_partition(table, name) for table in SAMPLE_TABLES for name in names)
        return [partition for partition in parsed if partition is not None]

    async def drop_expired(
        self, connection: Connection, retention: Mapping[str, int], current_day: int
    ) -> list[Partition]:
        """Drop partitions that lie wholly before their table's retention; returns them.

        Each drop waits two seconds at most for readers: it would queue everyone else
        behind it. What could not be dropped is tried again next time.
        """
        if self.mode is not ChunkMode.NATIVE:
            return []
        async with connection.lock:
            names = await _existing(connection)
        dropped: list[Partition] = []
        for table in SAMPLE_TABLES:
            oldest_day = current_day - retention[table.name]
            for name in sorted(names):
                partition = parse_partition(table, name)
                if partition is None or partition.end_day > oldest_day:
                    continue
                try:
                    async with connection.lock, connection.transaction():
                        await connection.execute("SET LOCAL lock_timeout = '2s'")
                        await connection.execute(f"DROP TABLE {name}")
                except DatabaseRefusedError as error:
                    _log.warning(
                        "old partition not dropped; trying again next round",
                        extra={"partition": name, "reason": str(error)},
                    )
                    continue
                self._known.discard(name)
                dropped.append(partition)
                _log.info(
                    "dropped an old partition",
                    extra={"partition": name, "retention_days": retention[table.name]},
                )
        return dropped


def create_statement(partition: Partition) -> str:
    """The partition as a table of its own."""
    return f"CREATE TABLE {partition.name} (LIKE {partition.table.name} INCLUDING ALL)"


def attach_statement(partition: Partition) -> str:
    """Make it a part of its table."""
    first, end = partition.bounds()
    return (
        f"ALTER TABLE {partition.table.name} ATTACH PARTITION {partition.name} "
        f"FOR VALUES FROM ('{first}') TO ('{end}')"
    )


def partitions_ahead(current_day: int, ahead_days: int) -> list[Partition]:
    """Every table's partitions from today to `ahead_days` days from now."""
    wanted = {
        partition_for(table, day): None
        for table in SAMPLE_TABLES
        for day in range(current_day, current_day + ahead_days + 1)
    }
    return list(wanted)


async def _lock(connection: Connection) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", _LOCK)


async def _existing(connection: Connection) -> set[str]:
    rows = await connection.fetch(
        "SELECT child.relname AS name FROM pg_inherits "
        "JOIN pg_class child ON child.oid = inhrelid "
        "JOIN pg_class parent ON parent.oid = inhparent "
        "WHERE parent.relname = ANY($1)",
        [table.name for table in SAMPLE_TABLES],
    )
    return {row["name"] for row in rows}
