"""Choices and names of the schema that need no database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fleet_writer.hypertables import hypertable_statements, policy_statements
from fleet_writer.metrics import WriterMetrics
from fleet_writer.migrations import ChunkMode, choose_chunk_mode, load_migrations, render
from fleet_writer.partitions import (
    attach_statement,
    parse_partition,
    partition_for,
    partitions_ahead,
    retention_days,
)
from fleet_writer.settings import RetentionSection, WriterSection
from fleet_writer.tables import FIRMWARE, INTERFACE, SAMPLE_TABLES


@pytest.mark.parametrize(
    ("recorded", "installed", "mode"),
    [
        (None, False, ChunkMode.NATIVE),
        (None, True, ChunkMode.TIMESCALEDB),
        ("native", True, ChunkMode.NATIVE),
        ("timescaledb", True, ChunkMode.TIMESCALEDB),
    ],
)
def test_timescaledb_is_chosen_where_it_is_and_what_was_chosen_stays(
    recorded: str | None,
    installed: bool,  # noqa: FBT001 - a column of the table above
    mode: ChunkMode,
) -> None:
    assert choose_chunk_mode(recorded=recorded, timescaledb_installed=installed) is mode


def test_tables_are_partitioned_natively_or_left_whole_for_timescaledb() -> None:
    (samples,) = [one for one in load_migrations() if one.name.endswith("_samples.sql")]

    native = render(samples.sql, ChunkMode.NATIVE)
    whole = render(samples.sql, ChunkMode.TIMESCALEDB)

    assert native.count(") PARTITION BY RANGE (slot);") == len(SAMPLE_TABLES)
    assert "PARTITION BY" not in whole.partition("CREATE TABLE")[2]


def test_every_sample_table_gets_a_hypertable_and_its_retention() -> None:
    retention = retention_days(RetentionSection(interface_samples_days=11))

    policies = policy_statements(retention)

    assert len([one for one in hypertable_statements() if "create_hypertable" in one]) == len(
        SAMPLE_TABLES
    )
    assert "SELECT add_retention_policy('interface_samples', INTERVAL '11 days')" in policies


@given(st.integers(0, 40_000), st.sampled_from(SAMPLE_TABLES))
def test_a_day_lies_in_exactly_one_partition_and_its_name_leads_back(
    day: int, table: object
) -> None:
    chosen = next(one for one in SAMPLE_TABLES if one is table)
    partition = partition_for(chosen, day)

    assert partition.first_day <= day < partition.end_day
    assert partition_for(chosen, partition.end_day - 1) == partition
    assert partition_for(chosen, partition.end_day).first_day == partition.end_day
    assert parse_partition(chosen, partition.name) == partition


def test_a_partitions_bounds_are_days_of_utc() -> None:
    assert attach_statement(partition_for(INTERFACE, 20_781)) == (
        "ALTER TABLE interface_samples ATTACH PARTITION interface_samples_p20261124 "
        "FOR VALUES FROM ('2026-11-24T00:00:00Z') TO ('2026-11-25T00:00:00Z')"
    )


@pytest.mark.parametrize(
    "name", ["interface_samples_pfoo", "interface_samples", "health_samples_p20261124", "x"]
)
def test_a_foreign_table_is_no_partition(name: str) -> None:
    assert parse_partition(INTERFACE, name) is None


def test_wide_partitions_are_made_once_for_all_their_days() -> None:
    ahead = partitions_ahead(20_781, 2)

    assert len([one for one in ahead if one.table is INTERFACE]) == 3
    assert len([one for one in ahead if one.table is FIRMWARE]) <= 2


def test_tenants_are_split_and_checked() -> None:
    assert WriterSection(tenants=" acme, zeta ,").tenant_ids == ("acme", "zeta")
    assert WriterSection().tenant_ids == ()
    with pytest.raises(ValidationError, match="not a DNS-1123 label"):
        WriterSection(tenants="acme,Bad_Name")


def test_every_metric_is_named_for_the_service_and_its_unit() -> None:
    for row in WriterMetrics().table:
        assert row.name.startswith("fleet_writer_")
        assert (row.type == "counter") == row.name.endswith("_total")
