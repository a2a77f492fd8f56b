"""Checks of a NATS server."""

from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import AccountInfo
from nats.js.errors import APIError, ServiceUnavailableError

from fleet_cli.broker_access import connect_once
from fleet_cli.doctor.result import Result, fail, ok, warn
from fleet_common.broker import close, jetstream
from fleet_common.errors import FleetError
from fleet_common.planning import ServerTooOldError, check_server_version
from fleet_common.settings import NatsSection
from fleet_common.streams.live import server_version
from fleet_common.units import format_size

_FULL: Final = 0.9


async def check_nats(settings: NatsSection) -> list[Result]:
    """Reachable, new enough, JetStream on, its limits and how full they are."""
    try:
        client = await connect_once(settings, "routerfleet-doctor")
    except FleetError as error:
        return [fail("nats", str(error), "start the server, or correct --nats and the login")]
    try:
        version = judge_version(server_version(client), settings.url)
        return [version, *await _check_jetstream(client, settings)]
    finally:
        await close(client)


def judge_version(version: str, url: str) -> Result:
    """Old servers lack what the services use."""
    try:
        check_server_version(version)
    except ServerTooOldError as error:
        return fail("nats", f"{url}: {error}", "upgrade it")
    return ok("nats", f"nats-server {version} answers at {url}")


async def _check_jetstream(client: Client, settings: NatsSection) -> list[Result]:
    try:
        info = await jetstream(client, settings).account_info()
    except (ServiceUnavailableError, APIError) as error:
        reason = error.description or "JetStream is not enabled"
        return [
            fail(
                "jetstream",
                reason,
                "turn JetStream on in the server's configuration and for this account",
            )
        ]
    except (NatsError, TimeoutError) as error:
        return [
            fail(
                "jetstream",
                f"no answer: {type(error).__name__}",
                "turn JetStream on (`jetstream {}`), and allow this user $JS.API.>",
            )
        ]
    return judge_account(info)


def judge_account(info: AccountInfo) -> list[Result]:
    """A limit on what streams may take is what keeps one of them from stopping all others."""
    results: list[Result] = []
    for name, used, limit in (
        ("file storage", info.storage, info.limits.max_storage),
        ("memory storage", info.memory, info.limits.max_memory),
    ):
        title = f"jetstream {name}"
        if limit < 0:
            results.append(ok(title, f"{format_size(used)} used, limited by the server alone"))
        elif limit == 0:
            results.append(ok(title, "none granted"))
        elif used > _FULL * limit:
            results.append(
                fail(
                    title,
                    f"{format_size(used)} of {format_size(limit)} used",
                    "at the limit every stream of this kind stops taking messages: raise the "
                    "limit, or lower the streams' max_bytes",
                )
            )
        else:
            results.append(ok(title, f"{format_size(used)} of {format_size(limit)} used"))
    if info.streams:
        results.append(ok("jetstream streams", str(info.streams)))
    else:
        advice = "`routerfleet demo` or the operator declares them"
        results.append(warn("jetstream streams", "none declared", advice))
    return results
