"""TimescaleDB instead of our own partitions, where the database has the extension.

Not run by this project's tests: the extension is in none of the registries they install
from. What is tested is that the choice is made rightly and the statements are these.
Follows the API of TimescaleDB 2.18 and later (docs: Hypertables, Columnstore, Data
retention); every statement may be repeated.
"""

from collections.abc import Mapping
from typing import Final

from fleet_writer.tables import SAMPLE_TABLES

_COMPRESS_AFTER_DAYS: Final = 7


def hypertable_statements() -> list[str]:
    """After the tables are made: let TimescaleDB divide them."""
    statements: list[str] = []
    for table in SAMPLE_TABLES:
        statements += [
            (
                f"SELECT create_hypertable('{table.name}', "
                f"by_range('slot', INTERVAL '{table.partition_days} days'), if_not_exists => true)"
            ),
            (
                f"ALTER TABLE {table.name} SET (timescaledb.compress, "
                "timescaledb.compress_segmentby = 'device_id', "
                "timescaledb.compress_orderby = 'slot')"
            ),
            (
                f"SELECT add_compression_policy('{table.name}', "
                f"INTERVAL '{_COMPRESS_AFTER_DAYS} days', if_not_exists => true)"
            ),
        ]
    return statements


def policy_statements(retention: Mapping[str, int]) -> list[str]:
    """Each round: the present retention as TimescaleDB's policies."""
    statements: list[str] = []
    for table in SAMPLE_TABLES:
        statements += [
            f"SELECT remove_retention_policy('{table.name}', if_exists => true)",
            f"SELECT add_retention_policy('{table.name}', INTERVAL '{retention[table.name]} days')",
        ]
    return statements
