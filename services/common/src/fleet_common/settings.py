"""Settings from the environment: `FLEET_<SECTION>__<FIELD>`, checked at start, printed once.

A service's settings class has one nested model per section. Each field's docstring
gives unit and consequence; the README's tables are made from them.
"""

import logging
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Final, TypeAliasType, cast, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretBytes,
    SecretStr,
    ValidationError,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from fleet_common.errors import ConfigurationError

_log = logging.getLogger(__name__)

_URL_CREDENTIALS: Final = re.compile(r"//[^@/\s'\"]+@")
_LONGEST_VALUE: Final = 200


def _empty_is_none(value: object) -> object:
    # Kubernetes manifests and shells write "not set" as an empty string.
    return None if value == "" else value


type OptionalPath = Annotated[Path | None, BeforeValidator(_empty_is_none)]
type OptionalText = Annotated[str | None, BeforeValidator(_empty_is_none)]
type OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_empty_is_none)]


class Section(BaseModel):
    """One section of settings; an unknown field is an error that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class NatsSection(Section):
    """The connection to NATS."""

    url: str = "nats://127.0.0.1:4222"
    """Server addresses, comma separated. All of one cluster."""
    token: OptionalSecret = None
    """Token, where the server asks for one."""
    user: OptionalText = None
    """User name, where the server asks for one; needs `password`."""
    password: OptionalSecret = None
    """Password of `user`."""
    credentials_file: OptionalPath = None
    """A `.creds` file with JWT and key, where the server uses accounts."""
    ca_file: OptionalPath = None
    """CA that signed the server's certificate (PEM). With it, or with `tls://` in the URL, a
    server without TLS is sent nothing. Unset: the system's CAs."""
    cert_file: OptionalPath = None
    """The client's own certificate (PEM), where the server asks for one; needs `key_file`."""
    key_file: OptionalPath = None
    """Key of `cert_file`. Files are read anew for every connection: renewing them needs no
    restart."""
    server_name: OptionalText = None
    """Name to look for in the server's certificate, where it is not the one in the URL."""
    connect_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """Seconds for one connection attempt. Attempts go on for ever."""
    request_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """Seconds a JetStream API call may take before it counts as failed."""


class AdminSection(Section):
    """The HTTP port for /metrics, /healthz, /livez and /readyz."""

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

    Raises ConfigurationError that names each wrong variable, its value and what is
    allowed; the value of a secret is not shown.
    """
    try:
        return settings_class()
    except ValidationError as error:
        lines = [
            _explain(settings_class, item)
            for item in error.errors(include_url=False, include_context=False)
        ]
        raise ConfigurationError("settings are wrong:\n" + "\n".join(lines)) from error
    except SettingsError as error:  # a whole section given as text that is not JSON
        raise ConfigurationError(f"settings are wrong:\n  {error}") from error


def _explain(settings_class: type[BaseModel], item: ErrorDetails) -> str:
    location = [str(part) for part in item["loc"]]
    variable = "FLEET_" + "__".join(location).upper()
    match item["type"]:
        case "extra_forbidden":
            known = _fields_beside(settings_class, location)
            return f"  {variable}: no such setting; there are {known}"
        case "missing":
            return f"  {variable}: not set, and it has no default"
        case _:
            message = item["msg"]
    value = item["input"]
    if isinstance(value, BaseModel | dict):
        return f"  {variable}: {message}"  # a whole section, its secrets with it
    shown = "(hidden)" if _is_secret(settings_class, location) else _shortened(value)
    return f"  {variable}: {message}; it is {shown}"


def _shortened(value: object) -> str:
    text = without_credentials(repr(value))
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _fields_beside(settings_class: type[BaseModel], location: list[str]) -> str:
    section = _field_type(settings_class, location[:-1])
    names = section.model_fields if section is not None else {}
    return ", ".join("FLEET_" + "__".join([*location[:-1], name]).upper() for name in names)


def _is_secret(settings_class: type[BaseModel], location: list[str]) -> bool:
    section = _field_type(settings_class, location[:-1])
    field = section.model_fields.get(location[-1]) if section is not None else None
    if field is not None and _holds_secret(field.annotation):
        return True
    return any(word in part for part in location for word in ("password", "token", "secret"))


def _holds_secret(annotation: object) -> bool:
    if isinstance(annotation, TypeAliasType):
        return _holds_secret(annotation.__value__)
    if annotation is SecretStr or annotation is SecretBytes:
        return True
    return any(_holds_secret(argument) for argument in get_args(annotation))


def _field_type(settings_class: type[BaseModel], location: list[str]) -> type[BaseModel] | None:
    """The section at a location; None where it is not a section."""
    section = settings_class
    for name in location:
        field = section.model_fields.get(name)
        if field is None or not isinstance(field.annotation, type):
            return None
        if not issubclass(field.annotation, BaseModel):
            return None
        section = field.annotation
    return section


def without_credentials(text: str) -> str:
    """The text with user and password of every URL in it replaced by asterisks."""
    return _URL_CREDENTIALS.sub("//***@", text)


def redacted(settings: BaseSettings) -> dict[str, Any]:
    """The effective settings with secrets as asterisks, ready for one log line."""
    return _without_credentials_inside(settings.model_dump(mode="json"))


def _without_credentials_inside(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    match value:
        case str():
            return without_credentials(value)
        case dict():
            items = cast("dict[str, Any]", value).items()
            return {key: _without_credentials_inside(inner) for key, inner in items}
        case list():
            return [_without_credentials_inside(inner) for inner in cast("list[Any]", value)]
        case _:
            return value


def log_settings(service: str, settings: ServiceSettings) -> None:
    """Print the effective settings once."""
    _log.info("settings", extra={"service": service, "settings": redacted(settings)})


def exit_on_bad_settings(error: ConfigurationError) -> int:
    """Print the error for a person and return the exit code for main()."""
    sys.stderr.write(f"{error}\n")
    return 2
