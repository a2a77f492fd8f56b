"""A run for people: the table while it goes on, and what came of it."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleet_cli.soak.model import Sample, SoakRun
from fleet_cli.soak.options import Mode
from fleet_common.units import format_size

_TITLES = {
    Mode.NAIVE: "naive: 24 h of age, no limit in bytes, in memory, events of the incident's size",
    Mode.PLANNED: "planned: streams sized by the planner",
    Mode.HEAL: "heal: naive until the broker refuses events, then the plan applied live",
}
_COLUMNS = (
    ("hour", 6), ("way", 6), ("streams", 9), ("limit", 9), ("server RSS", 10), ("window", 7),
    ("data age", 8), ("unstored", 8), ("waiting", 8), ("dropped", 8), ("stored", 9),
    ("SSE", 8),
)  # fmt: skip


class RunTable:
    """One line a sample, aligned; on a terminal in colour."""

    def __init__(self, console: Console, every: int = 6) -> None:
        self._console = console
        self._every = every
        self._seen = 0

    def begin(self, mode: Mode) -> None:
        """Title and column names."""
        self._seen = 0
        self._console.print(Text(_TITLES[mode], style="bold"), soft_wrap=True)
        names = "  ".join(name.rjust(width) for name, width in _COLUMNS)
        self._console.print(Text(names, style="dim"), soft_wrap=True)

    def row(self, sample: Sample) -> None:
        """A sample; every sixth is shown."""
        self._seen += 1
        if (self._seen - 1) % self._every:
            return
        cells = "  ".join(
            cell.rjust(width) for cell, (_, width) in zip(cells_of(sample), _COLUMNS, strict=True)
        )
        style = "red" if sample.waiting > sample.unstored and sample.age_hours > 1 else ""
        self._console.print(Text(cells, style=style), soft_wrap=True)


def cells_of(sample: Sample) -> tuple[str, ...]:
    """A sample as text, column by column."""
    return (
        f"{sample.hour:.1f}",
        sample.source,
        format_size(sample.stream_bytes),
        "none" if sample.max_bytes is None else format_size(sample.max_bytes),
        format_size(sample.server_rss_bytes),
        f"{sample.window_hours:.1f} h",
        f"{sample.age_hours:.1f} h",
        str(sample.unstored),
        str(sample.waiting),
        str(sample.dropped),
        str(sample.stored),
        str(sample.sse_events),
    )


def conclusion(run: SoakRun) -> list[str]:
    """What came of a run, in sentences."""
    made = sum(one.made for one in run.accounts)
    stored = sum(one.stored for one in run.accounts)
    ways = ", ".join(f"{count} {way}" for way, count in sorted(run.polls.items(), reverse=True))
    wire = f"hours 0 to {run.wire_hours:g} over TCP and the RouterOS protocol"
    rest = f"hours {run.wire_hours:g} to {run.hours:g} by the same code without a socket"
    lines = [
        f"{run.hours:g} simulated hours in {run.seconds:.0f} s; polls: {ways} ({wire}; {rest})",
        f"{made} events made, {stored} stored, {run.lost} lost, {run.duplicates} rows doubled",
    ]
    if run.full_hour is not None:
        lines.append(f"the broker was full at hour {run.full_hour:.1f}")
    elif run.mode is Mode.NAIVE:
        lines.append("the broker did not fill up within the run")
    if run.healed_hour is not None and run.trims:
        before = sum(trim.bytes_before for trim in run.trims)
        after = sum(trim.bytes_after for trim in run.trims)
        dropped = sum(trim.dropped_messages for trim in run.trims)
        unstored = sum(trim.unstored for trim in run.trims)
        lines.append(
            f"healed at hour {run.healed_hour:.1f}: {format_size(before)} trimmed to "
            f"{format_size(after)}, {dropped} messages dropped, {unstored} of them not stored"
        )
    return lines


def comparison(runs: Sequence[SoakRun]) -> Table:
    """The runs side by side."""
    table = Table(title="soak", title_justify="left")
    table.add_column("")
    for run in runs:
        table.add_column(run.mode.value, justify="right")
    for name, cells in _comparison_rows(runs):
        table.add_row(name, *cells)
    return table


def _comparison_rows(runs: Sequence[SoakRun]) -> list[tuple[str, list[str]]]:
    def of(value: object) -> str:
        return "-" if value is None else str(value)

    return [
        ("broker full at hour", [of(run.full_hour and round(run.full_hour, 1)) for run in runs]),
        (
            "most stream bytes",
            [format_size(max((s.stream_bytes for s in run.samples), default=0)) for run in runs],
        ),
        (
            "most server RSS",
            [
                format_size(max((s.server_rss_bytes for s in run.samples), default=0))
                for run in runs
            ],
        ),
        (
            "replay window at the end",
            [f"{run.samples[-1].window_hours:.1f} h" if run.samples else "-" for run in runs],
        ),
        (
            "data age at the end",
            [f"{run.samples[-1].age_hours:.1f} h" if run.samples else "-" for run in runs],
        ),
        ("events made", [of(sum(one.made for one in run.accounts)) for run in runs]),
        ("stored", [of(sum(one.stored for one in run.accounts)) for run in runs]),
        ("waiting in pollers", [of(sum(one.waiting for one in run.accounts)) for run in runs]),
        ("lost", [of(run.lost) for run in runs]),
        ("doubled", [of(run.duplicates) for run in runs]),
    ]
