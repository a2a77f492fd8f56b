"""The catalogue, its examples and the code agree with each other."""

import json
from pathlib import Path

import pytest
from google.protobuf import json_format

from fleet_contracts.catalog import CatalogEntry, load_catalog
from fleet_contracts.codec import (
    BODY_FIELD,
    SCHEMA_VERSION,
    RejectedEventError,
    decode,
    encode,
)
from fleet_contracts.gen.fleet.v1.events_pb2 import Event
from fleet_contracts.streams import MAX_MESSAGE_BYTES
from fleet_contracts.subjects import Kind, message_id, parse_subject
from fleet_contracts.view import event_view
from support.examples import (
    EXAMPLES,
    RejectedExample,
    ValidExample,
    event_of,
    load_example,
    rejected_examples,
    valid_examples,
)

ROOT = Path(__file__).resolve().parents[2]
CATALOG = load_catalog()
VALID = valid_examples()
REJECTED = rejected_examples()
SERVICES = {"poller", "writer", "firmware-checker", "gateway", "cli"}
FILE_STORE_RECORD_BYTES = 34  # of a message with headers, nats-server 2.15

entries = pytest.mark.parametrize("entry", CATALOG.values(), ids=lambda entry: entry.kind.value)
valid = pytest.mark.parametrize("example", VALID, ids=lambda example: example.name)
rejected = pytest.mark.parametrize("example", REJECTED, ids=lambda example: example.name)


def test_every_kind_has_an_entry_and_a_body() -> None:
    assert set(CATALOG) == set(Kind)
    assert set(BODY_FIELD) == set(Kind)
    bodies = {field.name for field in Event.DESCRIPTOR.oneofs_by_name["body"].fields}
    assert set(BODY_FIELD.values()) == bodies


@entries
def test_producers_and_consumers_are_services_of_this_repository(entry: CatalogEntry) -> None:
    assert entry.producer in SERVICES
    assert entry.consumers
    assert set(entry.consumers) <= SERVICES
    assert entry.producer not in entry.consumers
    for service in (entry.producer, *entry.consumers):
        folder = service.removesuffix("-checker")
        assert (ROOT / "services" / folder / "pyproject.toml").is_file()


@entries
def test_the_subject_is_that_of_the_kind(entry: CatalogEntry) -> None:
    subject = entry.subject.replace("<tenant>", "acme").replace("<device>", "core-1")
    assert parse_subject(subject).kind is entry.kind
    assert str(parse_subject(subject)) == subject


@entries
def test_cadence_and_sizes_are_bounds_that_the_stream_accepts(entry: CatalogEntry) -> None:
    assert entry.cadence_seconds > 0
    assert entry.stored_bytes > 0
    assert 0 < entry.max_payload_bytes <= MAX_MESSAGE_BYTES


@entries
def test_every_named_example_exists_and_is_of_the_kind(entry: CatalogEntry) -> None:
    assert entry.examples
    for name in entry.examples:
        example = next(example for example in VALID if example.name == name)
        assert parse_subject(example.subject).kind is entry.kind


def test_no_example_lies_around_unnamed() -> None:
    named = {name for entry in CATALOG.values() for name in entry.examples}
    assert {example.name for example in VALID} == named
    assert {path.suffix for path in EXAMPLES.rglob("*") if path.is_file()} == {".yaml"}


@valid
def test_an_example_decodes_to_what_it_describes(example: ValidExample) -> None:
    decoded = decode(example.subject, encode(example.event))
    assert decoded.event == example.event
    assert str(decoded.subject) == example.subject


@valid
def test_encoding_what_was_decoded_gives_the_same_bytes(example: ValidExample) -> None:
    payload = encode(example.event)
    assert encode(decode(example.subject, payload).event) == payload


@valid
def test_bytes_sent_when_the_example_was_added_mean_the_same_today(example: ValidExample) -> None:
    assert decode(example.subject, example.payload).event == example.event
    assert example.event.schema_version == SCHEMA_VERSION


@valid
def test_the_view_of_an_example_is_the_committed_one(example: ValidExample) -> None:
    view = event_view(decode(example.subject, example.payload))
    assert json.loads(json.dumps(view, allow_nan=False)) == example.view


@valid
def test_an_example_keeps_its_size_budget(example: ValidExample) -> None:
    entry = CATALOG[parse_subject(example.subject).kind]
    assert len(encode(example.event)) <= entry.max_payload_bytes


@entries
def test_the_planner_s_first_guess_is_near_the_first_example(entry: CatalogEntry) -> None:
    example = next(example for example in VALID if example.name == entry.examples[0])
    subject = parse_subject(example.subject)
    identity = message_id(subject.device, subject.kind, example.event.slot_unix_ms)
    headers = f"NATS/1.0\r\nNats-Msg-Id: {identity}\r\n\r\n"
    stored = len(example.payload) + len(example.subject) + len(headers) + FILE_STORE_RECORD_BYTES
    assert 0.4 < stored / entry.stored_bytes < 1.3, stored


@rejected
def test_a_rejected_example_is_rejected_with_exactly_its_reason(example: RejectedExample) -> None:
    with pytest.raises(RejectedEventError) as caught:
        decode(example.subject, example.payload)
    assert caught.value.reason == example.reason
    assert caught.value.subject == example.subject
    assert str(caught.value) == f"{example.subject}: {example.reason}"


def test_every_check_of_the_codec_has_a_rejected_example() -> None:
    fields = {example.reason.partition(":")[0] for example in REJECTED}
    assert fields == {
        "subject", "tenant", "device", "payload", "schema_version", "slot_unix_ms", "body",
        "status.reachability", "status.error_message", "interfaces.ids",
        "interfaces.tx_bytes_total", "interfaces.running_bitmap", "wireless.clients.mac_address",
        "inventory.interfaces.id", "inventory.interfaces.mac_address", "firmware_advice.verdict",
        "inventory.interfaces.last_up_router_unix_seconds",
        "interfaces.link_changes.last_down_router_unix_seconds",
        "firmware_advice.latest_released_unix_seconds", "firmware_advice.channel_read_unix_seconds",
        "trim.cause", "trim.from_sequence", "trim.to_unix_ms",
    }  # fmt: skip


def test_a_misspelt_field_in_an_example_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("event: {status: {reachabilty: REACHABILITY_UP}}", encoding="utf-8")
    with pytest.raises(json_format.ParseError, match="reachabilty"):
        event_of(load_example(path))
