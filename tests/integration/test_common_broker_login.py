"""TLS and logins towards a real nats-server: what is let in, what is not, and what is said."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import uvloop

from fleet_common.broker import close, connect, jetstream, probe
from fleet_common.broker_client import BrokerClient
from fleet_common.errors import ConfigurationError
from fleet_common.raw_client import RawClient
from fleet_common.settings import NatsSection
from support.certificates import Authority, Issued
from support.nats import NatsServer
from support.nats_jwt import JwtSite
from support.waiting import eventually

_JWT = "-----BEGIN NATS USER JWT-----\nx.y.z\n------END NATS USER JWT------\n"
_SEED = "-----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n"


@dataclass
class TlsServer(NatsServer):
    """A server with a certificate for `localhost`."""

    certificate: Issued | None = None
    more: str = ""

    @property
    def url(self) -> str:
        return f"nats://localhost:{self.port}"

    def start(self) -> None:
        assert self.certificate is not None
        self.extra_config = (
            f"tls {{ cert_file: '{self.certificate.cert_file}', "
            f"key_file: '{self.certificate.key_file}' {self.more} }}"
        )
        super().start()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@contextlib.contextmanager
def served(directory: Path, certificate: Issued, more: str = "") -> Generator[TlsServer]:
    server = TlsServer(directory / "nats", certificate=certificate, more=more)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def section(url: str, **fields: object) -> NatsSection:
    return NatsSection.model_validate({"url": url, **fields})


@contextlib.asynccontextmanager
async def connected(
    settings: NatsSection, client: BrokerClient | None = None
) -> AsyncGenerator[BrokerClient]:
    async with asyncio.timeout(10):
        made = await connect(settings, "test", client)
    try:
        yield made
    finally:
        await close(made)


async def said_instead(settings: NatsSection, caplog: pytest.LogCaptureFixture) -> str:
    """What is logged while no connection comes about."""
    caplog.set_level(logging.WARNING)
    connecting = asyncio.create_task(connect(settings, "test"))
    try:
        await eventually(
            lambda: [getattr(one, "todo", "") for one in caplog.records], any, what="an advice"
        )
        assert not connecting.done()
    finally:
        connecting.cancel()
        await asyncio.wait([connecting])
    return next(todo for one in caplog.records if (todo := getattr(one, "todo", "")))


@pytest.mark.parametrize("kind", [BrokerClient, RawClient])
async def test_a_private_ca_is_trusted(
    kind: type[BrokerClient], authority: Authority, tmp_path: Path
) -> None:
    with served(tmp_path, authority.issue("localhost")) as server:
        async with connected(section(server.url, ca_file=authority.ca_file), kind()) as client:
            await probe(client)


def test_a_private_ca_is_trusted_in_the_event_loop_of_the_services(
    authority: Authority, tmp_path: Path
) -> None:
    async def once(settings: NatsSection) -> None:
        async with connected(settings, RawClient()) as client:
            await probe(client)

    with served(tmp_path, authority.issue("localhost")) as server:
        uvloop.run(once(section(server.url, ca_file=authority.ca_file)))


async def test_another_ca_is_not_trusted_and_the_setting_is_named(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Authority(tmp_path / "other", "another CA")
    with served(tmp_path, authority.issue("localhost")) as server:
        todo = await said_instead(section(server.url, ca_file=other.ca_file), caplog)

    assert str(other.ca_file) in todo
    assert "give FLEET_NATS__CA_FILE the CA that made it" in todo


async def test_a_ca_that_is_not_the_systems_must_be_named(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path, authority.issue("localhost")) as server:
        assert "FLEET_NATS__CA_FILE" in await said_instead(section(server.url), caplog)


async def test_a_certificate_for_other_names_is_refused_unless_its_name_is_given(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(tmp_path, authority.issue("nats.example.com")) as server:
        settings = section(server.url, ca_file=authority.ca_file)
        assert "FLEET_NATS__SERVER_NAME" in await said_instead(settings, caplog)

        named = settings.model_copy(update={"server_name": "nats.example.com"})
        async with connected(named) as client:
            await probe(client)


async def test_a_certificate_that_has_expired_is_said_to_have(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stale = authority.issue("localhost", lifetime=timedelta(hours=-1))
    with served(tmp_path, stale) as server:
        settings = section(server.url, ca_file=authority.ca_file)
        assert "expired" in await said_instead(settings, caplog)


@pytest.mark.parametrize("asks", ["ca_file", "tls://"])
async def test_a_server_without_tls_is_sent_nothing_where_tls_is_asked_for(
    asks: str, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    heard = bytearray()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.11.0","auth_required":true}\r\n')
        heard.extend(await reader.read())
        writer.close()

    listener = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        fields = {"ca_file": authority.ca_file} if asks == "ca_file" else {}
        scheme = "nats" if asks == "ca_file" else "tls"
        settings = section(f"{scheme}://127.0.0.1:{port}", user="u", password="p", **fields)
        assert "give the server TLS" in await said_instead(settings, caplog)

    assert not heard


async def test_a_clients_certificate_lets_in_and_without_one_it_is_asked_for(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = f", ca_file: '{authority.ca_file}', verify: true"
    own = authority.issue("services")
    with served(tmp_path, authority.issue("localhost"), more) as server:
        settings = section(server.url, ca_file=authority.ca_file)
        assert "FLEET_NATS__CERT_FILE" in await said_instead(settings, caplog)

        files = {"cert_file": own.cert_file, "key_file": own.key_file}
        async with connected(settings.model_copy(update=files)) as client:
            await probe(client)


async def test_a_strangers_certificate_is_not_taken(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = f", ca_file: '{authority.ca_file}', verify: true"
    own = Authority(tmp_path / "other", "another CA").issue("services")
    with served(tmp_path, authority.issue("localhost"), more) as server:
        settings = section(
            server.url, ca_file=authority.ca_file, cert_file=own.cert_file, key_file=own.key_file
        )
        assert "does not take the certificate" in await said_instead(settings, caplog)


async def test_a_ca_that_is_mended_is_taken_up_without_a_restart(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ca_file = tmp_path / "mounted.crt"
    ca_file.write_bytes(Authority(tmp_path / "other", "another CA").ca_file.read_bytes())
    with served(tmp_path, authority.issue("localhost")) as server:
        connecting = asyncio.create_task(connect(section(server.url, ca_file=ca_file), "test"))
        await eventually(lambda: [one for one in caplog.records if hasattr(one, "todo")], bool)
        ca_file.write_bytes(authority.ca_file.read_bytes())
        async with asyncio.timeout(10):
            client = await connecting
        await close(client)


async def test_a_renewed_client_certificate_is_used_at_the_next_connection(
    authority: Authority, tmp_path: Path
) -> None:
    first, second = (Authority(tmp_path / name, name) for name in ("first", "second"))
    own = first.issue("services")
    trusted = tmp_path / "trusted.crt"
    trusted.write_bytes(first.ca_file.read_bytes())
    more = f", ca_file: '{trusted}', verify: true"
    with served(tmp_path, authority.issue("localhost"), more) as server:
        settings = section(
            server.url, ca_file=authority.ca_file, cert_file=own.cert_file, key_file=own.key_file
        )
        async with connected(settings) as client:
            renewed = second.issue("services")
            own.cert_file.write_bytes(renewed.cert_file.read_bytes())
            own.key_file.write_bytes(renewed.key_file.read_bytes())
            trusted.write_bytes(second.ca_file.read_bytes())
            server.restart()
            await eventually(lambda: client.stats["reconnects"] > 0 and client.is_connected, bool)
            await probe(client)


async def test_a_credentials_file_lets_in(tmp_path: Path) -> None:
    site = JwtSite.make(tmp_path / "user.creds")
    server = NatsServer(tmp_path / "nats", extra_config=site.server_config)
    server.start()
    try:
        settings = section(server.url, credentials_file=site.credentials_file)
        async with connected(settings) as client:
            account = await jetstream(client, settings).account_info()
            assert account.limits.max_storage == 1 << 24
            server.restart()
            await eventually(lambda: client.stats["reconnects"] > 0 and client.is_connected, bool)
    finally:
        server.stop()


async def test_another_operators_credentials_are_refused_with_advice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site, other = (JwtSite.make(tmp_path / f"{name}.creds") for name in ("ours", "other"))
    server = NatsServer(tmp_path / "nats", extra_config=site.server_config)
    server.start()
    try:
        settings = section(server.url, credentials_file=other.credentials_file)
        assert "refuses the login" in await said_instead(settings, caplog)
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "no NATS USER JWT"),
        (_JWT, "no USER NKEY"),
        (_JWT + _SEED.format("SUAMLK2Z"), "not a user's seed"),
    ],
)
async def test_a_wrong_credentials_file_is_named(
    content: str, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "user.creds"
    path.write_text(content)

    with pytest.raises(ConfigurationError, match=f"CREDENTIALS_FILE: .*user.creds: .*{complaint}"):
        await connect(section("nats://127.0.0.1:1", credentials_file=path), "test")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (("cert_file",), "FLEET_NATS__CERT_FILE and FLEET_NATS__KEY_FILE go together"),
        (("cert_file", "key_file"), "FLEET_NATS__CERT_FILE: .*no certificate in PEM"),
        (("ca_file",), "FLEET_NATS__CA_FILE: .*no certificates in PEM"),
    ],
)
async def test_a_wrong_tls_file_is_named(
    fields: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.pem"
    path.write_text("nothing of the kind")
    settings = section("nats://127.0.0.1:1", **dict.fromkeys(fields, path))

    with pytest.raises(ConfigurationError, match=complaint):
        await connect(settings, "test")
