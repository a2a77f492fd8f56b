"""The committed examples of events under proto/examples, for every test that wants real ones.

A valid example has `subject`, `event` (protobuf's JSON mapping with the names of
events.proto), `payload_hex` (the bytes as sent when the example was added: they must
decode for ever) and `view` (the plain JSON that readers see). A rejected one has
`subject`, `event` or `payload_hex`, and the exact `reason`. Two YAML tags keep bytes
readable: `!hex 48:8F:5A:01:02:03`, and `!bits 1101` with the first flag on the left.
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from google.protobuf import json_format

from fleet_contracts.columns import pack_bits
from fleet_contracts.gen.fleet.v1.events_pb2 import Event

EXAMPLES = Path(__file__).resolve().parents[2] / "proto/examples"


class _Loader(yaml.SafeLoader):
    """Safe YAML with the two tags."""


def _hex(loader: yaml.SafeLoader, node: yaml.Node) -> str:
    assert isinstance(node, yaml.ScalarNode)
    text = str(loader.construct_scalar(node))
    return base64.b64encode(bytes.fromhex(text.replace(":", ""))).decode()


def _bits(loader: yaml.SafeLoader, node: yaml.Node) -> str:
    assert isinstance(node, yaml.ScalarNode)
    text = str(loader.construct_scalar(node))
    return base64.b64encode(pack_bits([flag == "1" for flag in text])).decode()


_Loader.add_constructor("!hex", _hex)
_Loader.add_constructor("!bits", _bits)


@dataclass(frozen=True, slots=True)
class ValidExample:
    """One event that every reader must take."""

    name: str
    subject: str
    event: Event
    payload: bytes
    view: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RejectedExample:
    """One message that every reader must refuse, with the reason to be given."""

    name: str
    subject: str
    payload: bytes
    reason: str


def load_example(path: Path) -> dict[str, Any]:
    """One file as it stands, tags resolved."""
    document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    return cast("dict[str, Any]", document)


def event_of(document: dict[str, Any]) -> Event:
    """The event an example describes, without a schema version unless it names one."""
    return json_format.ParseDict(document["event"], Event())


def valid_examples() -> list[ValidExample]:
    """All valid examples, by file name."""
    examples: list[ValidExample] = []
    for path in sorted((EXAMPLES / "valid").glob("*.yaml")):
        document = load_example(path)
        examples.append(
            ValidExample(
                name=path.name,
                subject=document["subject"],
                event=event_of(document),
                payload=bytes.fromhex(document["payload_hex"]),
                view=document["view"],
            )
        )
    return examples


def rejected_examples() -> list[RejectedExample]:
    """All rejected examples, by file name."""
    examples: list[RejectedExample] = []
    for path in sorted((EXAMPLES / "rejected").glob("*.yaml")):
        document = load_example(path)
        if "payload_hex" in document:
            payload = bytes.fromhex(document["payload_hex"])
        else:
            payload = event_of(document).SerializeToString()
        examples.append(
            RejectedExample(path.name, document["subject"], payload, document["reason"])
        )
    return examples
