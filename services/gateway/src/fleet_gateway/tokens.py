"""The token file: who may see which tenants.

tokens:
  - name: noc                 # shown in the page and in logs
    token: a-long-random-text # or  sha256: <hex digest of the token>
    tenants: ["*"]            # or a list of tenant ids
    expires: 2027-01-31T00:00:00Z   # optional
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from fleet_common.errors import ConfigurationError
from fleet_contracts.subjects import BadNameError, TenantId, tenant_id

_MIN_TOKEN_LENGTH: Final = 16
_ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows. `tenants` None means all. `digest` never leaves the process."""

    name: str
    tenants: frozenset[TenantId] | None
    expires_unix: float | None = None
    digest: bytes = field(default=b"", repr=False)

    def allows(self, tenant: TenantId) -> bool:
        """Whether a tenant's events may be seen."""
        return self.tenants is None or tenant in self.tenants

    def expired(self, now_unix: float) -> bool:
        """Whether its time is over."""
        return self.expires_unix is not None and now_unix >= self.expires_unix


OPEN_GRANT: Final = Grant("open", None)
"""Everyone's grant where authentication is off."""


class _TokenEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    token: Annotated[SecretStr, Field(min_length=_MIN_TOKEN_LENGTH)] | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None
    tenants: tuple[str, ...] = Field(min_length=1)
    expires: datetime | None = None

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.token is None) == (self.sha256 is None):
            raise ValueError("give either token or sha256")
        for tenant in self.tenants:
            if tenant != _ALL:
                try:
                    tenant_id(tenant)
                except BadNameError as error:
                    raise ValueError(str(error)) from error
        return self

    def grant(self) -> Grant:
        """The entry as the gateway uses it."""
        if self.token is not None:
            digest = hashlib.sha256(self.token.get_secret_value().encode()).digest()
        else:
            digest = bytes.fromhex(self.sha256 or "")
        expires = self.expires
        if expires is not None and expires.tzinfo is None:
            expires = expires.replace(tzinfo=UTC)
        return Grant(
            name=self.name,
            tenants=None if _ALL in self.tenants else frozenset(map(TenantId, self.tenants)),
            expires_unix=expires.timestamp() if expires is not None else None,
            digest=digest,
        )


class _TokenDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: tuple[_TokenEntry, ...]

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        names = [entry.name for entry in self.tokens]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"names stand twice: {', '.join(doubled)}")
        return self


def read_tokens(path: Path) -> Sequence[Grant]:
    """Read and check the file; raises ConfigurationError that names file and field, no secret."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"FLEET_GATEWAY__AUTH__TOKENS_FILE: {path}: {error}") from error
    try:
        document = _TokenDocument.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not YAML: {_where(error)}") from error
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in item['loc']) or 'document'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigurationError(f"{path}: " + "; ".join(lines)) from error
    return [entry.grant() for entry in document.tokens]


def _where(error: yaml.YAMLError) -> str:
    """The place only: the message itself may quote a line with a token."""
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}" if mark is not None else "unreadable"


def find_grant(grants: Sequence[Grant], token: str) -> Grant | None:
    """The token's grant; compares with every digest in constant time."""
    try:
        digest = hashlib.sha256(token.encode()).digest()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can carry: no token has one
        return None
    found: Grant | None = None
    for grant in grants:
        if hmac.compare_digest(grant.digest, digest):
            found = grant
    return found
