"""Opening sessions with simulated routers: both logins, TLS in all modes, refusals."""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import uvloop

from fleet_common.fleet_spec import TlsMode
from fleet_poller.routeros.commands import Reply, print_command
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
from fleet_poller.routeros.session import (
    Access,
    Credentials,
    Endpoint,
    RouterSession,
    open_session,
)
from fleet_poller.routeros.tls import Tls
from fleet_simulator.certificates import Authority
from fleet_simulator.device import TlsMode as SimulatedTls
from fleet_simulator.server import Simulator
from support.ports import free_port
from support.routers import fixed_router
from support.simulator import simulate
from support.tls_router import tls_router
from support.waiting import eventually

IDENTITY = print_command("/system/identity", ("name",))
ADMIN = Credentials("admin", "secret")


async def session(
    endpoint: Endpoint,
    credentials: Credentials = ADMIN,
    tls: Tls | None = None,
    seconds: float = 3.0,
) -> RouterSession:
    chosen = tls or Tls()
    return await open_session(endpoint, Access(credentials, chosen, chosen.context()), seconds)


async def identity(endpoint: Endpoint, tls: Tls | None = None) -> bytes:
    """Log in, read the router's name, log out."""
    opened = await session(endpoint, tls=tls)
    loop = asyncio.get_running_loop()
    (answer,) = await opened.exchange([IDENTITY], loop.time() + 3)
    await opened.log_out(loop.time() + 1)
    assert isinstance(answer, Reply)
    return answer.rows[0][b"name"]


def endpoint_of(simulator: Simulator, name: str = "router-1") -> Endpoint:
    found = simulator.endpoint(name)
    return Endpoint(found.address, found.port)


@pytest.mark.parametrize("version", [(7, 20, 1), (6, 49, 10), (6, 40, 9), (6, 27, 0)])
async def test_one_login_serves_both_generations(version: tuple[int, int, int]) -> None:
    async with simulate(fixed_router(version=version)) as simulator:
        assert await identity(endpoint_of(simulator)) == b"router-1"
        assert simulator.device("router-1").ledger.logins == 1
        assert simulator.device("router-1").ledger.connections == 1


@pytest.mark.parametrize("version", [(7, 20, 1), (6, 40, 9)])
async def test_a_wrong_password_is_rejected_with_the_routers_words(
    version: tuple[int, int, int],
) -> None:
    async with simulate(fixed_router(version=version)) as simulator:
        with pytest.raises(
            LoginRejectedError, match=r"invalid user name or password|cannot log in"
        ):
            await session(endpoint_of(simulator), Credentials("admin", "wrong"))
        await eventually(
            lambda: len(simulator.device("router-1").sessions),
            lambda sessions: sessions == 0,
            what="nothing is left open",
        )


async def test_an_old_router_cannot_take_a_password_outside_ascii() -> None:
    async with simulate(fixed_router(version=(6, 40, 9))) as simulator:
        with pytest.raises(LoginRejectedError, match="ASCII"):
            await session(endpoint_of(simulator), Credentials("admin", "pässword"))


async def test_a_new_router_takes_a_password_outside_ascii() -> None:
    router = fixed_router()
    router.password = "pässwörd ☃"
    async with simulate(router) as simulator:
        opened = await session(endpoint_of(simulator), Credentials("admin", router.password))
        opened.abort()


async def test_a_closed_port_is_refused() -> None:
    with pytest.raises(RefusedError, match="refuses connections"):
        await session(Endpoint("127.0.0.1", free_port()))


async def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    with pytest.raises(UnreachableError):
        await session(Endpoint("router.invalid", 8728))


@pytest.mark.parametrize(
    "host", ["router..lan", ".lan", f"{'x' * 64}.lan", "a\0b", "a\u3002\u3002b"]
)
async def test_an_address_that_no_host_can_have_is_unreachable(host: str) -> None:
    with pytest.raises(UnreachableError, match="is no address"):
        await session(Endpoint(host, 8728))


async def test_a_port_that_there_is_not_is_unreachable() -> None:
    with pytest.raises(UnreachableError, match="is no address"):
        await session(Endpoint("127.0.0.1", 70_000))


async def test_a_host_that_swallows_connections_is_a_timeout() -> None:
    # A listener with a full backlog drops the SYN, as a firewall does.
    with full_listener() as port, pytest.raises(TimedOutError, match="does not answer"):
        await session(Endpoint("127.0.0.1", port), seconds=0.3)


@contextmanager
def full_listener() -> Generator[int]:
    """A port whose queue of connections is full."""
    with socket.socket() as listener:
        port = free_port()
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for one in waiting:
                one.close()


async def test_a_silent_login_is_a_timeout_and_leaves_nothing_open() -> None:
    async with silent_peer() as (port, closed):
        with pytest.raises(TimedOutError):
            await session(Endpoint("127.0.0.1", port), seconds=0.2)
        async with asyncio.timeout(5):
            await closed.wait()


@asynccontextmanager
async def silent_peer(greeting: bytes = b"") -> AsyncGenerator[tuple[int, asyncio.Event]]:
    """A peer that says `greeting` and nothing else; the event is set when it is left."""
    closed = asyncio.Event()
    talks: set[asyncio.Task[None] | None] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        writer.write(greeting)
        try:
            while await reader.read(1000):
                pass
        except ConnectionError:
            pass
        closed.set()
        writer.close()

    port = free_port()
    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield port, closed
    finally:
        server.close()
        # The loop must not end before those have seen that they were left.
        talking = [task for task in talks if task is not None]
        if talking:
            await asyncio.wait(talking, timeout=5)


@pytest.mark.parametrize(
    "greeting", [b"SSH-2.0-ROSSSH\r\n", b"HTTP/1.0 400 Bad\r\n\r\n", b"\x05hello\x00", b"\xfe"]
)
async def test_a_peer_that_is_no_router_breaks_the_protocol(greeting: bytes) -> None:
    async with silent_peer(greeting) as (port, _):
        with pytest.raises((ProtocolViolatedError, TimedOutError)) as raised:
            await session(Endpoint("127.0.0.1", port), seconds=0.5)
    if greeting[0] in {0x05, 0xFE}:
        assert isinstance(raised.value, ProtocolViolatedError)


async def test_no_free_session_is_a_typed_error() -> None:
    async with simulate(fixed_router(), max_sessions=1) as simulator:
        first = await session(endpoint_of(simulator))
        with pytest.raises(RouterError) as raised:
            await session(endpoint_of(simulator))
        assert isinstance(raised.value, DisconnectedError | LoginRejectedError | RefusedError)
        first.abort()


async def test_a_cancelled_open_leaves_nothing_behind() -> None:
    async with silent_peer() as (port, closed):
        opening = asyncio.create_task(session(Endpoint("127.0.0.1", port)))
        await asyncio.wait([opening], timeout=0.1)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        async with asyncio.timeout(5):
            await closed.wait()


async def test_a_certificate_of_the_ca_is_accepted(tmp_path: Path) -> None:
    async with tls_router(tmp_path, SimulatedTls.CERTIFICATE) as router:
        tls = Tls(TlsMode.VERIFY, ca_file=router.ca_file)
        assert await identity(router.endpoint, tls) == b"router-1"


async def test_another_ca_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    other.write_text(Authority("another").certificate_pem)
    async with tls_router(tmp_path, SimulatedTls.CERTIFICATE) as router:
        with pytest.raises(TlsError, match=r"was refused: .*(self-signed|local issuer)"):
            await session(router.endpoint, tls=Tls(TlsMode.VERIFY, ca_file=other))


async def test_a_certificate_for_another_address_is_refused_unless_named(tmp_path: Path) -> None:
    async with tls_router(tmp_path, SimulatedTls.CERTIFICATE, "192.0.2.7") as router:
        with pytest.raises(TlsError, match=r"IP address mismatch.*127\.0\.0\.1"):
            await session(router.endpoint, tls=Tls(TlsMode.VERIFY, ca_file=router.ca_file))
        other = Tls(TlsMode.VERIFY, ca_file=router.ca_file, server_name="router-2")
        with pytest.raises(TlsError, match=r"Hostname mismatch.*router-2"):
            await session(router.endpoint, tls=other)
        named = Tls(TlsMode.VERIFY, ca_file=router.ca_file, server_name="router-1")
        assert await identity(router.endpoint, named) == b"router-1"


@pytest.mark.parametrize("name", ["a..b", ".x", "x" * 64, "a\0b"])
async def test_a_server_name_that_no_certificate_can_have_is_a_tls_error(
    tmp_path: Path, name: str
) -> None:
    async with tls_router(tmp_path, SimulatedTls.CERTIFICATE) as router:
        tls = Tls(TlsMode.VERIFY, ca_file=router.ca_file, server_name=name)
        with pytest.raises(TlsError, match="is no name of a server"):
            await session(router.endpoint, tls=tls)


async def test_the_pinned_certificate_is_accepted_with_or_without_colons(tmp_path: Path) -> None:
    async with tls_router(tmp_path, SimulatedTls.CERTIFICATE) as router:
        assert router.fingerprint is not None
        colons = ":".join(
            router.fingerprint[at : at + 2] for at in range(0, len(router.fingerprint), 2)
        )
        for pin in (router.fingerprint, colons.upper()):
            tls = Tls(TlsMode.PINNED, pin_sha256=pin)
            assert await identity(router.endpoint, tls) == b"router-1"


async def test_another_certificate_than_the_pinned_gets_no_password(tmp_path: Path) -> None:
    async with tls_router(tmp_path, SimulatedTls.CERTIFICATE) as router:
        pin = hashlib.sha256(b"another").hexdigest()
        with pytest.raises(TlsError, match="pinned is"):
            await session(router.endpoint, tls=Tls(TlsMode.PINNED, pin_sha256=pin))


async def test_anonymous_diffie_hellman_works_without_a_certificate(tmp_path: Path) -> None:
    async with tls_router(tmp_path, SimulatedTls.ANONYMOUS) as router:
        assert await identity(router.endpoint, Tls(TlsMode.ANONYMOUS)) == b"router-1"


async def test_verify_does_not_fall_back_to_anonymous(tmp_path: Path) -> None:
    async with tls_router(tmp_path, SimulatedTls.ANONYMOUS) as router:
        with pytest.raises(TlsError):
            await session(router.endpoint, tls=Tls(TlsMode.VERIFY, ca_file=router.ca_file))


async def test_tls_towards_a_plain_port_is_a_tls_error_or_a_timeout() -> None:
    async with simulate(fixed_router()) as simulator:
        with pytest.raises((TlsError, TimedOutError)):
            await session(endpoint_of(simulator), tls=Tls(TlsMode.ANONYMOUS), seconds=0.5)


@pytest.mark.parametrize("mode", [TlsMode.VERIFY, TlsMode.PINNED, TlsMode.ANONYMOUS])
def test_tls_works_in_the_event_loop_of_the_service(tmp_path: Path, mode: TlsMode) -> None:
    served = SimulatedTls.ANONYMOUS if mode is TlsMode.ANONYMOUS else SimulatedTls.CERTIFICATE

    async def read() -> bytes:
        async with tls_router(tmp_path, served) as router:
            ca_file = router.ca_file if mode is TlsMode.VERIFY else None
            return await identity(
                router.endpoint, Tls(mode, ca_file=ca_file, pin_sha256=router.fingerprint)
            )

    assert uvloop.run(read()) == b"router-1"


def test_verify_checks_names_and_certificates() -> None:
    context = Tls(TlsMode.VERIFY).context()

    assert context is not None
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
