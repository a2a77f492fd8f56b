"""`routerfleet events tail`: from options to an exit code."""

import asyncio
import contextlib
import os
import sys
from typing import Annotated

import typer
from nats.errors import Error as NatsError

from fleet_cli.broker_access import broker_settings
from fleet_cli.event_lines import EventFilter
from fleet_cli.expected import exit_code_of
from fleet_cli.parameters import DEFAULT_DATA_DIR, RunningDataDir, seconds_of
from fleet_cli.tail import TailOptions, tail
from fleet_common.errors import FleetError
from fleet_contracts.subjects import Kind


def tail_events(  # noqa: PLR0913 - one parameter for each option
    *,
    tenant: Annotated[
        list[str] | None, typer.Option(help="Only this tenant; may be repeated.")
    ] = None,
    kind: Annotated[
        list[Kind] | None, typer.Option(help="Only this kind; may be repeated.")
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option(help="Only this device; may be repeated.")
    ] = None,
    since: Annotated[
        float | None,
        typer.Option(
            parser=seconds_of,
            metavar="DURATION",
            help="Begin so far back, as in 5m, as far as the streams reach. Default: from now.",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Stop after so many events; 0 goes on until Ctrl-C.")
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, with every field.")
    ] = False,
    nats: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Another NATS server than the running demo's; its login comes from the "
            "FLEET_NATS__* variables.",
        ),
    ] = None,
    data_dir: RunningDataDir = DEFAULT_DATA_DIR,
) -> None:
    """Print decoded events as they come. A message that is no valid event is shown as such.

    Exits with 1 when the broker is away or refuses, 2 for a tenant without a stream.
    """
    wanted = EventFilter(frozenset(tenant or ()), frozenset(kind or ()), frozenset(device or ()))
    options = TailOptions(wanted, since, limit, as_json)
    try:
        settings = broker_settings(nats, data_dir)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(tail(settings, options, _show))
    except (FleetError, NatsError, ExceptionGroup) as error:
        if isinstance(error, ExceptionGroup) and error.subgroup(BrokenPipeError):
            _leave_pipe()
            return
        raise typer.Exit(exit_code_of(error)) from error


def _show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _leave_pipe() -> None:
    """The reader (`head`, say) has what it wanted: nothing more may be written at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
