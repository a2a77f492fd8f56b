"""What every shard's pod has, whichever fleet it serves: image, connection, the chart's wishes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from fleet_common.errors import ConfigurationError
from fleet_common.settings import LogSection
from fleet_operator.settings import OperatorSettings


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


def poller_pods(settings: OperatorSettings) -> PollerPods:
    """From the settings. Raises ConfigurationError."""
    section = settings.operator
    if (section.poller_nats_user is None) != (section.poller_nats_password is None):
        raise ConfigurationError(
            "FLEET_OPERATOR__POLLER_NATS_USER and FLEET_OPERATOR__POLLER_NATS_PASSWORD go together"
        )
    password = section.poller_nats_password
    return PollerPods(
        image=section.poller_image,
        pull_policy=section.poller_pull_policy,
        nats_url=section.poller_nats_url or settings.nats.url,
        nats_user=section.poller_nats_user,
        nats_password=None if password is None else password.get_secret_value(),
        log=settings.log,
        extras=load_extras(section.poller_pod_file),
    )
