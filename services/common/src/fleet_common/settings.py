"""Settings from the environment: `FLEET_<SECTION>__<FIELD>`, checked at start, printed once.

A service's settings class has one nested model per section. Each field's docstring
gives unit and consequence; the README's tables are made from them.
"""

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from fleet_common.errors import ConfigurationError

_log = logging.getLogger(__name__)


def _empty_is_none(value: object) -> object:
    # Kubernetes manifests and shells write "not set" as an empty string.
    return None if value == "" else value


type OptionalPath = Annotated[Path | None, BeforeValidator(_empty_is_none)]
type OptionalText = Annotated[str | None, BeforeValidator(_empty_is_none)]


class Section(BaseModel):
    """One section of settings; an unknown field is an error that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class NatsSection(Section):
    """The connection to NATS."""

    url: str = "nats://127.0.0.1:4222"
    """Server addresses, comma separated. All of one cluster."""
    token: SecretStr | None = None
    """Token, where the server asks for one."""
    user: OptionalText = None
    """User name, where the server asks for one; needs `password`."""
    password: SecretStr | None = None
    """Password of `user`."""
    credentials_file: OptionalPath = None
    """A `.creds` file with JWT and key, where the server uses accounts."""
    ca_file: OptionalPath = None
    """CA that signed the server's certificate; turns TLS on."""
    connect_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """Seconds for one connection attempt. Attempts go on for ever."""
    request_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """Seconds a JetStream API call may take before it counts as failed."""


class AdminSection(Section):
    """The HTTP port for /metrics, /healthz and /readyz."""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` in a pod."""
    port: int = Field(default=9100, ge=0, le=65535)
    """Port; 0 turns the endpoint off."""


class LogSection(Section):
    """Logging to standard error."""

    level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """DEBUG is for developers, INFO for an operator following along."""
    format: str = Field(default="json", pattern="^(json|text)$")
    """`json` is one object a line; `text` is for people at a terminal."""


class TracingSection(Section):
    """OpenTelemetry traces; off until an endpoint is given."""

    endpoint: OptionalText = None
    """OTLP/HTTP traces endpoint, e.g. `http://collector:4318/v1/traces`. Unset: no tracing."""
    sample_ratio: float = Field(default=0.01, ge=0, le=1)
    """Share of polls traced. A sampled event carries about 70 bytes of headers."""


class RuntimeSection(Section):
    """Start and stop."""

    grace_seconds: float = Field(default=10.0, gt=0, le=600)
    """Seconds from SIGTERM until the process ends itself, done or not."""


class ServiceSettings(BaseSettings):
    """What every service has; a service adds its own section."""

    model_config = SettingsConfigDict(
        env_prefix="FLEET_",
        env_nested_delimiter="__",
        extra="ignore",  # one environment may serve several services
        frozen=True,
        use_attribute_docstrings=True,
    )

    nats: NatsSection = NatsSection()
    admin: AdminSection = AdminSection()
    log: LogSection = LogSection()
    tracing: TracingSection = TracingSection()
    runtime: RuntimeSection = RuntimeSection()


def load_settings[SettingsT: ServiceSettings](settings_class: type[SettingsT]) -> SettingsT:
    """Read and check the environment.

    Raises ConfigurationError that names each wrong variable, its value and what is allowed.
    """
    try:
        return settings_class()
    except ValidationError as error:
        lines = [
            _explain(".".join(str(part) for part in item["loc"]), item["msg"], item["input"])
            for item in error.errors(include_url=False)
        ]
        raise ConfigurationError("settings are wrong:\n" + "\n".join(lines)) from error


def _explain(location: str, message: str, value: object) -> str:
    variable = "FLEET_" + location.upper().replace(".", "__")
    secret = any(word in location for word in ("password", "token", "secret"))
    shown = "(hidden)" if secret else repr(value)
    return f"  {variable}: {message}; it is {shown}"


def redacted(settings: BaseSettings) -> dict[str, Any]:
    """The effective settings with secrets as asterisks, ready for one log line."""
    return settings.model_dump(mode="json")


def log_settings(service: str, settings: ServiceSettings) -> None:
    """Print the effective settings once."""
    _log.info("settings", extra={"service": service, "settings": redacted(settings)})


def exit_on_bad_settings(error: ConfigurationError) -> int:
    """Print the error for a person and return the exit code for main()."""
    sys.stderr.write(f"{error}\n")
    return 2
