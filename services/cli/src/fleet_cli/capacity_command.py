"""`routerfleet capacity`: from options to a report and an exit code."""

import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from fleet_cli.capacity_report import show, to_json
from fleet_cli.expected import exit_code_of
from fleet_cli.options import DEFAULT_BUDGET_BYTES
from fleet_cli.parameters import AsJson, bytes_of, interval_of, seconds_of
from fleet_common.capacity import capacity
from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec import RouterFleet, load_fleet_file, parse_fleet
from fleet_common.measured_sizes import CATALOG_INTERFACES

_DEFAULT_DEVICES: Final = 101
_DEFAULT_TENANTS: Final = 3


def capacity_command(  # noqa: PLR0913 - one parameter for each option
    *,
    devices: Annotated[
        int | None, typer.Option(min=0, help=f"Routers. Default: {_DEFAULT_DEVICES}.")
    ] = None,
    tenants: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help=f"Tenants they are spread over. Default: {_DEFAULT_TENANTS}."
        ),
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option(
            parser=interval_of,
            metavar="DURATION",
            help="Time between two polls of a device. Default: 60s.",
        ),
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(
            parser=seconds_of,
            metavar="DURATION",
            help="How far back readers should be able to go. Default: 6h.",
        ),
    ] = None,
    shards_of: Annotated[
        int | None, typer.Option(min=1, help="Devices for one poller. Default: 1000.")
    ] = None,
    fleet: Annotated[
        Path | None,
        typer.Option(help="The fleets of this RouterFleet YAML instead of the options above."),
    ] = None,
    interfaces: Annotated[
        int, typer.Option(min=0, max=4096, help="Interfaces of a router, on average.")
    ] = CATALOG_INTERFACES,
    budget: Annotated[
        int,
        typer.Option(
            parser=bytes_of,
            metavar="SIZE",
            help="What all event streams together may take.",
            show_default="128MB",
        ),
    ] = DEFAULT_BUDGET_BYTES,  # pyright: ignore[reportArgumentType]
    retention_days: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Days that rows of all tables are kept. Default: the metrics-writer's, by table.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a fleet needs: messages, bytes, replay window, stream sizes, shards, table growth.

    Nothing has to run for it. Exits with 2 on bad input, also a budget that is too small.
    """
    asked = {
        "--devices": devices,
        "--tenants": tenants,
        "--interval": interval,
        "--window": window,
        "--shards-of": shards_of,
    }
    try:
        if fleet is None:
            fleets = _fleets(
                _DEFAULT_DEVICES if devices is None else devices,
                tenants,
                cadence={} if interval is None else {"interval": interval},
                events={} if window is None else {"replayWindow": window},
                shards={} if shards_of is None else {"devicesPerShard": shards_of, "max": 100},
            )
        else:
            given = [name for name, value in asked.items() if value is not None]
            if given:
                raise typer.BadParameter(
                    f"the fleet file says it already: leave out {', '.join(given)}",
                    param_hint="--fleet",
                )
            fleets = load_fleet_file(fleet)
        result = capacity(fleets, budget, interfaces=interfaces, retention_days=retention_days)
    except ConfigurationError as error:
        raise typer.Exit(exit_code_of(error)) from error
    if as_json:
        sys.stdout.write(json.dumps(to_json(result), ensure_ascii=False) + "\n")
    else:
        show(result, Console(highlight=False))


def _fleets(devices: int, tenants: int | None, **spec: dict[str, object]) -> list[RouterFleet]:
    """Equal fleets of these settings; raises ConfigurationError for what a file may not say."""
    count = min(_DEFAULT_TENANTS, max(devices, 1)) if tenants is None else tenants
    if devices and devices < count:
        raise typer.BadParameter(
            f"{devices} devices cannot be spread over {count} tenants", param_hint="--devices"
        )
    each, more = divmod(devices, count)
    return [
        parse_fleet(
            {
                "metadata": {"name": f"tenant-{number + 1}"},
                "spec": {
                    "credentials": {"secretRef": {"name": "routers"}},
                    "devices": [
                        {"name": f"router-{device + 1}", "address": "192.0.2.1"}
                        for device in range(each + (number < more))
                    ],
                    **spec,
                },
            },
            f"{devices} devices of {count} tenants",
        )
        for number in range(count)
    ]
