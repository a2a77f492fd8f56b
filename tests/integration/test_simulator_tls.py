"""TLS as RouterOS's api-ssl: with a certificate each, and anonymously."""

import hashlib
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from fleet_simulator.certificates import Authority, anonymous_context
from fleet_simulator.device import TlsMode
from fleet_simulator.server import Place, Simulator, running_simulator
from support.ports import free_port
from support.rawapi import raw_api
from support.routers import fixed_router


@asynccontextmanager
async def certified(authority: Authority) -> AsyncGenerator[Simulator]:
    tls = authority.server("r", "127.0.0.1")
    place = Place("127.0.0.1", free_port(), TlsMode.CERTIFICATE, tls.context, tls.fingerprint)
    async with running_simulator([fixed_router("r")], [place]) as sim:
        yield sim


def anonymous_client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ADH:@SECLEVEL=0")
    return context


async def test_certificate_passes_strict_verification_by_address() -> None:
    authority = Authority()
    client = ssl.create_default_context(cadata=authority.certificate_pem)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    async with (
        certified(authority) as sim,
        raw_api(sim.endpoint("r"), tls=client) as api,
    ):
        assert await api.rows("/system/identity/print") == [{b"name": b"r"}]
        version = api.writer.get_extra_info("ssl_object").version()
        certificate = api.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert version == "TLSv1.3"
        assert hashlib.sha256(certificate).hexdigest() == sim.endpoint("r").fingerprint


async def test_another_fleets_authority_is_not_trusted() -> None:
    stranger = ssl.create_default_context(cadata=Authority().certificate_pem)
    async with certified(Authority()) as sim:
        with pytest.raises(ssl.SSLCertVerificationError):
            async with raw_api(sim.endpoint("r"), tls=stranger):
                pass
        assert sim.device("r").ledger.logins == 0


async def test_anonymous_diffie_hellman() -> None:
    place = Place("127.0.0.1", free_port(), TlsMode.ANONYMOUS, anonymous_context())
    async with (
        running_simulator([fixed_router("r")], [place]) as sim,
        raw_api(sim.endpoint("r"), tls=anonymous_client()) as api,
    ):
        name, version, _ = api.writer.get_extra_info("cipher")
        assert len(await api.rows("/interface/print")) == 10

    assert name.startswith("ADH-")
    assert version == "TLSv1.2"


async def test_anonymous_device_refuses_a_client_that_wants_a_certificate() -> None:
    place = Place("127.0.0.1", free_port(), TlsMode.ANONYMOUS, anonymous_context())
    async with running_simulator([fixed_router("r")], [place]) as sim:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with raw_api(sim.endpoint("r"), tls=ssl.create_default_context()):
                pass


async def test_plain_client_of_a_tls_device_gets_no_session() -> None:
    async with certified(Authority()) as sim, raw_api(sim.endpoint("r"), login=False) as api:
        api.send("/login", "=name=admin", "=password=secret")
        data = await api.closed()
        assert b"!done" not in data
        assert sim.device("r").ledger.logins == 0
