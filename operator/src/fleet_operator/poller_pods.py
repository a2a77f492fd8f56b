"""What every shard's pod has, whichever fleet it serves: image, connection, the chart's wishes."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from fleet_common.errors import ConfigurationError
from fleet_common.settings import LogSection
from fleet_operator.settings import OperatorSection, OperatorSettings

_log = logging.getLogger(__name__)

CA_FILE: Final = "ca.crt"
CERT_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"
CREDENTIALS_FILE: Final = "user.creds"


class PodExtras(BaseModel):
    """The file that `FLEET_OPERATOR__POLLER_POD_FILE` names; Kubernetes' own words and shapes."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )

    resources: dict[str, Any] | None = None
    node_selector: dict[str, str] | None = None
    tolerations: list[dict[str, Any]] | None = None
    affinity: dict[str, Any] | None = None
    topology_spread_constraints: list[dict[str, Any]] | None = None
    """Unset: spread over nodes where that is possible. A constraint without labelSelector gets
    the fleet's."""
    image_pull_secrets: list[dict[str, str]] | None = None
    priority_class_name: str | None = None
    pod_labels: dict[str, str] = Field(default_factory=dict)
    pod_annotations: dict[str, str] = Field(default_factory=dict)
    env: dict[str, str] = Field(default_factory=dict)
    """More environment, e.g. FLEET_POLLER__CONCURRENT_LOGINS. Values must be text."""
    termination_grace_period_seconds: int = Field(default=30, ge=1, le=3600)


@dataclass(frozen=True, slots=True)
class PollerPods:
    """The same for all fleets."""

    image: str
    pull_policy: str
    nats_url: str
    nats_user: str | None
    nats_password: str | None
    log: LogSection
    nats_files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """Content of CA_FILE, CERT_FILE, KEY_FILE and CREDENTIALS_FILE, as far as there are any."""
    nats_server_name: str | None = None
    extras: PodExtras = field(default_factory=PodExtras)


def load_extras(path: Path | None) -> PodExtras:
    """Read the file; none when there is none. Raises ConfigurationError naming the field."""
    if path is None:
        return PodExtras()
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
        # An option left empty in the chart's values means: not set.
        given = {
            name: value
            for name, value in cast("dict[str, Any]", content or {}).items()
            if value is not None and value not in ("", [], {})
        }
        return PodExtras.model_validate(given)
    except OSError as error:
        raise ConfigurationError(
            f"FLEET_OPERATOR__POLLER_POD_FILE: {path}: {error.strerror}"
        ) from error
    except (yaml.YAMLError, AttributeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"FLEET_OPERATOR__POLLER_POD_FILE: {path}: not a YAML map: {error}"
        ) from error
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
            for item in error.errors(include_url=False)
        ]
        raise ConfigurationError(
            f"FLEET_OPERATOR__POLLER_POD_FILE: {path}: " + "; ".join(lines)
        ) from error


class PodSource:
    """The pods from the settings, with what the files of the NATS connection hold now."""

    def __init__(self, settings: OperatorSettings) -> None:
        section = settings.operator
        _together(section, "poller_nats_user", "poller_nats_password")
        _together(section, "poller_nats_cert_file", "poller_nats_key_file")
        files = {
            CA_FILE: settings.nats.ca_file,
            CERT_FILE: section.poller_nats_cert_file,
            KEY_FILE: section.poller_nats_key_file,
            CREDENTIALS_FILE: section.poller_nats_credentials_file,
        }
        self._files = {name: path for name, path in files.items() if path is not None}
        password = section.poller_nats_password
        try:
            content = self._read()
        except OSError as error:
            raise ConfigurationError(f"a file for the pollers: {error}") from error
        self._pods = PollerPods(
            image=section.poller_image,
            pull_policy=section.poller_pull_policy,
            nats_url=section.poller_nats_url or settings.nats.url,
            nats_user=section.poller_nats_user,
            nats_password=None if password is None else password.get_secret_value(),
            log=settings.log,
            nats_files=content,
            nats_server_name=settings.nats.server_name,
            extras=load_extras(section.poller_pod_file),
        )

    def now(self) -> PollerPods:
        """The same object as long as nothing changed; as before when a file cannot be read."""
        try:
            content = self._read()
        except OSError as error:
            _log.warning("a file for the pollers cannot be read", extra={"reason": str(error)})
            return self._pods
        if content != self._pods.nats_files:
            _log.info("files for the pollers changed", extra={"files": sorted(content)})
            self._pods = replace(self._pods, nats_files=content)
        return self._pods

    def _read(self) -> dict[str, bytes]:
        return {name: path.read_bytes() for name, path in self._files.items()}


def _together(section: OperatorSection, one: str, other: str) -> None:
    if (getattr(section, one) is None) != (getattr(section, other) is None):
        names = (f"FLEET_OPERATOR__{name.upper()}" for name in (one, other))
        raise ConfigurationError(" and ".join(names) + " go together")
