"""One session with a router: connect, TLS, login, reads. The only importer of librouteros.

librouteros speaks the login dialogue (plain, and the challenge of RouterOS before 6.43)
over its `AsyncApi`; RouterProtocol stands in for its transport and carries the tagged
reads that librouteros does not know (its own connection takes one command at a time,
three awaits a word, and is out of step after a time-out).
"""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

# librouteros carries annotations but no py.typed
from librouteros.api import AsyncApi  # pyright: ignore[reportMissingTypeStubs]
from librouteros.exceptions import (  # pyright: ignore[reportMissingTypeStubs]
    LibRouterosError,
    MultiTrapError,
    TrapError,
)
from librouteros.login import encode_password  # pyright: ignore[reportMissingTypeStubs]

from fleet_poller.routeros.commands import Answer, Command
from fleet_poller.routeros.errors import (
    DisconnectedError,
    LoginRejectedError,
    ProtocolViolatedError,
    RefusedError,
    RouterError,
    TimedOutError,
    TlsError,
    UnreachableError,
)
from fleet_poller.routeros.protocol import RouterProtocol
from fleet_poller.routeros.tls import Tls

if TYPE_CHECKING:
    from librouteros.protocol import AsyncApiProtocol  # pyright: ignore[reportMissingTypeStubs]

_ENCODING = "utf-8"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the router listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """A RouterOS user. The password stays out of repr and therefore out of logs."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r})"


@dataclass(frozen=True, slots=True)
class Access:
    """What opening a session needs besides the address.

    `context` is `tls.context()`, prepared once and shared among devices.
    """

    credentials: Credentials
    tls: Tls
    context: ssl.SSLContext | None


class RouterSession(Protocol):
    """A logged-in session. Used by one caller at a time."""

    @property
    def closed(self) -> bool:
        """The connection is over; open another."""
        ...

    async def exchange(self, commands: Sequence[Command], deadline: float) -> list[Answer]:
        """Answers to all commands, in order, before `deadline` (event-loop time).

        Raises a RouterError and closes the session; closes it, too, when cancelled.
        """
        ...

    async def log_out(self, deadline: float) -> None:
        """End the session politely; never raises a RouterError."""
        ...

    def abort(self, error: RouterError | None = None) -> None:
        """End the session at once."""
        ...


async def open_session(
    endpoint: Endpoint,
    access: Access,
    timeout_seconds: float,
    gate: AbstractAsyncContextManager[object] | None = None,
) -> RouterSession:
    """Connect, prove the router's identity as the TLS mode asks, log in.

    TCP has `timeout_seconds`, then TLS and login together as long again. `gate` is
    entered between the two: it bounds how many logins begin (waiting for it is not the
    router's fault and has no deadline here), while an address that does not answer
    holds no place in it. Raises a RouterError; leaves nothing open then.
    """
    loop = asyncio.get_running_loop()
    protocol = RouterProtocol(loop)
    try:
        await _connect(endpoint, protocol, timeout_seconds)
        async with gate or contextlib.nullcontext():
            deadline = loop.time() + timeout_seconds
            if access.context is not None:
                name = access.tls.server_name or endpoint.host
                await _start_tls(protocol, access.context, name, deadline)
                access.tls.check_certificate(protocol.peer_certificate())
            await _log_in(protocol, access.credentials, deadline)
    except BaseException:
        protocol.abort()
        raise
    return protocol


async def _connect(endpoint: Endpoint, protocol: RouterProtocol, timeout_seconds: float) -> None:
    where = f"{endpoint.host}:{endpoint.port}"
    try:
        async with asyncio.timeout(timeout_seconds):
            await asyncio.get_running_loop().create_connection(
                lambda: protocol, endpoint.host, endpoint.port
            )
    except TimeoutError as error:
        raise TimedOutError(f"{where} does not answer within {timeout_seconds:g} s") from error
    except ConnectionRefusedError as error:
        raise RefusedError(f"{where} refuses connections") from error
    except OSError as error:  # socket.gaierror included: the name does not resolve
        raise UnreachableError(f"{where}: {error.strerror or error}") from error
    except (ValueError, OverflowError) as error:  # a label too long or empty, a NUL; a port
        raise UnreachableError(f"{where!r} is no address: {error}") from error


async def _start_tls(
    protocol: RouterProtocol, context: ssl.SSLContext, server_name: str, deadline: float
) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            await protocol.start_tls(context, server_name)
    except TimeoutError as error:
        raise TimedOutError("no TLS handshake in time") from error
    except ssl.SSLCertVerificationError as error:  # its reason says only that it failed
        why = error.verify_message or error.reason or str(error)
        raise TlsError(f"the router's certificate was refused: {why}") from error
    except ssl.SSLError as error:
        raise TlsError(error.reason or str(error)) from error
    except OSError as error:  # a peer that speaks no TLS, or accepts none of ours, hangs up
        why = error.strerror or str(error) or type(error).__name__
        raise TlsError(f"the router ended the handshake: {why}") from error
    except (ValueError, TypeError) as error:  # TypeError: a NUL in it
        raise TlsError(f"{server_name!r} is no name of a server: {error}") from error


class _LoginDialogue:
    """What librouteros takes for its protocol: one untagged dialogue with a deadline."""

    def __init__(self, protocol: RouterProtocol, deadline: float) -> None:
        self._protocol = protocol
        self._deadline = deadline

    async def writeSentence(self, cmd: str, *words: str) -> None:  # noqa: N802 - librouteros' name
        self._protocol.send_untagged([word.encode(_ENCODING) for word in (cmd, *words)])

    async def readSentence(self) -> tuple[str, tuple[str, ...]]:  # noqa: N802 - librouteros' name
        reply, attributes = await self._protocol.next_untagged(self._deadline)
        known = {key: value for key, value in attributes.items() if key in _LOGIN_ATTRIBUTES}
        return reply.decode(_ENCODING, "replace"), tuple(
            f"={key.decode()}={value.decode(_ENCODING, 'replace')}" for key, value in known.items()
        )

    async def close(self) -> None:
        self._protocol.abort()


# librouteros passes every attribute of a trap to TrapError(message, category) and would
# raise TypeError on another one; `ret` is the challenge.
_LOGIN_ATTRIBUTES = frozenset({b"message", b"category", b"ret"})


async def _log_in(protocol: RouterProtocol, credentials: Credentials, deadline: float) -> None:
    """Log in with name and password; answer the challenge where an old router gives one.

    RouterOS before 6.43 ignores name and password of a first `/login` and answers `=ret=`
    with a challenge, so one dialogue serves both generations.
    """
    api = AsyncApi(cast("AsyncApiProtocol", _LoginDialogue(protocol, deadline)))
    name, password = credentials.username, credentials.password
    try:
        rows = [row async for row in api("/login", name=name, password=password)]
        challenge = next((str(row["ret"]) for row in rows if "ret" in row), None)
        if challenge is not None:
            response = encode_password(challenge, password)
            _ = [row async for row in api("/login", name=name, response=response)]
    except (TrapError, MultiTrapError) as error:
        raise LoginRejectedError(str(error) or "login rejected") from error
    except UnicodeError as error:
        raise LoginRejectedError("this router's login takes an ASCII password only") from error
    except (LibRouterosError, ValueError, TypeError) as error:
        raise ProtocolViolatedError(f"not a login dialogue: {error}") from error
    protocol.end_untagged()
    if protocol.closed:
        raise DisconnectedError("the connection ended right after the login")
