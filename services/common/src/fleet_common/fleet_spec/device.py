"""One router in a RouterFleet: address, credentials, TLS."""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from fleet_common.fleet_spec.fields import Label, Rule, SpecModel, rules
from fleet_contracts.subjects import STREAM_DEVICE

PLAIN_PORT: Final = 8728
TLS_PORT: Final = 8729

_PINNED_NEEDS: Final = "mode pinned needs fingerprintSha256"
_FINGERPRINT_GOES_WITH: Final = "fingerprintSha256 goes with mode pinned"
_CA_GOES_WITH: Final = "caSecretRef goes with mode verify"
_SERVER_NAME_GOES_WITH: Final = "serverName goes with mode verify"
_HOST: Final = "a host name or IP address, without scheme, user, port or spaces"
_LABELS: Final = "each part of a host name, between its dots, has 1 to 63 characters"
_NOT_IN_ASCII: Final = "this host name has no known form in ASCII; give it as xn--..."
_LONGEST_LABEL: Final = 63
_RESERVED: Final = (
    f"no device may be called {STREAM_DEVICE}: events about the stream have that name"
)


def _check_host(value: str) -> str:
    """Return what can be looked up: nothing else ever reaches the resolver or TLS."""
    if not value.isprintable() or any(one.isspace() or one in "/@" for one in value):
        raise ValueError(_HOST)
    labels = value.removesuffix(".").split(".")
    if not all(1 <= len(label) <= _LONGEST_LABEL for label in labels):
        raise ValueError(_LABELS)
    try:
        value.encode("idna")
    except UnicodeError as error:
        raise ValueError(_NOT_IN_ASCII) from error
    return value


# Two rules: the API server lets one over 10,000 devices cost only so much.
Host = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        json_schema_extra=rules(
            Rule(r"!self.matches('[\\x00-\\x20/@]')", _HOST),
            Rule(r"!self.matches('(^|[.])[.]|[^.]{64}')", _LABELS),
        ),
    ),
    AfterValidator(_check_host),
]
"""A host name (as it is or in Unicode) or an IP address."""


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
    """Secret with the keys `username` and `password`. It is read when a connection is opened; a
    changed one is used from then on, without a restart."""


class TlsSpec(SpecModel):
    """How the connection to a router is protected."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule("self.mode != 'pinned' || has(self.fingerprintSha256)", _PINNED_NEEDS),
            Rule("self.mode == 'pinned' || !has(self.fingerprintSha256)", _FINGERPRINT_GOES_WITH),
            Rule("self.mode == 'verify' || !has(self.caSecretRef)", _CA_GOES_WITH),
            Rule("self.mode == 'verify' || !has(self.serverName)", _SERVER_NAME_GOES_WITH),
        )
    )

    mode: TlsMode = TlsMode.PLAIN
    """plain: no TLS, only for a network you trust. verify: the certificate must come from the CA
    and carry the address or server name. pinned: it must have the fingerprint. anonymous: api-ssl
    without a certificate, hidden from listeners only."""
    ca_secret_ref: SecretReference | None = None
    """Secret with the key `ca.crt`; for `verify`. Unset: the system's CAs."""
    server_name: Host | None = None
    """The name the certificate must carry; unset: the device's address. For `verify`."""
    fingerprint_sha256: str | None = Field(
        default=None, max_length=95, pattern="^[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){31}$"
    )
    """SHA-256 of the certificate (DER), hexadecimal, colons allowed; for `pinned`."""

    @model_validator(mode="after")
    def _fields_fit_the_mode(self) -> Self:
        if self.mode is TlsMode.PINNED and self.fingerprint_sha256 is None:
            raise ValueError(_PINNED_NEEDS)
        if self.mode is not TlsMode.PINNED and self.fingerprint_sha256 is not None:
            raise ValueError(f"{_FINGERPRINT_GOES_WITH}, not {self.mode.value}")
        if self.mode is not TlsMode.VERIFY and self.ca_secret_ref is not None:
            raise ValueError(f"{_CA_GOES_WITH}, not {self.mode.value}")
        if self.mode is not TlsMode.VERIFY and self.server_name is not None:
            raise ValueError(f"{_SERVER_NAME_GOES_WITH}, not {self.mode.value}")
        return self


class DeviceSpec(SpecModel):
    """One router."""

    name: Annotated[
        Label, Field(json_schema_extra=rules(Rule(f"self != '{STREAM_DEVICE}'", _RESERVED)))
    ]
    """DNS-1123 label, unique in the fleet."""
    address: Host
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

    @field_validator("name")
    @classmethod
    def _name_is_not_the_streams(cls, value: str) -> str:
        if value == STREAM_DEVICE:
            raise ValueError(_RESERVED)
        return value
