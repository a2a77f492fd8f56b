"""What each service is given: the settings classes themselves must take it."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleet_cli.environment import (
    Wiring,
    firmware_environment,
    gateway_environment,
    poller_environment,
    writer_environment,
)
from fleet_cli.nats_process import NatsPlan
from fleet_cli.postgres_process import PostgresPlan
from fleet_common.settings import ServiceSettings, load_settings
from fleet_firmware.settings import FirmwareSettings
from fleet_gateway.settings import GatewaySettings
from fleet_poller.settings import PollerSettings
from fleet_writer.settings import WriterSettings

UPGRADE_URL = "http://127.0.0.1:1080/routeros"
WIRING = Wiring(
    nats=NatsPlan(14222, "nats-token", 128_000_000),
    postgres=PostgresPlan(15432, "database-password"),
    gateway_port=18080,
    credentials_directory=Path("/somewhere/credentials"),
    upgrade_url=UPGRADE_URL,
    admin_ports={"writer": 1001, "gateway": 1002, "firmware": 1003, "poller-north": 1004},
)


def settings_from[SettingsT: ServiceSettings](
    monkeypatch: pytest.MonkeyPatch, settings_class: type[SettingsT], values: Mapping[str, str]
) -> SettingsT:
    for name in [name for name in os.environ if name.startswith("FLEET_")]:  # noqa: TID251 - a clean start
        monkeypatch.delenv(name)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load_settings(settings_class)


def test_a_poller_polls_its_tenant_with_the_run_s_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from(monkeypatch, PollerSettings, poller_environment(WIRING, "north"))
    assert (settings.poller.tenant, settings.poller.shard) == ("north", "shard-0")
    assert settings.poller.secrets_directory == Path("/somewhere/credentials")
    assert settings.admin.port == 1004
    assert settings.nats.url == "nats://127.0.0.1:14222"
    assert settings.nats.token is not None
    assert settings.nats.token.get_secret_value() == "nats-token"


def test_the_writer_writes_every_tenant_to_the_run_s_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_from(monkeypatch, WriterSettings, writer_environment(WIRING))
    url = settings.database.url.get_secret_value()
    assert url == "postgresql://fleet:database-password@127.0.0.1:15432/postgres"
    assert settings.writer.tenant_ids == ()


def test_the_gateway_without_tokens_listens_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from(monkeypatch, GatewaySettings, gateway_environment(WIRING))
    assert (settings.gateway.auth.mode, settings.gateway.host) == ("none", "127.0.0.1")
    assert settings.gateway.port == 18080


def test_simulated_firmware_is_checked_against_the_simulator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings_from(monkeypatch, FirmwareSettings, firmware_environment(WIRING))
    assert settings.firmware.upgrade_base_url == UPGRADE_URL


def test_real_firmware_is_checked_against_mikrotik(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = firmware_environment(dataclasses.replace(WIRING, upgrade_url=None))
    settings = settings_from(monkeypatch, FirmwareSettings, environment)
    assert settings.firmware == FirmwareSettings().firmware.model_copy(
        update={"discover_seconds": 1.0}
    )


def test_services_go_through_a_proxy_where_there_is_one_and_the_runner_does_not() -> None:
    wiring = dataclasses.replace(
        WIRING,
        nats=dataclasses.replace(WIRING.nats, through=14223),
        postgres=dataclasses.replace(WIRING.postgres, through=15433),
    )
    environment = writer_environment(wiring)
    assert environment["FLEET_NATS__URL"] == "nats://127.0.0.1:14223"
    assert "@127.0.0.1:15433/" in environment["FLEET_DATABASE__URL"]
    assert wiring.nats.url == WIRING.nats.url
    assert wiring.postgres.url == WIRING.postgres.url
