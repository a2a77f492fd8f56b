"""The command line: `python -m fleet_simulator --devices 101 --tenants 3`."""

import asyncio
import logging
import resource
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop
import yaml

from fleet_common.errors import ConfigurationError
from fleet_common.logs import configure_logging
from fleet_common.settings import LogSection
from fleet_contracts.subjects import check_label
from fleet_simulator.app import Options, run
from fleet_simulator.device import DEFAULT_MAX_SESSIONS
from fleet_simulator.faults import (
    Fault,
    FaultError,
    FaultRule,
    parse_kind,
    parse_plan,
)
from fleet_simulator.places import AddressMode, FleetTls, PlaceError, PlacePlan
from fleet_simulator.world import FLEET_MIX, PERSONALITIES

_FILES_PER_DEVICE: Final = 3
_SPARE_FILES: Final = 256

_log = logging.getLogger(__name__)


class LogLevel(StrEnum):
    """What is logged; each includes those below it."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


def simulate(  # noqa: PLR0913 - one parameter for each option
    *,
    devices: Annotated[int, typer.Option(min=1, max=20_000, help="How many devices.")] = 101,
    tenants: Annotated[
        int, typer.Option(min=1, max=500, help="Over how many tenants they are spread.")
    ] = 3,
    tenant: Annotated[
        list[str] | None,
        typer.Option(help="A tenant's name, once for each; instead of --tenants."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="The same seed and --start give the same fleet and metrics.")
    ] = 1,
    base_port: Annotated[
        int, typer.Option(help="The first device's port; the others follow, all below 32768.")
    ] = 20_000,
    address_mode: Annotated[
        AddressMode,
        typer.Option(
            help="port: one address, a port for each. address: 127.1.0.1, 127.1.0.2, … each "
            "with RouterOS's own ports 8728 and 8729."
        ),
    ] = AddressMode.PORT,
    device_port: Annotated[
        int | None,
        typer.Option(min=1, max=32_767, help="The port of all devices in --address-mode address."),
    ] = None,
    address: Annotated[
        str, typer.Option(help="What clients connect to, written into the fleet file.")
    ] = "127.0.0.1",
    listen: Annotated[
        str | None, typer.Option(help="Where to bind when that is not --address.")
    ] = None,
    tls: Annotated[
        FleetTls,
        typer.Option(help="none, a certificate each, anonymous DH, or the three in turn."),
    ] = FleetTls.NONE,
    fleet_file: Annotated[
        Path, typer.Option(help="Where to write the RouterFleet resources.")
    ] = Path("fleet.yaml"),
    credentials_dir: Annotated[
        Path, typer.Option(help="Where to write a folder per secret: username, password, ca.crt.")
    ] = Path("credentials"),
    manifest_file: Annotated[
        Path | None,
        typer.Option(
            help="Where to write Secrets and RouterFleets for kubectl apply; not written unset."
        ),
    ] = None,
    admin_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="HTTP: /ledger, /faults, /clock, /healthz, /metrics. Off unset."
        ),
    ] = None,
    admin_host: Annotated[
        str, typer.Option(help="Where --admin-port listens; it has no login.")
    ] = "127.0.0.1",
    time_scale: Annotated[
        float, typer.Option(min=0.001, max=100_000, help="Virtual seconds per second.")
    ] = 1.0,
    start: Annotated[
        datetime | None,
        typer.Option(help="The virtual time (UTC) at the start; now unless given."),
    ] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            help="A fault plan (YAML file with a list `faults`), or name=probability; may be "
            f"repeated. Names: {', '.join(Fault)}."
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Kinds of devices, in turn; may be repeated. Known: {', '.join(PERSONALITIES)}."
        ),
    ] = None,
    interfaces: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Interfaces on each device; the product's own unset."),
    ] = None,
    upgrade_host_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Also play MikroTik's upgrade host on this port; off unset."
        ),
    ] = None,
    max_sessions: Annotated[
        int, typer.Option(min=1, max=1000, help="Sessions a device accepts at a time.")
    ] = DEFAULT_MAX_SESSIONS,
    log_level: Annotated[
        LogLevel, typer.Option(help="How much goes to standard error, as JSON lines.")
    ] = LogLevel.INFO,
) -> None:
    """Simulate MikroTik routers: RouterOS's binary API, one address and port for each device.

    Writes a fleet file that the pollers read and the credentials beside it, prints where the
    devices listen and serves until SIGINT or SIGTERM.
    """
    configure_logging("simulator", LogSection.model_validate({"level": log_level.value}))
    try:
        options = Options(
            tenants=_tenant_names(tenant, tenants),
            devices=devices,
            places=PlacePlan(address_mode, tls, base_port, address, listen, device_port),
            seed=seed,
            started=None if start is None else start.replace(tzinfo=UTC).timestamp(),
            time_scale=time_scale,
            mix=tuple(kind or FLEET_MIX),
            interfaces=interfaces,
            max_sessions=max_sessions,
            faults=read_faults(faults or []),
            fleet_file=fleet_file,
            credentials_dir=credentials_dir,
            manifest_file=manifest_file,
            admin_host=admin_host,
            admin_port=admin_port,
            upgrade_host_port=upgrade_host_port,
        )
        _allow_files(devices)
        uvloop.run(_until_signalled(options))
    except (FaultError, PlaceError, ValueError, OSError) as error:
        raise _refused(str(error)) from error
    except ExceptionGroup as group:
        known, unknown = group.split((ConfigurationError, OSError))
        if known is None or unknown is not None:
            raise
        raise _refused("; ".join(map(str, known.exceptions))) from group


def _tenant_names(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """The names given, or made; ValueError for one that cannot be part of a subject."""
    if not names:
        return tuple(f"tenant-{number}" for number in range(1, count + 1))
    return tuple(check_label(name, "--tenant") for name in names)


def read_faults(values: Sequence[str]) -> tuple[FaultRule, ...]:
    """Rules from `name=probability` and fault plan files. Raises FaultError naming the value."""
    rules: list[FaultRule] = []
    for value in values:
        name, separator, chance = value.partition("=")
        if separator and not Path(value).exists():
            try:
                probability = float(chance)
            except ValueError:
                raise FaultError(f"--faults {value}: {chance!r} is no probability") from None
            rules.append(FaultRule(parse_kind(name), probability))
            continue
        try:
            document: object = yaml.safe_load(Path(value).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise FaultError(f"--faults {value}: cannot be read: {error}") from error
        try:
            rules += parse_plan(document)
        except FaultError as error:
            raise FaultError(f"--faults {value}: {error}") from error
    return tuple(rules)


async def _until_signalled(options: Options) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def announce(lines: Sequence[str]) -> None:
        typer.echo("\n".join(lines))

    await run(options, stop, announce)
    _log.info("stopped")


def _allow_files(devices: int) -> None:
    """A listener, and connections, for each device. Raises OSError when the system forbids."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = devices * _FILES_PER_DEVICE + _SPARE_FILES
    if soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise OSError(f"{devices} devices need {wanted} open files, the limit is {hard}: ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _refused(message: str) -> typer.Exit:
    typer.echo(f"fleet_simulator: {message}", err=True)
    return typer.Exit(2)
