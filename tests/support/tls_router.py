"""A simulated router behind TLS, and what a client may know of it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet_poller.routeros.session import Endpoint
from fleet_simulator.certificates import Authority, anonymous_context
from fleet_simulator.device import TlsMode
from fleet_simulator.server import Place, running_simulator
from support.ports import free_port
from support.routers import fixed_router


@dataclass(frozen=True, slots=True)
class TlsRouter:
    """Where it listens, the CA of its certificate, the certificate's SHA-256."""

    endpoint: Endpoint
    ca_file: Path
    fingerprint: str | None


@asynccontextmanager
async def tls_router(
    tmp_path: Path, mode: TlsMode, address: str = "127.0.0.1"
) -> AsyncGenerator[TlsRouter]:
    """`router-1`, whose certificate is for that name and `address`; `ca.crt` is in `tmp_path`."""
    authority = Authority()
    ca_file = tmp_path / "ca.crt"
    ca_file.write_text(authority.certificate_pem)
    server = authority.server("router-1", address)
    context = server.context if mode is TlsMode.CERTIFICATE else anonymous_context()
    place = Place("127.0.0.1", free_port(), mode, context, server.fingerprint)
    async with running_simulator([fixed_router()], [place]):
        yield TlsRouter(Endpoint(place.address, place.port), ca_file, server.fingerprint)
