import pytest
from pydantic import Field, SecretStr

from fleet_common.errors import ConfigurationError
from fleet_common.settings import (
    OptionalPath,
    Section,
    ServiceSettings,
    exit_on_bad_settings,
    load_settings,
    redacted,
    without_credentials,
)


class ExampleSection(Section):
    """A section."""

    interval_seconds: float = Field(default=5, gt=0, le=60)
    """Seconds."""
    database: SecretStr = SecretStr("postgresql://u:hunter2@h/d")
    """A secret whose name does not say so."""
    file: OptionalPath = None
    """A file."""
    pin: SecretStr | None = Field(default=None, min_length=6)
    """Another secret."""


class ExampleSettings(ServiceSettings):
    """A service's settings."""

    example: ExampleSection = ExampleSection()


class RequiredSection(Section):
    """A section with a field that has no default."""

    tenant: str
    """A name."""
    password: SecretStr = SecretStr("x")
    """A secret."""


class RequiredSettings(ServiceSettings):
    """Settings that cannot be empty."""

    required: RequiredSection


def complaint(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(ExampleSettings)
    return str(caught.value)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_EXAMPLE__INTERVAL_SECONDS", "2.5")
    monkeypatch.setenv("FLEET_NATS__URL", "nats://broker:4222")
    settings = load_settings(ExampleSettings)
    assert settings.example.interval_seconds == 2.5
    assert settings.nats.url == "nats://broker:4222"


def test_a_wrong_value_names_variable_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = complaint(monkeypatch, FLEET_EXAMPLE__INTERVAL_SECONDS="-3", FLEET_LOG__LEVEL="LOUD")
    assert "FLEET_EXAMPLE__INTERVAL_SECONDS: Input should be greater than 0; it is '-3'" in said
    assert "FLEET_LOG__LEVEL: " in said
    assert "DEBUG|INFO|WARNING|ERROR" in said
    assert "it is 'LOUD'" in said


def test_a_misspelt_variable_is_refused_with_the_ones_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = complaint(monkeypatch, FLEET_NATS__PASSWRD="hunter2")
    assert "FLEET_NATS__PASSWRD: no such setting; there are FLEET_NATS__URL, " in said
    assert "FLEET_NATS__PASSWORD" in said
    assert "hunter2" not in said


def test_a_secret_is_not_shown_whatever_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    said = complaint(monkeypatch, FLEET_EXAMPLE__PIN="1234")
    assert "FLEET_EXAMPLE__PIN" in said
    assert "(hidden)" in said
    assert "1234" not in said


def test_credentials_inside_a_url_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    said = complaint(monkeypatch, FLEET_LOG__LEVEL="nats://me:hunter2@broker")
    assert "nats://***@broker" in said
    assert "hunter2" not in said


def test_a_missing_value_is_named_without_showing_its_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLEET_REQUIRED__PASSWORD", "hunter2")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(RequiredSettings)
    assert "FLEET_REQUIRED__TENANT: not set, and it has no default" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_section_that_is_no_json_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    said = complaint(monkeypatch, FLEET_NATS="nats://broker")
    assert said.startswith("settings are wrong:")
    assert '"nats"' in said


def test_variables_of_another_service_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_ELSEWHERE__FIELD", "x")
    assert load_settings(ExampleSettings) == ExampleSettings()


def test_an_empty_variable_means_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_EXAMPLE__FILE", "")
    monkeypatch.setenv("FLEET_NATS__TOKEN", "")
    monkeypatch.setenv("FLEET_NATS__USER", "")
    settings = load_settings(ExampleSettings)
    assert settings.example.file is None
    assert settings.nats.token is None
    assert settings.nats.user is None


def test_the_printed_settings_hide_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEET_NATS__TOKEN", "hunter2")
    monkeypatch.setenv("FLEET_NATS__URL", "nats://me:hunter2@one:4222,nats://me:hunter2@two:4222")
    printed = redacted(load_settings(ExampleSettings))
    assert "hunter2" not in str(printed)
    assert printed["nats"]["url"] == "nats://***@one:4222,nats://***@two:4222"
    assert printed["nats"]["token"] == "**********"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nats://broker:4222", "nats://broker:4222"),
        ("nats://token@broker", "nats://***@broker"),
        ("mail me@here", "mail me@here"),
        ("http://h/a@b", "http://h/a@b"),
    ],
)
def test_only_credentials_are_taken_out_of_urls(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


def test_bad_settings_end_with_code_2_and_text_for_a_person(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_on_bad_settings(ConfigurationError("FLEET_X: wrong")) == 2
    assert capsys.readouterr().err == "FLEET_X: wrong\n"


def test_settings_cannot_be_changed_after_the_start() -> None:
    settings = load_settings(ExampleSettings)
    with pytest.raises(ValueError, match="frozen"):
        settings.example.interval_seconds = 9
