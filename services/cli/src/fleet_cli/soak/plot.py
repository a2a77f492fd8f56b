"""The picture of a soak: what the broker, its readers and the data did, hour by hour.

matplotlib is an extra (`fleet-cli[plot]`): imported when a picture is made, not before.
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from fleet_cli.soak.model import Sample, SoakRun
from fleet_cli.soak.options import Mode

type Panel = Any
"""matplotlib's Axes, whose methods take untyped keywords."""

_MB: Final = 1_000_000
_COLOURS: Final = {Mode.NAIVE: "#c8352c", Mode.PLANNED: "#1d5fa8", Mode.HEAL: "#2b8a4b"}
_NAMES: Final = {
    Mode.NAIVE: "naive: 24 h of age, no limit in bytes",
    Mode.PLANNED: "planned: sized by the planner from the start",
    Mode.HEAL: "healed: naive, then the plan applied to the full live server",
}
_GREY: Final = "#6b7280"
_HEAL_STYLE: Final = (0, (5, 2))


def plotting_is_possible() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(runs: Sequence[SoakRun], out: Path) -> None:
    """Write soak.svg and soak.png."""
    import matplotlib as mpl  # noqa: PLC0415 - an optional extra
    from matplotlib.figure import Figure  # noqa: PLC0415

    library: Any = mpl
    with library.rc_context({"font.size": 9.5, "svg.hashsalt": "soak", "axes.titlesize": 10.5}):
        figure: Any = Figure(figsize=(10, 11.2), facecolor="white", layout="constrained")
        panels = figure.subplots(4, 1, sharex=True)
        _stream_bytes(panels[0], runs)
        _server_memory(panels[1], runs)
        _window(panels[2], runs)
        _age(panels[3], runs)
        longest = max((run.hours for run in runs), default=1.0)
        panels[3].set_xlabel("simulated hours")
        panels[3].set_xlim(0, longest)
        if longest <= 30:  # noqa: PLR2004 - beyond a day or so matplotlib's own ticks are better
            panels[3].set_xticks(range(0, int(longest) + 1, 2))
        for panel in panels:
            _mark(panel, runs)
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside upper left", ncols=1, frameon=False, title=_title(runs),
            title_fontproperties={"size": 11.5, "weight": "bold"}, alignment="left",
        )  # fmt: skip
        for ending in ("svg", "png"):
            metadata = {"Date": None} if ending == "svg" else None
            figure.savefig(out / f"soak.{ending}", dpi=110, metadata=metadata)


def _title(runs: Sequence[SoakRun]) -> str:
    if not runs:
        return "no run"
    run = runs[0]
    polls = max(sum(one.polls.values()) for one in runs)
    return (
        f"{run.hours:g} simulated hours, {polls:,} polls each, "
        f"one broker with {run.limit_bytes / _MB:g} MB"
    )


def _line(panel: Panel, run: SoakRun, value: Callable[[Sample], float]) -> None:
    hours = [sample.hour for sample in run.samples]
    panel.plot(
        hours,
        [value(sample) for sample in run.samples],
        color=_COLOURS[run.mode],
        label=_NAMES[run.mode],
        linewidth=1.9,
        linestyle=_HEAL_STYLE if run.mode is Mode.HEAL else "-",
        zorder=3 if run.mode is Mode.HEAL else 2,
    )


def _dress(panel: Panel, title: str, unit: str) -> None:
    panel.set_title(title, loc="left")
    panel.set_ylabel(unit)
    panel.set_ylim(bottom=0)
    panel.grid(visible=True, color="#e5e7eb", linewidth=0.8)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _stream_bytes(panel: Panel, runs: Sequence[SoakRun]) -> None:
    for run in runs:
        _line(panel, run, lambda sample: sample.stream_bytes / _MB)
    limit = max((run.limit_bytes for run in runs), default=0) / _MB
    panel.axhline(limit, color="#111827", linewidth=1, linestyle=":")
    panel.text(0.1, limit * 1.02, f"the broker's limit, {limit:g} MB", color="#111827", va="bottom")
    _dress(panel, "Bytes in the streams", "MB")
    panel.set_ylim(0, limit * 1.18)
    _say_when_full(panel, runs, limit)
    for run in runs:
        if run.healed_hour is not None:
            _say_healed(panel, run)
        elif run.mode is Mode.PLANNED and run.samples and run.samples[-1].max_bytes:
            planned = run.samples[-1].max_bytes / _MB
            panel.text(
                run.hours, planned * 0.96, f"planned limit {planned:.0f} MB",
                color=_COLOURS[Mode.PLANNED], ha="right", va="top",
            )  # fmt: skip


def _say_healed(panel: Panel, run: SoakRun) -> None:
    trims = run.trims[: len(run.accounts)]  # the heal's own; later ones are re-plans
    before = sum(one.bytes_before for one in trims) / _MB
    after = sum(one.bytes_after for one in trims) / _MB
    unstored = sum(one.unstored for one in trims)
    panel.text(
        run.healed_hour or 0.0,
        after * 0.97,
        f"  plan applied: {before:.0f} → {after:.0f} MB at once;\n"
        f"  dropped before it was stored: {unstored}",
        color=_COLOURS[Mode.HEAL],
        va="top",
    )


def _server_memory(panel: Panel, runs: Sequence[SoakRun]) -> None:
    for run in runs:
        _line(panel, run, lambda sample: sample.server_rss_bytes / _MB)
    _dress(panel, "Memory of nats-server (resident)", "MB")


def _window(panel: Panel, runs: Sequence[SoakRun]) -> None:
    for run in runs:
        _line(panel, run, lambda sample: sample.window_hours)
    _dress(panel, "Replay window: how far back the oldest event in a stream is", "hours")
    for run in runs:
        if run.mode is Mode.NAIVE and run.full_hour is not None and run.samples:
            panel.text(
                0.01 * run.hours,
                0.9 * run.hours,
                f"naive: from hour {run.full_hour:.1f} on old events only, nothing new enters",
                color=_COLOURS[Mode.NAIVE],
                va="top",
            )


def _age(panel: Panel, runs: Sequence[SoakRun]) -> None:
    for run in runs:
        _line(panel, run, lambda sample: sample.age_hours)
    _dress(panel, "Lag: age of the newest row in PostgreSQL", "hours")
    for run in runs:
        overflow = next((s for s in run.samples if s.dropped), None)
        if overflow is not None:
            panel.annotate(
                f"pollers' buffers overflow at hour {overflow.hour:.1f};\n"
                f"{run.samples[-1].dropped:,} events gone by the end",
                (overflow.hour, overflow.age_hours),
                (overflow.hour + 0.02 * run.hours, overflow.age_hours),
                color=_COLOURS[run.mode],
                va="top",
            )
            panel.plot(
                [overflow.hour], [overflow.age_hours], "o", color=_COLOURS[run.mode], markersize=5
            )


def _mark(panel: Panel, runs: Sequence[SoakRun]) -> None:
    """The hour when the broker was full, through all panels."""
    for run in runs:
        if run.full_hour is not None:
            panel.axvline(run.full_hour, color=_GREY, linewidth=0.9, linestyle=":", zorder=1)


def _say_when_full(panel: Panel, runs: Sequence[SoakRun], top: float) -> None:
    full = [run for run in runs if run.full_hour is not None]
    if full:
        hour = min(run.full_hour or 0.0 for run in full)
        panel.text(
            hour + 0.008 * full[0].hours,
            top * 0.03,
            f"full at hour {hour:.1f}: from here on the naive broker\n"
            "refuses every event, of every stream (err_code 10023)",
            color=_COLOURS[Mode.NAIVE],
            va="bottom",
        )
