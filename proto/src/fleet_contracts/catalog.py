"""The catalogue of event kinds, read from catalog.yaml."""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, cast

import yaml

from fleet_contracts.subjects import Kind


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One kind: who sends and reads it, how often (seconds), how large (bytes)."""

    kind: Kind
    producer: str
    consumers: tuple[str, ...]
    subject: str
    cadence_seconds: float
    stored_bytes: int
    max_payload_bytes: int
    examples: tuple[str, ...]


@cache
def load_catalog() -> dict[Kind, CatalogEntry]:
    """All kinds; an entry for each, checked by the contract tests."""
    text = resources.files("fleet_contracts").joinpath("catalog.yaml").read_text(encoding="utf-8")
    document = cast("dict[str, dict[str, dict[str, Any]]]", yaml.safe_load(text))
    return {
        Kind(name): CatalogEntry(
            kind=Kind(name),
            producer=entry["producer"],
            consumers=tuple(entry["consumers"]),
            subject=entry["subject"],
            cadence_seconds=float(entry["cadence_seconds"]),
            stored_bytes=int(entry["stored_bytes"]),
            max_payload_bytes=int(entry["max_payload_bytes"]),
            examples=tuple(entry["examples"]),
        )
        for name, entry in document["kinds"].items()
    }
