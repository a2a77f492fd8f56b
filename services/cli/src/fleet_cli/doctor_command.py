"""`routerfleet doctor`: from options to an exit code."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fleet_cli.doctor.report import DoctorOptions, examine, show
from fleet_cli.doctor.result import exit_code, to_json
from fleet_cli.doctor.router import RouterTarget, parse_target
from fleet_cli.options import DEFAULT_BUDGET_BYTES
from fleet_cli.parameters import DEFAULT_DATA_DIR, AsJson
from fleet_common.fleet_spec import TlsMode
from fleet_poller.routeros.session import Credentials
from fleet_poller.routeros.tls import Tls


def doctor(  # noqa: PLR0913 - one parameter for each option
    *,
    router: Annotated[
        str | None,
        typer.Option(
            metavar="HOST[:PORT]",
            help="Check a router: TCP, TLS, login, a read, its clock. Default port: 8728, with "
            "TLS 8729.",
        ),
    ] = None,
    tls: Annotated[TlsMode, typer.Option(help="How the router is recognised.")] = TlsMode.PLAIN,
    user: Annotated[str, typer.Option(help="The router's user.")] = "admin",
    password_file: Annotated[
        Path | None,
        typer.Option(help="A file with the user's password; asked for at the terminal without."),
    ] = None,
    ca_file: Annotated[Path | None, typer.Option(help="With --tls verify: the CA.")] = None,
    server_name: Annotated[
        str | None, typer.Option(help="With --tls verify: the name in the certificate.")
    ] = None,
    fingerprint: Annotated[
        str | None, typer.Option(help="With --tls pinned: the certificate's SHA-256.")
    ] = None,
    nats: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Check this NATS server; login from FLEET_NATS__* variables."
        ),
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="Check this PostgreSQL database.")
    ] = None,
    fleet: Annotated[Path | None, typer.Option(help="Check this RouterFleet YAML.")] = None,
    credentials_dir: Annotated[
        Path | None,
        typer.Option(help="With --fleet: where its secrets are. Default: credentials beside it."),
    ] = None,
    data_dir: Annotated[
        Path, typer.Option(help="The demo's data folder; a demo running in it is checked too.")
    ] = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Check what the system needs, and say what to do where something is wrong.

    Exits with 1 when a check fails; warnings do not count.
    """
    if fleet is None and credentials_dir is not None:
        raise typer.BadParameter("goes with --fleet", param_hint="--credentials-dir")
    target = None
    if router is None:
        of_router = {
            "--password-file": password_file,
            "--ca-file": ca_file,
            "--server-name": server_name,
            "--fingerprint": fingerprint,
            "--tls": None if tls is TlsMode.PLAIN else tls,
        }
        for name, value in of_router.items():
            if value is not None:
                raise typer.BadParameter("goes with --router", param_hint=name)
    else:
        if tls is TlsMode.PINNED and fingerprint is None:
            raise typer.BadParameter("--tls pinned needs it", param_hint="--fingerprint")
        try:
            host, port = parse_target(router, tls)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--router") from error
        target = RouterTarget(
            host,
            port,
            Tls(tls, ca_file, server_name, fingerprint),
            Credentials(user, _password(password_file, router, user)),
        )
    options = DoctorOptions(
        data_dir=data_dir,
        nats_url=nats,
        database_url=database,
        fleet_file=fleet,
        credentials_dir=credentials_dir,
        budget_bytes=DEFAULT_BUDGET_BYTES,
        router=target,
    )
    results = asyncio.run(examine(options))
    if as_json:
        sys.stdout.write(json.dumps(to_json(results), ensure_ascii=False) + "\n")
    else:
        show(results, Console(highlight=False))
    raise typer.Exit(exit_code(results))


def _password(file: Path | None, router: str, user: str) -> str:
    if file is None:
        if not sys.stdin.isatty():
            raise typer.BadParameter("needed without a terminal", param_hint="--password-file")
        return str(typer.prompt(f"Password of {user} on {router}", hide_input=True, default=""))
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise typer.BadParameter(f"{file}: {reason}", param_hint="--password-file") from error
