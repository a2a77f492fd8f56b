"""RouterFleets read from documents and files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fleet_common.errors import ConfigurationError
from fleet_common.fleet_spec.devices_from import collect_devices
from fleet_common.fleet_spec.model import RouterFleet, with_devices
from fleet_common.fleet_spec.wording import explain

_PROBLEMS_SHOWN: Final = 20


class _ConfigMap(BaseModel):
    """The part of a ConfigMap document that matters here."""

    class _Metadata(BaseModel):
        name: str
        namespace: str | None = None

    model_config = ConfigDict(extra="ignore")

    kind: Literal["ConfigMap"]
    metadata: _Metadata
    data: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Documents:
    fleets: list[tuple[str, RouterFleet]]
    config_maps: list[_ConfigMap]


def load_fleet_file(path: Path) -> list[RouterFleet]:
    """The fleets of a YAML file of one or more documents.

    Documents of kind ConfigMap hold the devices that `devicesFrom` refers to; the fleets
    returned have them all in `devices`. Raises ConfigurationError that names file,
    document, field, value and what is allowed.
    """
    documents = _read(path)
    if not documents.fleets:
        raise ConfigurationError(f"fleet file {path}: holds no RouterFleet")
    counts = Counter(fleet.metadata.name for _, fleet in documents.fleets)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ConfigurationError(
            f"fleet file {path}: metadata.name: each fleet is a tenant of its own; "
            f"twice: {', '.join(twice)}"
        )
    return [_resolved(fleet, source, documents.config_maps) for source, fleet in documents.fleets]


def parse_fleet(document: object, source: str) -> RouterFleet:
    """One resource; raises ConfigurationError naming `source` and each wrong field."""
    try:
        return RouterFleet.model_validate(document)
    except ValidationError as error:
        lines = [f"  {line}" for line in explain(error, RouterFleet)]
        raise ConfigurationError(
            f"{source}: not a valid RouterFleet:\n" + "\n".join(lines)
        ) from error


def _read(path: Path) -> _Documents:
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"fleet file {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"fleet file {path}: not YAML: {error}") from error
    read = _Documents([], [])
    for number, document in enumerate(documents, 1):
        source = f"{path}, document {number}"
        if document is None:
            continue
        if _kind(document) == "ConfigMap":
            read.config_maps.append(_config_map(document, source))
        else:
            read.fleets.append((source, parse_fleet(document, source)))
    return read


def _kind(document: object) -> object:
    if isinstance(document, dict):
        return cast("dict[str, Any]", document).get("kind")
    return None


def _config_map(document: object, source: str) -> _ConfigMap:
    try:
        return _ConfigMap.model_validate(document)
    except ValidationError as error:
        lines = [f"  {line}" for line in explain(error, _ConfigMap)]
        raise ConfigurationError(
            f"{source}: not a valid ConfigMap:\n" + "\n".join(lines)
        ) from error


def _resolved(fleet: RouterFleet, source: str, config_maps: Sequence[_ConfigMap]) -> RouterFleet:
    if not fleet.spec.devices_from:
        return fleet
    namespace = fleet.metadata.namespace
    seen = {one.metadata.name: one.data for one in config_maps if _visible(one, namespace)}
    inventory = collect_devices(fleet.spec.devices, fleet.spec.devices_from, seen)
    if inventory.problems:
        lines = [f"  {problem}" for problem in inventory.problems[:_PROBLEMS_SHOWN]]
        more = len(inventory.problems) - _PROBLEMS_SHOWN
        if more > 0:
            lines.append(f"  and {more} more")
        raise ConfigurationError(
            f"{source}: the devices of {fleet.metadata.name} cannot be read "
            "(a ConfigMap must be a document of the same file):\n" + "\n".join(lines)
        )
    return with_devices(fleet, inventory.devices)


def _visible(config_map: _ConfigMap, namespace: str | None) -> bool:
    """Namespaces matter where both documents name one."""
    return namespace is None or config_map.metadata.namespace in {None, namespace}
