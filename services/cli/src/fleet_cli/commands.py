"""The command line: options to values, nothing more."""

from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from fleet_cli.capacity_command import capacity_command
from fleet_cli.demo_command import run_demo
from fleet_cli.doctor_command import doctor
from fleet_cli.events_command import tail_events
from fleet_cli.options import (
    DEFAULT_BUDGET_BYTES,
    DEFAULT_INTERVAL_SECONDS,
    DEFAULT_RESTART_DELAY_SECONDS,
    DemoOptions,
)
from fleet_cli.parameters import DEFAULT_DATA_DIR, bytes_of, interval_of, seconds_of
from fleet_cli.shards import MAX_SHARDS
from fleet_cli.shards_command import shards_command
from fleet_cli.soak.command import soak_command
from fleet_cli.verify_command import verify


def build_app() -> typer.Typer:
    """All commands."""
    app = typer.Typer(
        name="routerfleet",
        help="RouterFleet on one machine: run the whole system, look at its events, check it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",  # the lines of a docstring's paragraph are one text
    )
    app.command("demo")(demo)
    events = typer.Typer(help="Look at the events on the streams.", no_args_is_help=True)
    events.command("tail")(tail_events)
    app.add_typer(events, name="events")
    app.command("doctor")(doctor)
    app.command("capacity")(capacity_command)
    app.command("shards")(shards_command)
    app.command("soak")(soak_command)
    app.command("verify")(verify)
    app.command("version")(version)
    return app


def demo(  # noqa: PLR0913 - one parameter for each option
    context: typer.Context,
    *,
    devices: Annotated[int, typer.Option(min=1, max=5000, help="Simulated routers.")] = 101,
    tenants: Annotated[int, typer.Option(min=1, max=50, help="Tenants they are spread over.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same simulated fleet.")] = 1,
    fleet: Annotated[
        Path | None,
        typer.Option(
            help="Poll the real routers of this RouterFleet YAML, the same that kubectl takes, "
            "instead of simulated ones. Edits are followed while it runs."
        ),
    ] = None,
    credentials_dir: Annotated[
        Path | None,
        typer.Option(
            help="With --fleet: a folder for each secret it names, holding the files username "
            "and password (and ca.crt). Default: credentials beside the fleet file."
        ),
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option(
            parser=interval_of,
            metavar="DURATION",
            help="Time between two polls of a device, as in 5s; overrides the fleet's. "
            f"Default: {DEFAULT_INTERVAL_SECONDS:g}s simulated, with --fleet what the file says.",
        ),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_SHARDS,
            help="Pollers a tenant; `routerfleet shards N` changes it while it runs. "
            "Default: what the fleet asks for, one for each thousand devices.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1, help="Stop by itself so long after all devices were seen, instead of at Ctrl-C."
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON summary at the end on stdout, everything else on stderr."
        ),
    ] = False,
    data_dir: Annotated[
        Path, typer.Option(help="Where streams, tables, logs and chosen ports are kept.")
    ] = DEFAULT_DATA_DIR,
    budget: Annotated[
        int,
        typer.Option(
            parser=bytes_of,
            metavar="SIZE",
            help="What all event streams together may take; the planner divides it.",
            show_default="128MB",
        ),
    ] = DEFAULT_BUDGET_BYTES,  # pyright: ignore[reportArgumentType]
    page_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the live page and the API.")
    ] = None,
    nats_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the NATS server.")
    ] = None,
    database_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of PostgreSQL.")
    ] = None,
    nats_through: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Port of a proxy in front of the NATS server: the services connect there.",
        ),
    ] = None,
    database_through: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Port of a proxy in front of PostgreSQL: the services connect there.",
        ),
    ] = None,
    longest_restart_delay: Annotated[
        float,
        typer.Option(
            parser=seconds_of,
            metavar="DURATION",
            help="The longest that a process which keeps ending is left down.",
        ),
    ] = DEFAULT_RESTART_DELAY_SECONDS,
) -> None:
    """Run everything here: routers (simulated or --fleet), NATS, PostgreSQL, all services, a page.

    Ctrl-C stops it in order and says what became of every event; a second one ends it at once.
    Data survives; the same command goes on with it. Exits with 1 when an event is unaccounted
    for or nobody counted, 2 on bad input.
    """
    if fleet is None and credentials_dir is not None:
        raise typer.BadParameter("goes with --fleet", param_hint="--credentials-dir")
    if fleet is not None:
        for name in ("devices", "tenants", "seed"):
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                raise typer.BadParameter(
                    "is for simulated routers; leave it out with --fleet", param_hint=f"--{name}"
                )
    elif devices < tenants:
        raise typer.BadParameter(
            f"{devices} devices cannot be spread over {tenants} tenants", param_hint="--devices"
        )
    options = DemoOptions(
        data_dir=data_dir,
        devices=devices,
        tenants=tenants,
        seed=seed,
        fleet_file=fleet,
        credentials_dir=credentials_dir,
        interval=interval,
        budget_bytes=budget,
        shards=shards,
        seconds=seconds,
        page_port=page_port,
        nats_port=nats_port,
        database_port=database_port,
        nats_through=nats_through,
        database_through=database_through,
        longest_restart_delay=longest_restart_delay,
    )
    raise typer.Exit(run_demo(options, as_json=as_json))


def version() -> None:
    """Print the installed version."""
    typer.echo(f"routerfleet {metadata.version('fleet-cli')}")
