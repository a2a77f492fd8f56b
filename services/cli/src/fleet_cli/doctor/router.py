"""Checks of one router, step by step: address, port, TLS, login, a read, its clock."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from fleet_cli.doctor.result import Result, fail, ok, warn
from fleet_common.fleet_spec import PLAIN_PORT, TLS_PORT, TlsMode
from fleet_poller.routeros.commands import Reply, print_command
from fleet_poller.routeros.errors import (
    LoginRejectedError,
    RefusedError,
    RouterError,
    TimedOutError,
    TlsError,
    UnreachableError,
)
from fleet_poller.routeros.session import (
    Access,
    Credentials,
    Endpoint,
    RouterSession,
    open_session,
)
from fleet_poller.routeros.tls import Tls

_TIMEOUT_SECONDS: Final = 5.0
_RESOURCE: Final = print_command(
    "/system/resource", ("version", "board-name", "uptime", "architecture-name")
)
_CLOCK: Final = print_command("/system/clock", ("date", "time", "gmt-offset"))
SKEW_WARN_SECONDS: Final = 60.0
_MAX_PORT: Final = 65_535
_PORT_DIGITS: Final = 5
_MONTHS: Final = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RouterTarget:
    """The router and how to log in to it."""

    host: str
    port: int
    tls: Tls
    credentials: Credentials

    @property
    def place(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"


def parse_target(text: str, mode: TlsMode) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT` or `[IPV6]:PORT`. Raises ValueError."""
    default = PLAIN_PORT if mode is TlsMode.PLAIN else TLS_PORT
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not [IPV6] or [IPV6]:PORT")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    if not host or (port and not (port.isascii() and port.isdigit())):
        raise ValueError(f"{text!r} is not HOST or HOST:PORT")
    if not port:
        return host, default
    number = int(port) if len(port) <= _PORT_DIGITS else 0
    if not 1 <= number <= _MAX_PORT:
        raise ValueError(f"{port[:32]} is not a port (1 to {_MAX_PORT})")
    return host, number


async def check_router(target: RouterTarget) -> list[Result]:
    """Every step until one fails; later steps are not guessed at."""
    results = [await _check_tcp(target)]
    if results[0].grade != "ok":
        return results
    try:
        context = target.tls.context()
        access = Access(target.credentials, target.tls, context)
        session = await open_session(Endpoint(target.host, target.port), access, _TIMEOUT_SECONDS)
    except RouterError as error:
        return [*results, explain(error, target)]
    mode = target.tls.mode.value
    results.append(ok("router login", f"{target.credentials.username} over {mode}"))
    try:
        results += await _check_reads(session)
    except RouterError as error:
        results.append(
            fail("router read", str(error), "see /log on the router for why it ended the session")
        )
    finally:
        await session.log_out(asyncio.get_running_loop().time() + 1.0)
    return results


async def _check_tcp(target: RouterTarget) -> Result:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(target.host, target.port)
    except TimeoutError:
        return explain(TimedOutError("no answer to the connection"), target)
    except ConnectionRefusedError:
        return explain(RefusedError(f"{target.place} refuses connections"), target)
    except OSError as error:  # a name that cannot be looked up is one, too
        return explain(UnreachableError(error.strerror or str(error)), target)
    except UnicodeError as error:  # a label that is empty or too long: never asked for
        return explain(UnreachableError(f"{target.host!r} is no host name: {error}"), target)
    writer.close()
    return ok("router tcp", f"{target.place} accepts connections")


def explain(error: RouterError, target: RouterTarget) -> Result:
    """A failed step with what to do about it."""
    seen = str(error)
    service = "api" if target.tls.mode is TlsMode.PLAIN else "api-ssl"
    match error:
        case UnreachableError():
            return fail("router tcp", seen, "check the address, DNS and the route to it")
        case RefusedError():
            return fail(
                "router tcp",
                seen,
                f"on the router: /ip/service/enable {service}, and see its `address` list and port",
            )
        case TlsError():
            return fail(
                "router tls",
                seen,
                "check --tls: verify needs a certificate of --ca-file, pinned its --fingerprint; "
                "a router without a certificate speaks anonymous only; plain is port 8728",
            )
        case LoginRejectedError():
            return fail(
                "router login",
                seen,
                "check user and password; the user's group needs the policies `api` and `read`",
            )
        case TimedOutError():
            return fail(
                "router login",
                seen,
                f"a firewall may drop the packets, or the port is not the {service} service's",
            )
        case _:
            return fail(
                "router login",
                seen,
                f"is {target.place} really RouterOS's {service} service?",
            )


async def _check_reads(session: RouterSession) -> list[Result]:
    asked = datetime.now(UTC)
    deadline = asyncio.get_running_loop().time() + _TIMEOUT_SECONDS
    resource, clock = await session.exchange([_RESOURCE, _CLOCK], deadline)
    if not isinstance(resource, Reply) or not resource.rows:
        seen = "no rows" if isinstance(resource, Reply) else resource.message
        advice = "give the user's group the policy `read`"
        return [fail("router read", f"/system/resource: {seen}", advice)]
    row = {
        key.decode(): value.decode("utf-8", "replace") for key, value in resource.rows[0].items()
    }
    results = [
        ok(
            "router read",
            f"{row.get('board-name', 'unknown board')}, RouterOS {row.get('version', '?')}, "
            f"up {row.get('uptime', '?')}",
        )
    ]
    if isinstance(clock, Reply) and clock.rows:
        results.append(judge_clock(clock.rows[0], asked))
    return results


def judge_clock(row: dict[bytes, bytes], now: datetime) -> Result:
    """How far the router's clock is off; slots follow the poller's clock, link times the router's.

    Formats: `2026-11-24` since 7.10, `nov/24/2026` before; gmt-offset as `+02:00`.
    """
    advice = "set the router's clock: /system/ntp/client"
    try:
        date, time = row[b"date"].decode().lower(), row[b"time"].decode()
        if "/" in date:
            month, day, year = date.split("/")
            date = f"{year}-{_MONTHS.index(month) + 1:02d}-{day}"
        local = datetime.fromisoformat(f"{date}T{time}").replace(tzinfo=UTC)
        offset = _offset(row.get(b"gmt-offset", b"+00:00").decode())
    except (KeyError, ValueError) as error:
        return warn("router clock", f"not understood: {error}", advice)
    skew = (local - offset - now).total_seconds()
    seen = f"off by {skew:+.0f} s"
    if abs(skew) > SKEW_WARN_SECONDS:
        return warn("router clock", seen, f"times of link changes will be wrong; {advice}")
    return ok("router clock", seen)


def _offset(text: str) -> timedelta:
    sign = -1 if text.startswith("-") else 1
    hours, _, minutes = text.lstrip("+-").partition(":")
    return sign * timedelta(hours=int(hours), minutes=int(minutes or 0))
