"""Runs the checks that were asked for and shows their results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleet_cli.broker_access import broker_settings
from fleet_cli.doctor.broker import check_nats
from fleet_cli.doctor.fleet import check_fleet
from fleet_cli.doctor.host import (
    check_browser,
    check_data_dir,
    check_disk,
    check_packages,
    check_ports,
    check_python,
    check_servers,
)
from fleet_cli.doctor.postgres import check_database
from fleet_cli.doctor.result import Grade, Result, fail
from fleet_cli.doctor.router import RouterTarget, check_router
from fleet_cli.folder import DataFolder
from fleet_common.errors import FleetError

_STYLE: Final = {Grade.OK: "green", Grade.WARN: "yellow", Grade.FAIL: "bold red"}


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """What to look at besides this machine; None is not looked at, except a running demo's."""

    data_dir: Path
    nats_url: str | None
    database_url: str | None
    fleet_file: Path | None
    credentials_dir: Path | None
    budget_bytes: int
    router: RouterTarget | None


async def examine(options: DoctorOptions) -> list[Result]:
    """All checks, in the order in which a fault shows first."""
    results = [
        check_python(),
        check_packages(),
        check_servers(),
        check_data_dir(options.data_dir),
        check_disk(options.data_dir),
        check_ports(options.data_dir),
        check_browser(),
    ]
    running = DataFolder(options.data_dir.absolute()).running()
    if options.nats_url is not None or running is not None:
        results += await _check_broker(options)
    database = options.database_url or (running.database_url if running is not None else None)
    if database is not None:
        results += await check_database(database)
    if options.fleet_file is not None:
        credentials = options.credentials_dir or options.fleet_file.parent / "credentials"
        results += check_fleet(options.fleet_file, credentials, options.budget_bytes)
    if options.router is not None:
        results += await check_router(options.router)
    return results


async def _check_broker(options: DoctorOptions) -> list[Result]:
    try:
        settings = broker_settings(options.nats_url, options.data_dir)
    except FleetError as error:  # the other checks can still be made
        return [fail("nats", str(error), "correct the FLEET_NATS__* variables")]
    return await check_nats(settings)


def show(results: Sequence[Result], console: Console) -> None:
    """A table: grade, check, what was seen, what to do."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for result in results:
        seen = Text(result.seen)
        if result.advice:
            seen.append(f"\n→ {result.advice}", style=_STYLE[result.grade])
        table.add_row(Text(result.grade.value, style=_STYLE[result.grade]), Text(result.name), seen)
    console.print(table)
