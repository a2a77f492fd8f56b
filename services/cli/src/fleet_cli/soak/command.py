"""`routerfleet soak`: from options to runs, files and an exit code."""

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from fleet_cli.console import RunConsole
from fleet_cli.expected import EXIT_BAD_INPUT, EXIT_FAILED, exit_code_of
from fleet_cli.parameters import bytes_of, seconds_of
from fleet_cli.soak.model import SoakRun, run_from_json
from fleet_cli.soak.options import DEFAULT_WINDOW_SECONDS, LONGEST_HOURS, Mode, SoakOptions
from fleet_cli.soak.plot import draw, plotting_is_possible
from fleet_cli.soak.report import RunTable, comparison, conclusion
from fleet_cli.soak.run import Soak
from fleet_common.errors import FleetError
from fleet_common.logs import configure_logging
from fleet_common.settings import LogSection

_RESULTS: Final = "soak.json"
_DEFAULT_OUT: Final = Path(".soak")


def soak_command(  # noqa: PLR0913 - one parameter for each option
    *,
    naive: Annotated[
        bool, typer.Option("--naive", help="The incident's configuration: see it die.")
    ] = False,
    heal: Annotated[
        bool,
        typer.Option("--heal", help="Begin as --naive, apply the plan to the full live server."),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Naive, planned and heal, one after the other.")
    ] = False,
    devices: Annotated[int, typer.Option(min=1, max=5000, help="Simulated routers.")] = 101,
    tenants: Annotated[int, typer.Option(min=1, max=50, help="Tenants, a stream each.")] = 3,
    hours: Annotated[
        float, typer.Option(min=0.05, max=LONGEST_HOURS, help="Simulated hours, ending now.")
    ] = 24.0,
    wire_hours: Annotated[
        float,
        typer.Option(
            min=0,
            help="Of these, the first ones that are polled over TCP from a simulator process; "
            "the rest takes the same way without a socket.",
        ),
    ] = 1.0,
    heal_after: Annotated[
        float,
        typer.Option(
            min=0, help="With --heal: simulated hours from the first refusal to the plan."
        ),
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same fleet.")] = 1,
    limit: Annotated[
        int,
        typer.Option(parser=bytes_of, metavar="SIZE", help="The broker's memory and file limit."),
    ] = 128_000_000,  # pyright: ignore[reportArgumentType]
    window: Annotated[
        float | None,
        typer.Option(
            parser=seconds_of, metavar="DURATION", help="Wanted replay window. Default: 6h."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Where soak.json, soak.svg and soak.png go.")
    ] = _DEFAULT_OUT,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output at the end.")
    ] = False,
) -> None:
    """A simulated day in minutes: real broker, writer, database and gateway, a virtual clock.

    Without a mode the planned configuration runs. Exits with 1 when a planned or healed run
    loses or doubles an event, or goes above a limit; with 2 on bad input.
    """
    if sum((naive, heal, everything)) > 1:
        raise typer.BadParameter("give only one of --naive, --heal and --all")
    if devices < tenants:
        raise typer.BadParameter(f"{devices} devices cannot be spread over {tenants} tenants")
    options = SoakOptions(
        out=out,
        modes=_modes(naive=naive, heal=heal, everything=everything),
        devices=devices,
        tenants=tenants,
        hours=hours,
        wire_hours=wire_hours,
        heal_after_hours=heal_after,
        seed=seed,
        limit_bytes=limit,
        window_seconds=DEFAULT_WINDOW_SECONDS if window is None else window,
    )
    code = run_soak(options, as_json=as_json)
    if code:
        raise typer.Exit(code)


def _modes(*, naive: bool, heal: bool, everything: bool) -> tuple[Mode, ...]:
    if everything:
        return (Mode.NAIVE, Mode.PLANNED, Mode.HEAL)
    if naive:
        return (Mode.NAIVE,)
    return (Mode.HEAL,) if heal else (Mode.PLANNED,)


def run_soak(options: SoakOptions, *, as_json: bool) -> int:
    """Run all modes; returns the exit code."""
    configure_logging("soak", LogSection(level="WARNING", format="text"))
    logging.getLogger("fleet_common.broker").setLevel(logging.ERROR)
    # Refusals by the thousand are what the naive run is about; its table counts them.
    logging.getLogger("fleet_poller").setLevel(logging.ERROR)
    rich_console = Console(stderr=as_json, highlight=False)
    console = RunConsole(rich_console)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        runs = asyncio.run(_run_all(options, console, RunTable(rich_console)))
    except OSError as error:
        sys.stderr.write(f"--out {options.out}: {error.strerror or error}\n")
        return EXIT_BAD_INPUT
    except (FleetError, ExceptionGroup) as error:
        return exit_code_of(error)
    if runs is None:
        console.warn("stopped; nothing was written")
        return EXIT_FAILED
    results = merge(options, read_results(options.out / _RESULTS), runs)
    (options.out / _RESULTS).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    shown = [run_from_json(one) for one in results["runs"]]
    if plotting_is_possible():
        draw(shown, options.out)
        console.say(f"{options.out / _RESULTS}, soak.svg and soak.png written")
    else:
        console.warn("no picture: `pip install fleet-cli[plot]` installs matplotlib")
    rich_console.print(comparison(shown))
    if as_json:
        sys.stdout.write(json.dumps(results) + "\n")
        sys.stdout.flush()
    return EXIT_FAILED if any(run.problems() for run in runs) else 0


async def _run_all(
    options: SoakOptions, console: RunConsole, table: RunTable
) -> list[SoakRun] | None:
    """None when told to stop."""
    current = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: current and current.cancel())
    runs: list[SoakRun] = []
    try:
        for mode in options.modes:
            table.begin(mode)
            run = await Soak(options, mode, console, table).run()
            runs.append(run)
            for line in conclusion(run):
                console.say(line)
            for line in run.problems():
                console.warn(line)
    except asyncio.CancelledError:
        return None
    return runs


def settings_of(options: SoakOptions) -> dict[str, Any]:
    """What runs must have in common to be shown side by side."""
    return {
        "devices": options.devices,
        "tenants": options.tenants,
        "hours": options.hours,
        "wire_hours": options.wire_hours,
        "seed": options.seed,
        "limit_bytes": options.limit_bytes,
        "window_seconds": options.window_seconds,
        "clock": "virtual: the hours are simulated; ages (max_age 24 h naive, twice the window "
        "planned) run on the real clock and are never reached, bytes alone discard",
    }


def merge(
    options: SoakOptions, before: dict[str, Any] | None, runs: list[SoakRun]
) -> dict[str, Any]:
    """These runs, and those of other modes that an earlier soak of the same settings left."""
    settings = settings_of(options)
    kept: dict[str, Any] = {}
    if before is not None and before.get("settings") == settings:
        kept = {one["mode"]: one for one in before["runs"]}
    kept |= {run.mode.value: run.to_json() for run in runs}
    return {
        "version": 1,
        "settings": settings,
        "runs": [kept[mode.value] for mode in Mode if mode.value in kept],
    }


def read_results(path: Path) -> dict[str, Any] | None:
    """An earlier soak's results; None where there are none, or not ours."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        for one in body["runs"]:
            run_from_json(one)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return body
