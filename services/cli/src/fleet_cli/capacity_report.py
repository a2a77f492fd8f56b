"""The capacity model's answer, as tables for people and as JSON."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleet_cli.words import counted
from fleet_common.capacity import Capacity, FleetCapacity
from fleet_common.planning import HEADROOM
from fleet_common.units import format_about, format_duration, format_size

_HOUR_SECONDS = 3600.0


def to_json(result: Capacity) -> dict[str, object]:
    """One object; numbers are numbers, units in the names, null: never."""
    return {
        "devices": result.devices,
        "tenants": len(result.fleets),
        "interfaces": result.interfaces,
        "budget_bytes": result.budget_bytes,
        "messages_per_day": round(result.messages_per_day),
        "stream_bytes_per_day": round(result.bytes_per_day),
        "hours_to_fill_budget": result.hours_to_fill_budget,
        "kinds": {
            one.kind.value: {
                "messages_per_day": round(one.messages_per_day),
                "message_bytes": one.message_bytes,
                "bytes_per_day": round(one.bytes_per_day),
            }
            for one in result.kinds
        },
        "fleets": {one.plan.tenant: _fleet_json(one) for one in result.fleets},
        "max_bytes": sum(one.plan.max_bytes for one in result.fleets),
        "shards": sum(one.shards for one in result.fleets),
        "server_memory_bytes": result.server_memory_bytes,
        "table_bytes_per_day": round(result.table_bytes_per_day),
        "table_bytes_at_retention": round(sum(one.bytes_at_retention for one in result.tables)),
        "tables": {
            one.table: {
                "rows_per_day": round(one.rows_per_day),
                "bytes_per_day": round(one.bytes_per_day),
                "retention_days": one.retention_days,
                "bytes_at_retention": round(one.bytes_at_retention),
            }
            for one in result.tables
        },
        "naive": {
            "messages_per_day": round(result.naive_messages_per_day),
            "bytes_per_day": round(result.naive_bytes_per_day),
            "hours_to_fill_budget": result.naive_hours_to_fill_budget,
        },
    }


def _fleet_json(one: FleetCapacity) -> dict[str, object]:
    plan = one.plan
    return {
        "devices": plan.devices,
        "messages_per_day": round(one.messages_per_day),
        "bytes_per_day": round(one.bytes_per_day),
        "wanted_bytes": plan.wanted_bytes,
        "max_bytes": plan.max_bytes,
        "max_age_seconds": plan.definition.max_age_seconds,
        "duplicate_window_seconds": plan.definition.duplicate_window_seconds,
        "wanted_window_seconds": plan.wanted_window_seconds,
        "resulting_window_seconds": plan.resulting_window_seconds,
        "reason": plan.reason.value,
        "sentence": plan.sentence,
        "conditions": [
            {"type": condition.type.value, "message": condition.message}
            for condition in plan.conditions
        ],
        "hours_to_fill_stream": one.hours_to_fill_stream,
        "shards": one.shards,
    }


def show(result: Capacity, console: Console) -> None:
    """Tables from the events to the disk, and the incident's configuration beside them."""
    console.print(
        f"{counted(result.devices, 'device')} of {counted(len(result.fleets), 'tenant')}, "
        f"{counted(result.interfaces, 'interface')} each; "
        f"{format_size(result.budget_bytes)} for all streams"
    )
    console.print(_kinds(result))
    console.print(_streams(result.fleets))
    console.print(_tables(result))
    for line in _lines(result):
        console.print(Text(line), soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        if number == 0:
            # A name that lost its end may be another's: what lacks room goes on below.
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", no_wrap=True)
    return table


def _kinds(result: Capacity) -> Table:
    table = _table("Events", "kind", "messages a day", "bytes each", "a day")
    for one in result.kinds:
        table.add_row(
            one.kind.value,
            f"{one.messages_per_day:,.0f}",
            f"{one.message_bytes:,.0f}",
            format_size(one.bytes_per_day),
        )
    table.add_section()
    table.add_row("all", f"{result.messages_per_day:,.0f}", "", format_size(result.bytes_per_day))
    return table


def _streams(fleets: Sequence[FleetCapacity]) -> Table:
    table = _table(
        "Streams", "tenant", "devices", "max_bytes", "replay\nwindow", "wanted", "full\nafter",
        "pollers", "reason",
    )  # fmt: skip
    for one in fleets:
        plan = one.plan
        window = format_about(plan.resulting_window_seconds)
        table.add_row(
            plan.tenant,
            f"{plan.devices:,}",
            format_size(plan.max_bytes),
            Text(window, style="yellow" if plan.shortened else ""),
            format_duration(plan.wanted_window_seconds),
            _after(one.hours_to_fill_stream),
            str(one.shards),
            plan.reason.value,
        )
    return table


def _tables(result: Capacity) -> Table:
    table = _table("PostgreSQL", "table", "rows a day", "a day", "kept", "then holds")
    for one in result.tables:
        table.add_row(
            one.table,
            f"{one.rows_per_day:,.0f}",
            format_size(one.bytes_per_day),
            f"{one.retention_days} d",
            format_size(one.bytes_at_retention),
        )
    table.add_section()
    table.add_row(
        "all",
        f"{sum(one.rows_per_day for one in result.tables):,.0f}",
        format_size(result.table_bytes_per_day),
        "",
        format_size(sum(one.bytes_at_retention for one in result.tables)),
    )
    return table


def _lines(result: Capacity) -> list[str]:
    budget = format_size(result.budget_bytes)
    headroom = (
        f"Streams are sized for the wanted window and {HEADROOM - 1:.0%} more, with every kind "
        "on every device; routers without wireless send less."
    )
    memory = (
        f"nats-server needs {format_size(result.server_memory_bytes)} of memory for these streams."
    )
    unbounded = (
        f"Without max_bytes, bounded by 24 h of age alone, these events would fill {budget} "
        f"{_when(result.hours_to_fill_budget)}."
    )
    incident = (
        "The incident's configuration (5 messages a poll, 24 h, no max_bytes, in memory): "
        f"{result.naive_messages_per_day:,.0f} messages and "
        f"{result.naive_bytes_per_day / 1e6:,.0f} MB a day would fill {budget} "
        f"{_when(result.naive_hours_to_fill_budget)}."
    )
    lines = [headroom, memory, unbounded, incident]
    lines += [
        f"{one.plan.tenant}: {condition.message}"
        for one in result.fleets
        for condition in one.plan.conditions
    ]
    return lines


def _after(hours: float | None) -> str:
    return "never" if hours is None else format_about(hours * _HOUR_SECONDS)


def _when(hours: float | None) -> str:
    return "never: age discards before" if hours is None else f"after {hours:.1f} hours"
