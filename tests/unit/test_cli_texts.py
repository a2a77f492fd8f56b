"""What people read: status line, events, log lines, and what the SSE client understands."""

import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from fleet_cli.database import DeviceState, Position
from fleet_cli.event_lines import EventFilter, event_json, event_text
from fleet_cli.event_source import SseFrame, frames, marks
from fleet_cli.figures import POLLER_COUNTERS, Figures, StreamSize, events_added
from fleet_cli.log_lines import readable, readable_end
from fleet_cli.scrape import CounterTotals, parse_metrics
from fleet_cli.status import Moment, count_devices, rates, status_line
from fleet_cli.stream_reader import StreamMessage
from fleet_common.direct import StoredMessage
from fleet_common.streams.measure import stored_bytes
from fleet_contracts.codec import encode
from fleet_contracts.gen.fleet.v1.events_pb2 import Event, Health, Status
from fleet_contracts.subjects import Kind
from fleet_poller.metrics import PollerMetrics

BEGAN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SLOT_MS = 1_795_521_600_000


def device(
    name: str, slot: datetime | None, *, reachable: bool | None, seen: datetime | None = None
) -> DeviceState:
    return DeviceState("north", name, reachable, slot, seen, None, None)


def test_only_polls_of_this_run_tell_whether_a_device_is_up() -> None:
    figures = Figures(
        devices=[
            device("a", BEGAN + timedelta(seconds=1), reachable=True),
            device("b", BEGAN - timedelta(hours=1), reachable=True),
            device("c", BEGAN, reachable=False),
            device("d", None, reachable=None),
            # Polled right after the start, for the slot just past.
            device("e", BEGAN - timedelta(seconds=2), reachable=True, seen=BEGAN),
            device("of-another-fleet", BEGAN, reachable=True),
        ]
    )
    wanted = {("north", name) for name in "abcde"}
    count = count_devices(figures, wanted, BEGAN)
    assert count is not None
    assert (count.total, count.up, count.down, count.known) == (5, 2, 1, 3)


def test_a_database_that_cannot_be_asked_is_not_shown_as_zero_devices() -> None:
    assert count_devices(Figures(), {("north", "a")}, BEGAN) is None
    line = status_line(5, None, None, Figures(), 0)
    assert "devices unknown" in line
    assert "streams unknown" in line
    assert "rows" not in line


def test_the_status_line_has_rates_rows_sizes_and_restarts() -> None:
    figures = Figures(
        devices=[device("a", BEGAN, reachable=True)],
        positions=[Position("north", "FLEET_north", "x", 0, 1, 9, 9, 0, 0, 12_345, 0, 0)],
        streams=[StreamSize("north", 512 * 1024, 64 * 1024**2, 9)],
    )
    speed = rates([Moment(10.0, 100, 500), Moment(20.0, 150, 900)])
    count = count_devices(figures, {("north", "a"), ("north", "b")}, BEGAN)
    line = status_line(65, count, speed, figures, 2)
    assert line == (
        "up 1m5s · devices 1/2 up · 5.0 polls/s · 40.0 events/s · 12,345 rows · "
        "streams north 512.0 KiB of 64.0 MiB · 2 restarts"
    )


def test_one_reading_gives_no_rate() -> None:
    assert rates([Moment(10.0, 100, 500)]) is None


def message(kind: Kind, payload: bytes, device_name: str = "core-1") -> StreamMessage:
    return StreamMessage(
        "FLEET_north", 7, f"fleet.north.{device_name}.{kind.value}", payload, BEGAN
    )


def status_payload() -> bytes:
    return encode(
        Event(
            slot_unix_ms=SLOT_MS, status=Status(reachability="REACHABILITY_UP", uptime_seconds=42)
        )
    )


def test_an_event_is_one_line_with_its_fields() -> None:
    text = event_text(message(Kind.STATUS, status_payload()))
    assert "north/core-1 status" in text
    assert "reachability=up" in text
    assert "uptime_seconds=42" in text


def test_an_event_as_json_has_its_place_in_the_stream() -> None:
    document = event_json(message(Kind.STATUS, status_payload()))
    assert (document["stream"], document["sequence"]) == ("FLEET_north", 7)
    assert document["status"]["uptime_seconds"] == 42
    json.dumps(document)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xff\xff\xff", "not a fleet.v1.Event"),
        (b"", "schema_version"),
        (encode(Event(slot_unix_ms=SLOT_MS, health=Health())), "body: health"),
    ],
    ids=["garbage", "empty", "other-kind"],
)
def test_a_message_that_is_no_event_is_shown_with_the_reason(payload: bytes, reason: str) -> None:
    bad = message(Kind.STATUS, payload)
    assert "not a valid event" in event_text(bad)
    assert reason in event_text(bad)
    assert reason in event_json(bad)["rejected"]


def test_filters_choose_by_tenant_kind_and_device() -> None:
    wanted = EventFilter(frozenset({"north"}), frozenset({Kind.STATUS}), frozenset({"core-1"}))
    assert wanted.covers("fleet.north.core-1.status")
    assert not wanted.covers("fleet.south.core-1.status")
    assert not wanted.covers("fleet.north.core-1.health")
    assert not wanted.covers("fleet.north.core-2.status")


def test_a_message_without_a_valid_subject_is_shown_unless_filtered() -> None:
    assert EventFilter().covers("fleet.north.core-1.nonsense")
    assert not EventFilter(kinds=frozenset({Kind.STATUS})).covers("fleet.north.core-1.nonsense")


async def lines(texts: Iterable[str]) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def test_sse_blocks_comments_and_split_data() -> None:
    stream = lines(
        [
            "retry: 2000", "", ": a comment", "id: north:7:abc", "",
            "id: north:8:abc", "event: status", "data: {", "data: }", "",
        ]
    )  # fmt: skip
    assert [frame async for frame in frames(stream)] == [
        SseFrame(id="north:7:abc"),
        SseFrame(event="status", data="{}", id="north:8:abc"),
    ]


def test_positions_of_an_id() -> None:
    assert marks("north:123:1k9f2a,south:456:0zz81b") == {"north": 123, "south": 456}
    assert marks("") == {}
    assert marks("nonsense") == {}


def test_counters_go_on_when_a_process_begins_anew() -> None:
    totals = CounterTotals()
    name = "things_total"
    for value in (3, 10, 2, 5):
        totals.update(parse_metrics(f'things_total{{kind="a"}} {value}\n'), [name])
    assert totals.total(name) == 15
    totals.update(parse_metrics('things_total{kind="b"} 4\nothers_total 9\n'), [name])
    assert totals.by_label(name, "kind") == {"a": 15, "b": 4}
    assert totals.total("others_total") == 0


def test_the_counters_that_are_read_are_those_the_poller_has() -> None:
    assert {row.name for row in PollerMetrics().table} >= set(POLLER_COUNTERS)


def test_a_slot_polled_again_after_a_restart_adds_nothing_to_the_stream() -> None:
    metrics = PollerMetrics()
    metrics.acknowledged.labels("status").inc(10)
    metrics.acknowledged.labels("health").inc(4)
    metrics.duplicates.labels("status").inc(3)
    totals = CounterTotals()
    totals.update(parse_metrics(generate_latest(metrics.registry).decode()), POLLER_COUNTERS)
    assert events_added(totals) == {Kind.STATUS: 7, Kind.HEALTH: 4}


def test_a_stored_message_s_size_leaves_out_what_direct_get_adds() -> None:
    plain = StoredMessage("fleet.a.b.status", 1, b"x" * 100, {"Nats-Sequence": "1"})
    assert stored_bytes(plain) == 100 + len("fleet.a.b.status") + 30
    headers = {"Nats-Msg-Id": "s1-b", "Nats-Sequence": "1", "Nats-Stream": "FLEET_a"}
    with_id = StoredMessage("fleet.a.b.status", 1, b"x" * 100, headers)
    raw = len("NATS/1.0\r\nNats-Msg-Id: s1-b\r\n\r\n")
    assert stored_bytes(with_id) == 100 + len("fleet.a.b.status") + raw + 34


def test_log_records_are_shortened_to_what_they_say(tmp_path: Path) -> None:
    record = {
        "time": "2026-11-24T14:37:31.107Z",
        "level": "ERROR",
        "logger": "fleet_common.runtime",
        "message": "cannot start",
        "service": "writer",
        "reason": "no paper",
    }
    assert readable(json.dumps(record)) == "14:37:31 ERROR cannot start reason=no paper"
    assert readable(json.dumps({**record, "message": "settings"})) is None
    failed = readable(json.dumps({**record, "exc_info": "Traceback\n  x\nValueError: bad"}))
    assert failed is not None
    assert failed.endswith("ValueError: bad")
    assert readable("plain text") == "plain text"
    assert len(readable("x" * 1000) or "") == 300
    log = tmp_path / "thing.log"
    log.write_text("".join(f"{number}\n" for number in range(20)))
    assert readable_end(log, 2) == "    18\n    19"
    assert readable_end(tmp_path / "none.log") == "    (nothing)"
