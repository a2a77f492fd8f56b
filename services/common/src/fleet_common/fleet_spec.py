"""The RouterFleet resource: what `kubectl apply` and `routerfleet demo --fleet` both take.

One RouterFleet is one tenant; its name is the tenant id.
"""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from fleet_common.errors import ConfigurationError
from fleet_common.units import Bytes, Seconds
from fleet_contracts.streams import StreamStorage
from fleet_contracts.subjects import STREAM_DEVICE, DeviceId, TenantId, check_label

API_VERSION = "routerfleet.io/v1alpha1"
KIND = "RouterFleet"
PLAIN_PORT = 8728
TLS_PORT = 8729

type Label = Annotated[str, AfterValidator(lambda value: check_label(value, "name"))]


class SpecModel(BaseModel):
    """camelCase in YAML, snake_case here; an unknown field is an error."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


class TlsMode(StrEnum):
    """How a router is recognised."""

    PLAIN = "plain"
    """No TLS; only for a network you trust."""
    VERIFY = "verify"
    """The certificate must come from the CA given and carry the address or server name."""
    PINNED = "pinned"
    """The certificate must have the fingerprint given."""
    ANONYMOUS = "anonymous"
    """Anonymous Diffie-Hellman, api-ssl without a certificate: hidden from listeners only."""


class SecretReference(SpecModel):
    """A Secret in the resource's namespace, or a folder of that name on a laptop."""

    name: Label
    """The Secret's name."""


class CredentialsSpec(SpecModel):
    """Where user name and password are."""

    secret_ref: SecretReference
    """Secret with the keys `username` and `password`."""


class TlsSpec(SpecModel):
    """How the connection to a router is protected."""

    mode: TlsMode = TlsMode.PLAIN
    """plain, verify, pinned or anonymous."""
    ca_secret_ref: SecretReference | None = None
    """Secret with the key `ca.crt`; for `verify`. Unset: the system's CAs."""
    server_name: str | None = Field(default=None, min_length=1, max_length=253)
    """The name the certificate must carry; unset: the device's address. For `verify`."""
    fingerprint_sha256: str | None = Field(
        default=None, pattern="^[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){31}$"
    )
    """SHA-256 of the certificate (DER), hexadecimal, colons allowed; for `pinned`."""

    @model_validator(mode="after")
    def _fields_fit_the_mode(self) -> Self:
        if self.mode is TlsMode.PINNED and self.fingerprint_sha256 is None:
            raise ValueError("mode pinned needs fingerprintSha256")
        if self.mode is not TlsMode.PINNED and self.fingerprint_sha256 is not None:
            raise ValueError(f"fingerprintSha256 goes with mode pinned, not {self.mode.value}")
        return self


class CadenceSpec(SpecModel):
    """How often each kind is read. A multiple of `interval`; others are rounded up to one."""

    interval: Annotated[Seconds, Field(ge=0.2, le=86400)] = 60.0
    """Seconds between two polls of a device; status comes with each."""
    health: Annotated[Seconds, Field(gt=0, le=86400)] | None = None
    """Unset: at every poll."""
    interfaces: Annotated[Seconds, Field(gt=0, le=86400)] | None = None
    """Unset: at every poll."""
    wireless: Annotated[Seconds, Field(gt=0, le=86400)] | None = None
    """Unset: at every poll."""
    firmware: Annotated[Seconds, Field(gt=0, le=604800)] = 21600.0
    """Installed version, channel and RouterBOOT."""
    inventory: Annotated[Seconds, Field(gt=0, le=86400)] = 1800.0
    """What rarely changes is sent again after this time even without a change."""


class DeviceSpec(SpecModel):
    """One router."""

    name: Label
    """DNS-1123 label, unique in the fleet."""
    address: str = Field(min_length=1, max_length=253)
    """Host name or IP address."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """API port; unset: 8728, with TLS 8729."""
    credentials: CredentialsSpec | None = None
    """Other credentials than the fleet's."""
    tls: TlsSpec | None = None
    """Other TLS settings than the fleet's; replaces them whole."""
    suspend: bool = False
    """Keep the device but do not poll it."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Free text for people, e.g. the site."""

    @field_validator("address")
    @classmethod
    def _address_is_a_host(cls, value: str) -> str:
        if any(character.isspace() or character in "/@" for character in value):
            raise ValueError("a host name or IP address, without scheme, user, port or spaces")
        return value


class EventsSpec(SpecModel):
    """The tenant's stream."""

    replay_window: Annotated[Seconds, Field(ge=300, le=31 * 86400)] = 6 * 3600.0
    """How far back a reader should be able to go; the planner may have to shorten it."""
    max_bytes: Annotated[Bytes, Field(ge=1024 * 1024)] | None = None
    """Upper bound of the stream; unset: what the planner finds."""
    storage: StreamStorage = StreamStorage.FILE
    """file or memory."""
    replicas: Literal[1, 3, 5] = 1
    """Copies in a NATS cluster."""


class ShardsSpec(SpecModel):
    """How many pollers share the fleet."""

    min: int = Field(default=1, ge=0, le=100)
    """At least this many."""
    max: int = Field(default=20, ge=1, le=100)
    """At most this many."""
    devices_per_shard: int = Field(default=1000, ge=1, le=10000)
    """One more shard for each so many devices."""
    replicas: int | None = Field(default=None, ge=0, le=100)
    """A fixed number instead."""

    @model_validator(mode="after")
    def _min_is_not_above_max(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class RouterFleetSpec(SpecModel):
    """The desired state of one tenant's fleet."""

    credentials: CredentialsSpec
    """User and password for all devices that name no other."""
    tls: TlsSpec = TlsSpec()
    """TLS for all devices that name no other."""
    cadence: CadenceSpec = CadenceSpec()
    """How often each kind is read."""
    events: EventsSpec = EventsSpec()
    """The stream."""
    shards: ShardsSpec = ShardsSpec()
    """The pollers."""
    suspend: bool = False
    """Stop polling the whole fleet."""
    devices: list[DeviceSpec] = Field(default_factory=list, max_length=10000)
    """The routers."""

    @field_validator("devices")
    @classmethod
    def _names_are_unique(cls, devices: list[DeviceSpec]) -> list[DeviceSpec]:
        twice = [name for name, count in Counter(d.name for d in devices).items() if count > 1]
        if twice:
            raise ValueError(f"device names must be unique; twice or more: {', '.join(twice[:5])}")
        if any(device.name == STREAM_DEVICE for device in devices):
            raise ValueError(
                f"no device may be called {STREAM_DEVICE}: events about the stream have that name"
            )
        return devices


class Metadata(BaseModel):
    """The part of Kubernetes' object metadata that matters here."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Label
    namespace: str | None = None


class RouterFleet(SpecModel):
    """The whole resource."""

    api_version: Literal["routerfleet.io/v1alpha1"] = API_VERSION
    kind: Literal["RouterFleet"] = KIND
    metadata: Metadata
    spec: RouterFleetSpec

    @property
    def tenant(self) -> TenantId:
        """The tenant id is the resource's name."""
        return TenantId(self.metadata.name)

    def device_ids(self) -> Iterator[DeviceId]:
        """The names of all devices, in the file's order."""
        return (DeviceId(device.name) for device in self.spec.devices)


def load_fleet_file(path: Path) -> list[RouterFleet]:
    """The fleets of a YAML file of one or more documents.

    Raises ConfigurationError that names file, document, field, value and what is allowed.
    """
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"fleet file {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"fleet file {path}: not YAML: {error}") from error
    fleets = [
        parse_fleet(document, f"{path}, document {number}")
        for number, document in enumerate(documents, 1)
        if document is not None
    ]
    if not fleets:
        raise ConfigurationError(f"fleet file {path}: holds no RouterFleet")
    twice = [name for name, count in Counter(f.metadata.name for f in fleets).items() if count > 1]
    if twice:
        raise ConfigurationError(
            f"fleet file {path}: metadata.name: each fleet is a tenant of its own; "
            f"twice: {', '.join(twice)}"
        )
    return fleets


def parse_fleet(document: object, source: str) -> RouterFleet:
    """One resource; raises ConfigurationError naming `source` and each wrong field."""
    try:
        return RouterFleet.model_validate(document)
    except ValidationError as error:
        lines = [f"  {_explain(item)}" for item in error.errors(include_url=False)]
        raise ConfigurationError(
            f"{source}: not a valid RouterFleet:\n" + "\n".join(lines)
        ) from error


def _explain(item: ErrorDetails) -> str:
    where = _location(item["loc"])
    if item["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(_allowed_fields(item["loc"][:-1])))
        return f"{where}: no such field; allowed here: {allowed}"
    if item["type"] == "missing":
        return f"{where}: is missing and must be given"
    message = item["msg"].removeprefix("Value error, ")
    value = item["input"]
    shown = f" (it is {value!r})" if isinstance(value, str | int | float | bool) else ""
    return f"{where}: {message}{shown}"


def _allowed_fields(parts: tuple[int | str, ...]) -> list[str]:
    """The YAML names of the fields of the model at a location of the document."""
    model: type[BaseModel] = RouterFleet
    for part in parts:
        for name, field in model.model_fields.items():
            if part in {name, field.alias}:
                model = next(_models_in(field.annotation), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _location(parts: tuple[int | str, ...]) -> str:
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "[" not in part and "(" not in part:  # not pydantic's own validator names
            text += f".{part}" if text else part
    return text or "document"
