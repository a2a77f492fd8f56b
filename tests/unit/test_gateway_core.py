"""The gateway's pure parts: positions, frames, coalescing, rings, sessions, tokens, health."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fleet_common.errors import ConfigurationError
from fleet_common.tracing import Tracing
from fleet_contracts.codec import encode
from fleet_contracts.subjects import DeviceId, Kind, TenantId, tenant_id
from fleet_gateway import sessions
from fleet_gateway.auth import Authenticator
from fleet_gateway.channel import Channel, Delivery, Member
from fleet_gateway.client import Client
from fleet_gateway.client_context import ClientContext, ClientLimits, Resume
from fleet_gateway.entries import Entry, RawMessage, render_entry
from fleet_gateway.errors import ApiError
from fleet_gateway.events import EventStream
from fleet_gateway.frames import event_frame, frame_data, http_chunk
from fleet_gateway.hub import Hub
from fleet_gateway.ingest import Feed, Ingest
from fleet_gateway.log import NotContiguousError, RingLimits, Standing, TenantLog
from fleet_gateway.outlet import EXTENSION
from fleet_gateway.positions import (
    BadPositionError,
    Mark,
    Vector,
    epoch_of,
    parse_position,
    render_mark,
)
from fleet_gateway.reader import StreamReader
from fleet_gateway.replay import Replays
from fleet_gateway.selection import ChannelKey, Selection, coalesce
from fleet_gateway.settings import AuthSection
from fleet_gateway.telemetry import GatewayMetrics
from fleet_gateway.tokens import Grant, find_grant, read_tokens
from support.gateway import Router
from support.waiting import eventually

NORTH = TenantId("north")
SOUTH = TenantId("south")
TOKEN = "a-token-of-good-length"


def entry(seq: int, device: str = "a", kind: Kind = Kind.STATUS, tenant: TenantId = NORTH) -> Entry:
    return Entry(
        tenant=tenant,
        device=DeviceId(device),
        kind=kind,
        seq=seq,
        epoch="e",
        mark=render_mark(tenant, Mark(seq, "e")),
        frame=event_frame(kind, orjson.dumps({"seq": seq})),
        published_unix=0.0,
    )


marks = st.dictionaries(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).map(tenant_id),
    st.builds(
        Mark, st.integers(0, 2**63), st.from_regex(r"[0-9a-z]{7}", fullmatch=True)
    ),
    min_size=1,
    max_size=8,
)  # fmt: skip


@given(marks)
def test_a_rendered_position_parses_back(position: dict[TenantId, Mark]) -> None:
    line = Vector(position).id_line()
    assert parse_position(line.decode().removeprefix("id: ").rstrip("\n"), ()) == position


@given(st.text(max_size=60))
def test_any_text_is_a_position_or_is_refused(text: str) -> None:
    with contextlib.suppress(BadPositionError):
        assert parse_position(text, [NORTH])


@pytest.mark.parametrize(
    ("text", "tenants", "parsed"),
    [
        ("17", [NORTH], {NORTH: Mark(17, "")}),
        ("north:17", [], {NORTH: Mark(17, "")}),
        ("north:17:abc, south:4:x", [], {NORTH: Mark(17, "abc"), SOUTH: Mark(4, "x")}),
    ],
)
def test_positions_written_by_hand_are_taken(
    text: str, tenants: list[TenantId], parsed: dict[TenantId, Mark]
) -> None:
    assert parse_position(text, tenants) == parsed


@pytest.mark.parametrize(
    "text", ["17", "", "north", "north:", "north:-1", "north:1:A", "No:1", "north:1,north:2", "²"]
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(BadPositionError):
        parse_position(text, [NORTH, SOUTH])


def test_epochs_differ_between_incarnations_and_only_there() -> None:
    created = "2026-11-24T14:00:00.123456+00:00"
    assert epoch_of(created) == epoch_of(created)
    assert epoch_of(created) != epoch_of("2026-11-24T14:00:00.123457+00:00")
    assert len(epoch_of(created)) == 7


def test_frames_hold_their_data_on_one_line() -> None:
    data = orjson.dumps({"text": "two\nlines \u2028 \r"})
    frame = event_frame(Kind.FIRMWARE_ADVICE, data)
    assert frame == b"event: firmware-advice\ndata: " + data + b"\n\n"
    assert frame.count(b"\n") == 3
    assert frame_data(Kind.FIRMWARE_ADVICE, frame) == data
    assert http_chunk(b"x" * 20) == b"14\r\n" + b"x" * 20 + b"\r\n"


def test_coalescing_keeps_the_latest_of_each_key_in_stream_order() -> None:
    entries = [
        entry(1, "a"), entry(2, "b"), entry(3, "a"), entry(4, "a", Kind.HEALTH),
        entry(5, "b"), entry(6, "a", tenant=SOUTH),
    ]  # fmt: skip
    assert [e.seq for e in coalesce(entries)] == [3, 4, 5, 6]


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 20), st.integers(0, 60))
def test_a_ring_gives_back_exactly_what_came_after_a_mark(
    valid: list[bool], size: int, at: int
) -> None:
    log = TenantLog(NORTH, RingLimits(1 << 20, size))
    log.restart("e", 0, [])
    for seq, good in enumerate(valid, start=1):
        log.append(entry(seq)) if good else log.skip(seq)
    wanted = [seq for seq, good in enumerate(valid, start=1) if good and seq > at]
    standing = log.standing(Mark(at, "e"))
    if at > len(valid):
        assert standing is Standing.AHEAD
    elif standing is Standing.IN_RING:
        assert [e.seq for e in log.since(at)] == wanted
    else:
        assert standing is Standing.BEFORE_RING
        assert len(wanted) > size or log.base > at
        with pytest.raises(NotContiguousError):
            log.since(at)
    assert log.ring_entries <= size
    assert log.standing(Mark(at, "other")) is Standing.OTHER_EPOCH


def test_a_rings_bytes_are_bounded() -> None:
    one = entry(1).size_bytes
    log = TenantLog(NORTH, RingLimits(one * 10, 1000))
    log.restart("e", 0, [])
    for seq in range(1, 101):
        log.append(entry(seq))
        assert log.ring_bytes <= one * 10
    assert log.ring_entries >= 8
    with pytest.raises(NotContiguousError):
        log.append(entry(102))


def test_a_device_is_gone_when_no_status_of_it_is_left() -> None:
    log = TenantLog(NORTH, RingLimits(1 << 20, 100))
    facts = [entry(1, "old"), entry(2, "young"), entry(3, "old", Kind.FIRMWARE)]
    log.restart("e", 3, facts)
    log.append(entry(4, "young"))
    assert log.state.gone(first_seq=3, published_before_unix=10) == ["old"]
    assert log.state.gone(first_seq=3, published_before_unix=-1) == []
    log.state.forget(DeviceId("old"))
    assert [name for name, _ in log.state] == ["young"]


def grant(token: str = TOKEN, name: str = "noc") -> Grant:
    return Grant(name, None, digest=hashlib.sha256(token.encode()).digest())


def test_a_session_holds_until_its_time_or_its_token_ends() -> None:
    cookie = sessions.issue(grant(), 1000)
    assert sessions.verify(cookie, [grant()], 999) == (grant(), 1000)
    assert sessions.verify(cookie, [grant()], 1000) is None
    assert sessions.verify(cookie, [grant("another-token-of-noc")], 999) is None
    assert sessions.verify(cookie, [], 999) is None


@given(st.text(max_size=80))
def test_no_other_text_is_a_session(text: str) -> None:
    assert sessions.verify(text, [grant()], 0) is None


def test_tokens_are_found_by_their_text_alone() -> None:
    grants = [grant(), grant("second-token-for-tests", "b")]
    assert find_grant(grants, "second-token-for-tests") is grants[1]
    assert find_grant(grants, "second-token-for-test") is None
    assert "digest" not in repr(grants[0])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tokens: [{name: a, tenants: [x]}]", "either token or sha256"),
        ("tokens: [{name: a, token: short, tenants: [x]}]", "at least 16"),
        ("tokens: [{name: a, token: 0123456789abcdef, tenants: []}]", "tenants"),
        ("tokens: [{name: a, token: 0123456789abcdef, tenants: [X]}]", "DNS-1123"),
        ("tokens: [{name: a, sha256: xyz, tenants: [x]}]", "sha256"),
        ("tokens: [{name: a, token: 0123456789abcdef, tenants: [x], extra: 1}]", "extra"),
        ("tokens: [0123456789abcdef", "not YAML: line"),
        ("- a", "document"),
    ],
)
def test_a_wrong_token_file_is_explained_without_its_secrets(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "tokens.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=says) as caught:
        read_tokens(path)
    assert "0123456789abcdef" not in str(caught.value)
    assert str(path) in str(caught.value)


class Sink:
    """A channel's member that keeps what it gets."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def deliver(self, chunk: bytes) -> None:
        self.chunks.append(chunk)

    def admit(self) -> bool:
        return True

    def part(self, marks: object) -> None:
        raise AssertionError(marks)


def test_members_share_bytes_and_a_sampled_event_gets_one_span() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider, "gateway")
    delivery = Delivery(lambda _delay, _call: None, 0.01, GatewayMetrics(), tracing)
    log = TenantLog(NORTH, RingLimits(1 << 20, 100))
    log.restart("e", 0, [])
    keys = (ChannelKey(Selection()), ChannelKey(Selection(), 0.25))
    channels = [Channel(key, {NORTH: log}, delivery) for key in keys]
    sinks = [Sink(), Sink(), Sink()]
    for channel in channels:
        for sink in sinks:
            channel.join(cast("Member", sink))
    router = Router(NORTH, 0)
    with tracing.span("poll") as span:
        headers = tracing.headers(span)
    for seq, kind in enumerate((Kind.STATUS, Kind.HEALTH), start=1):
        message = RawMessage(
            router.subject(kind), encode(router.poll(0)[kind]), seq, time.time(), headers
        )
        parent = tracing.parent(headers) if kind is Kind.STATUS else None
        rendered = render_entry(message, "e", parent)
        log.append(rendered)
        for channel in channels:
            channel.offer(rendered)
    for channel in channels:
        channel.flush()
    spans = [span for span in exporter.get_finished_spans() if span.name == "sse deliver"]
    assert len(spans) == 1
    assert spans[0].attributes is not None
    assert spans[0].attributes["fleet.clients"] == 3
    assert spans[0].context is not None
    assert spans[0].parent is not None
    assert all(len(sink.chunks) == 2 for sink in sinks)
    assert sinks[0].chunks[0] is sinks[1].chunks[0] is sinks[2].chunks[0]


def stream_info(last_seq: int, created: str = "then") -> StreamInfo:
    state = SimpleNamespace(first_seq=1, last_seq=last_seq)
    return cast("StreamInfo", SimpleNamespace(created=created, state=state))


def test_ingest_is_unwell_when_the_stream_goes_on_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("fleet_gateway.ingest.time.monotonic", lambda: now[0])
    metrics = GatewayMetrics()
    tracing = Tracing(None, "test")
    hub = Hub(RingLimits(1 << 20, 10), Delivery(lambda _d, _c: None, 0, metrics, tracing))
    ingest = Ingest(
        NORTH,
        cast("JetStreamContext", None),
        cast("StreamReader", None),
        Feed(hub, metrics, tracing),
    )
    now[0] += 60
    ingest.observe(stream_info(0))
    assert ingest.why_unwell(20) is None
    ingest.observe(stream_info(500))
    now[0] += 19
    ingest.observe(stream_info(600))
    assert ingest.why_unwell(20) is None
    now[0] += 2
    reason = ingest.why_unwell(20)
    assert reason is not None
    assert "north" in reason
    assert "600" in reason


async def test_ingest_is_not_stuck_while_its_attempts_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker does not answer for its stream, as without a leader; later nothing moves."""
    now = [100.0]
    monkeypatch.setattr("fleet_gateway.ingest.time.monotonic", lambda: now[0])
    monkeypatch.setattr("fleet_gateway.ingest._RETRY_SECONDS", 0)
    answering, asked = asyncio.Event(), asyncio.Event()

    class Silent:
        async def stream_info(self, _name: str) -> StreamInfo:
            asked.set()
            await answering.wait()
            answering.clear()
            raise TimeoutError

    metrics, tracing = GatewayMetrics(), Tracing(None, "test")
    hub = Hub(RingLimits(1 << 20, 10), Delivery(lambda _d, _c: None, 0, metrics, tracing))
    js, reader = cast("JetStreamContext", Silent()), cast("StreamReader", None)
    ingest = Ingest(NORTH, js, reader, Feed(hub, metrics, tracing))
    ingest.observe(stream_info(500))
    reading = asyncio.create_task(ingest.run())
    for _ in range(5):
        async with asyncio.timeout(5):
            await asked.wait()
        asked.clear()
        assert not ingest.is_stuck(20)
        now[0] += 15
        answering.set()
    async with asyncio.timeout(5):
        await asked.wait()
    assert ingest.why_unwell(20) is not None
    assert not ingest.is_stuck(20)
    now[0] += 21
    assert ingest.is_stuck(20)
    reading.cancel()


def test_metric_names_follow_the_rules() -> None:
    for row in GatewayMetrics().table:
        assert row.name.startswith("fleet_gateway_")
        assert row.help.endswith(".")
        assert (row.type == "counter") == row.name.endswith("_total")
        assert not {"device", "client"} & set(row.labels)


def read_counter(metrics: GatewayMetrics, name: str) -> Any:  # noqa: ANN401 - prometheus_client's own
    return metrics.registry.get_sample_value(name)


def test_deliveries_count_events_times_members() -> None:
    metrics = GatewayMetrics()
    delivery = Delivery(lambda _d, _c: None, 0, metrics, Tracing(None, "test"))
    log = TenantLog(NORTH, RingLimits(1 << 20, 100))
    log.restart("e", 0, [])
    channel = Channel(ChannelKey(Selection()), {NORTH: log}, delivery)
    for _ in range(3):
        channel.join(cast("Member", Sink()))
    for seq in (1, 2):
        log.append(entry(seq))
        channel.offer(entry(seq))
    channel.flush()
    assert read_counter(metrics, "fleet_gateway_deliveries_total") == 6
    assert read_counter(metrics, "fleet_gateway_writes_total") == 3


class SlowOutlet:
    """A socket whose far end takes what the test says."""

    def __init__(self) -> None:
        self.waiting = 0
        self.aborted = False

    def write(self, chunk: bytes) -> None:
        self.waiting += len(chunk)

    def buffered(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.aborted = True


def slow_client(reason: list[str | None]) -> tuple[Client, SlowOutlet]:
    """A client that is cut above 1,000 bytes or after 30 s; `reason` is what its token says."""
    metrics = GatewayMetrics()
    tracing = Tracing(None, "test")
    hub = Hub(RingLimits(1 << 20, 10), Delivery(lambda _d, _c: None, 0, metrics, tracing))
    limits = ClientLimits(1000, 30, 2000, 100)
    context = ClientContext(hub, cast("Replays", None), limits, metrics)
    outlet = SlowOutlet()
    client = Client(context, ChannelKey(Selection()), Resume({}), outlet, lambda: reason[0])
    hub.enter(client)
    return client, outlet


async def test_clients_that_wait_for_the_start_are_counted_when_it_comes() -> None:
    metrics = GatewayMetrics()
    hub = Hub(
        RingLimits(1 << 20, 10), Delivery(lambda _d, _c: None, 0, metrics, Tracing(None, "test"))
    )
    limits = ClientLimits(1000, 30, 2000, 100)
    events = EventStream(
        ClientContext(hub, cast("Replays", None), limits, metrics),
        Authenticator(AuthSection(mode="none"), metrics),
        max_clients=2,
    )
    opened: list[asyncio.Task[None]] = []

    async def visit() -> None:
        scope = {
            "query_string": b"", "scheme": "http", "extensions": {EXTENSION: OpenOutlet()},
        }  # fmt: skip
        client = await events.open(scope, {}, [], ignore)
        await client.serve(ignore)

    opened += [asyncio.create_task(visit()) for _ in range(5)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in opened), "all wait for the start"
    hub.ready.set()
    refused = await eventually(
        lambda: [task for task in opened if task.done()], lambda done: len(done) == 3
    )
    codes = [cast("ApiError", task.exception()).code for task in refused]
    assert codes == ["too_many_clients"] * 3
    served = [task for task in opened if task not in refused]
    assert len(hub.clients) == len(served) == 2
    for task in served:
        task.cancel()
    await asyncio.gather(*served, return_exceptions=True)


async def ignore(message: dict[str, Any]) -> None:
    """Takes what a response would send."""


class OpenOutlet(SlowOutlet):
    """As a connection sets it up."""

    on_lost: Callable[[], None] | None = None

    def bound_kernel_buffer(self) -> None:
        """There is no kernel behind it."""


async def test_a_client_is_cut_when_a_write_finds_too_much_untaken() -> None:
    client, outlet = slow_client([None])
    client.deliver(b"x" * 5000)
    assert client.ended is None, "one large chunk makes nobody slow"
    client.deliver(b"x")
    assert client.ended == "slow"
    assert outlet.aborted
    assert outlet.waiting == 5000


async def test_a_client_is_cut_when_it_takes_nothing_for_long() -> None:
    client, outlet = slow_client([None])
    client.deliver(b"x" * 500)
    for now in (0, 20):
        client.sweep(now)
    outlet.waiting -= 100  # it lives
    for now in (40, 60, 75):
        client.sweep(now)
        assert client.ended is None
    client.sweep(95)
    assert client.ended == "stalled"
    assert outlet.aborted


async def test_a_revoked_token_ends_its_stream_politely() -> None:
    reason: list[str | None] = [None]
    client, outlet = slow_client(reason)
    client.sweep(0)
    assert client.ended is None
    reason[0] = "revoked"
    client.sweep(5)
    client.gone()
    assert client.ended == "revoked", "the first reason stands"
    assert not outlet.aborted
