"""Whatever happens in whatever order, a client sees every event once, or is told to begin anew.

The hub, logs, channels and clients are the real ones; the stream and the socket are small
models, and time is a queue of timers that the test fires when it likes.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_common.tracing import Tracing
from fleet_contracts.subjects import DeviceId, Kind, TenantId
from fleet_gateway.channel import Delivery
from fleet_gateway.client import Client
from fleet_gateway.client_context import ClientContext, ClientLimits, Resume
from fleet_gateway.entries import Entry
from fleet_gateway.frames import event_frame
from fleet_gateway.hub import Hub
from fleet_gateway.log import RingLimits
from fleet_gateway.positions import Mark, parse_position, render_mark
from fleet_gateway.replay import Batch, ReplayFailedError
from fleet_gateway.selection import ChannelKey, Selection
from fleet_gateway.telemetry import GatewayMetrics

TENANTS = (TenantId("north"), TenantId("south"))
KINDS = (Kind.STATUS, Kind.HEALTH)
DEVICES = (DeviceId("a"), DeviceId("b"))
LIMITS = ClientLimits(
    max_backlog_bytes=1 << 20, stall_seconds=30, retry_milliseconds=1, replay_max_events=1000
)
_ID = re.compile(rb"^id: (.*)$", re.MULTILINE)


@dataclass
class ModelStream:
    """A tenant's stream: its messages, the first it still holds, its incarnation."""

    tenant: TenantId
    incarnation: int = 0
    first: int = 1
    messages: list[Entry | None] = field(default_factory=list)

    @property
    def epoch(self) -> str:
        return f"e{self.incarnation}"

    @property
    def last(self) -> int:
        return len(self.messages)

    def publish(self, device: DeviceId, kind: Kind, *, valid: bool) -> Entry | None:
        seq = self.last + 1
        entry = None
        if valid:
            entry = Entry(
                tenant=self.tenant,
                device=device,
                kind=kind,
                seq=seq,
                epoch=self.epoch,
                mark=render_mark(self.tenant, Mark(seq, self.epoch)),
                frame=event_frame(kind, orjson.dumps({"seq": seq, "epoch": self.epoch})),
                published_unix=0.0,
            )
        self.messages.append(entry)
        return entry

    def trim(self, keep: int) -> None:
        self.first = max(self.first, self.last + 1 - keep)

    def make_anew(self) -> None:
        self.incarnation += 1
        self.first = 1
        self.messages = []

    def state(self) -> list[Entry]:
        latest: dict[tuple[DeviceId, Kind], Entry] = {}
        for entry in self.messages[self.first - 1 :]:
            if entry is not None:
                latest[entry.device, entry.kind] = entry
        return sorted(latest.values(), key=lambda entry: entry.seq)


class ModelReplayer:
    def __init__(self, streams: dict[TenantId, ModelStream]) -> None:
        self._streams = streams

    async def read(self, tenant: TenantId, epoch: str, after: int, through: int) -> Batch:
        stream = self._streams[tenant]
        await asyncio.sleep(0)
        if stream.epoch != epoch:
            raise ReplayFailedError("recreated")
        if after + 1 < stream.first:
            raise ReplayFailedError("discarded")
        upto = min(through, after + 2)
        entries = [entry for entry in stream.messages[after:upto] if entry is not None]
        return Batch(entries, upto)

    async def reaches(self, tenant: TenantId, epoch: str, seq: int) -> bool:
        stream = self._streams[tenant]
        await asyncio.sleep(0)
        if stream.epoch != epoch:
            raise ReplayFailedError("recreated")
        return seq <= len(stream.messages)


class ModelOutlet:
    """A socket that takes everything at once."""

    def __init__(self, record: bytearray) -> None:
        self.record = record
        self.aborted = False

    def write(self, chunk: bytes) -> None:
        size, _, rest = chunk.partition(b"\r\n")
        self.record += rest[: int(size, 16)]

    def buffered(self) -> int:
        return 0

    def abort(self) -> None:
        self.aborted = True


class Reader:
    """A person's client: keeps its last id, reconnects with it, and checks what it is sent."""

    def __init__(self, world: "World", key: ChannelKey) -> None:
        self.world = world
        self.key = key
        self.record = bytearray()
        self.last_id = ""
        self.position: dict[TenantId, Mark] = {}
        self.resets: list[str] = []
        self.client: Client | None = None
        self.task: asyncio.Task[None] | None = None
        self.connect()

    def connect(self) -> None:
        covered = [log.tenant for log in self.world.hub.covered(self.key.selection)]
        marks = parse_position(self.last_id, covered) if self.last_id else {}
        self.client = Client(
            self.world.context,
            self.key,
            Resume(marks),
            ModelOutlet(self.record),
            lambda: None,
        )
        self.task = asyncio.create_task(self.client.serve(self.send))

    async def send(self, message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        self.record += message["body"]

    async def disconnect(self, *, lose: int) -> None:
        """End the connection; the last `lose` bytes never arrived."""
        assert self.client is not None
        assert self.task is not None
        self.client.gone()
        await self.task
        if lose:
            del self.record[-lose:]
        self.check()

    def check(self) -> None:
        """Read the record block by block against the streams."""
        blocks = bytes(self.record).split(b"\n\n")
        self.record.clear()
        reset: set[TenantId] = set()
        for block in blocks[:-1]:
            event = re.search(rb"^event: (.*)$", block, re.MULTILINE)
            body = re.search(rb"^data: (.*)$", block, re.MULTILINE)
            name = event[1].decode() if event else ""
            data = cast("dict[str, Any]", orjson.loads(body[1]) if body else {})
            ids = _ID.search(block)
            told = parse_position(ids[1].decode(), ()) if ids else None
            match name:
                case "reset":
                    self.resets.append(data["reason"])
                    self._must_be_due(TenantId(data["tenant"]), data["reason"])
                    reset.add(TenantId(data["tenant"]))
                case "snapshot-end":
                    assert told is not None
                    for tenant in data["tenants"]:
                        # Without a reset only a tenant that is new to this client.
                        assert TenantId(tenant) not in self.position.keys() - reset, block
                        reset.discard(TenantId(tenant))
                        self.position[TenantId(tenant)] = told[TenantId(tenant)]
                case "status" | "health":
                    assert told is not None
                    self._follow(told, Kind(name), data)
                case _:
                    if told is not None:  # a heartbeat
                        self._quiet(told)
            if ids:
                self.last_id = ids[1].decode()

    def _must_be_due(self, tenant: TenantId, reason: str) -> None:
        had = self.position.get(tenant)
        assert had is not None, f"reset ({reason}) of a tenant without a position"
        stream = self.world.streams[tenant]
        if had.epoch != stream.epoch:
            return
        assert had.seq + 1 < max(stream.first, self.world.lost[tenant]), (
            f"reset ({reason}) at {had}, but the stream holds {stream.first}..{stream.last}"
        )

    def _follow(self, told: dict[TenantId, Mark], kind: Kind, data: dict[str, Any]) -> None:
        moved = [t for t, mark in told.items() if self.position.get(t) != mark]
        event = (str(data["epoch"]), int(data["seq"]))
        [tenant] = [t for t in moved if (told[t].epoch, told[t].seq) == event]
        for other in moved:
            self._expect_nothing_between(other, told[other], but=told[other].seq)
            self.position[other] = told[other]
        epoch, seq = event
        entry = self.world.history[tenant, epoch][seq - 1]
        assert entry is not None
        assert entry.kind is kind
        assert self.key.selection.takes(entry)

    def _quiet(self, told: dict[TenantId, Mark]) -> None:
        for tenant, mark in told.items():
            self._expect_nothing_between(tenant, mark, but=None)
            self.position[tenant] = mark

    def _expect_nothing_between(self, tenant: TenantId, mark: Mark, but: int | None) -> None:
        """No event this client wants lies between its position and `mark`, `but` aside."""
        had = self.position[tenant]
        assert had.epoch == mark.epoch, (had, mark)
        assert had.seq <= mark.seq, f"{tenant}: went back from {had} to {mark}"
        history = self.world.history[tenant, mark.epoch]
        for entry in history[had.seq : mark.seq]:
            if entry is None or entry.seq == but or not self.key.selection.takes(entry):
                continue
            newer = any(
                later is not None and (later.device, later.kind) == (entry.device, entry.kind)
                for later in history[entry.seq :]
            )
            superseded = newer and self.key.window_seconds > 0
            assert superseded, f"{tenant}: {entry} was never sent between {had} and {mark}"

    def finish(self) -> None:
        """After everything was flushed nothing may be owed."""
        self.check()
        for log in self.world.hub.covered(self.key.selection):
            self._expect_nothing_between(log.tenant, log.mark, but=None)


class World:
    def __init__(self, ring: int) -> None:
        self.timers: list[Callable[[], None]] = []
        self.streams = {tenant: ModelStream(tenant) for tenant in TENANTS}
        self.history: dict[tuple[TenantId, str], list[Entry | None]] = {
            (tenant, stream.epoch): stream.messages for tenant, stream in self.streams.items()
        }
        self.lost = dict.fromkeys(TENANTS, 0)
        metrics = GatewayMetrics()
        self.hub = Hub(
            RingLimits(1 << 20, ring),
            Delivery(
                lambda _delay, call: self.timers.append(call), 0.01, metrics, Tracing(None, "test")
            ),
        )
        self.context = ClientContext(self.hub, ModelReplayer(self.streams), LIMITS, metrics)
        self.hub.restart(TENANTS[0], self.streams[TENANTS[0]].epoch, 0, [])
        self.readers: list[Reader] = []

    def publish(self, tenant: TenantId, device: DeviceId, kind: Kind, *, valid: bool) -> None:
        stream = self.streams[tenant]
        entry = stream.publish(device, kind, valid=valid)
        if tenant not in self.hub.logs:
            return
        if entry is None:
            self.hub.skip(tenant, stream.last)
        else:
            self.hub.append(entry)

    def load(self, tenant: TenantId) -> None:
        stream = self.streams[tenant]
        self.hub.restart(tenant, stream.epoch, stream.last, stream.state())

    def make_anew(self, tenant: TenantId) -> None:
        stream = self.streams[tenant]
        stream.make_anew()
        self.lost[tenant] = 0
        self.history[tenant, stream.epoch] = stream.messages
        if tenant in self.hub.logs:
            self.load(tenant)

    def lose(self, tenant: TenantId, count: int) -> None:
        """Messages come and are trimmed before the gateway has read them."""
        stream = self.streams[tenant]
        for _ in range(count):
            stream.publish(DEVICES[0], KINDS[0], valid=True)
        stream.trim(0)
        self.lost[tenant] = stream.first
        if tenant in self.hub.logs:
            self.load(tenant)

    def reader(self, number: int) -> Reader:
        return self.readers[number % len(self.readers)]

    def fire(self) -> None:
        timers, self.timers = self.timers, []
        for timer in timers:
            timer()


async def settle() -> None:
    for _ in range(60):
        await asyncio.sleep(0)


SELECTIONS = (
    Selection(),
    Selection(frozenset(TENANTS[:1])),
    Selection(frozenset(TENANTS), kinds=frozenset({Kind.HEALTH})),
    Selection(devices=frozenset({DEVICES[1]})),
)

tenants = st.sampled_from(TENANTS)
steps = st.one_of(
    st.tuples(
        st.just("publish"), tenants, st.sampled_from(DEVICES), st.sampled_from(KINDS),
        st.integers(0, 9).map(bool),
    ),
    st.tuples(st.just("trim"), tenants, st.integers(0, 6)),
    st.tuples(st.just("load"), tenants),
    st.tuples(st.just("anew"), tenants),
    st.tuples(st.just("lose"), tenants, st.integers(1, 3)),
    st.tuples(st.just("connect"), st.sampled_from(SELECTIONS), st.sampled_from((0.0, 0.25))),
    st.tuples(st.just("reconnect"), st.integers(0, 3), st.integers(0, 200)),
    st.tuples(st.just("away"), st.integers(0, 3), st.integers(0, 200), st.integers(1, 8)),
    st.tuples(st.just("fire")),
    st.tuples(st.just("settle")),
    st.tuples(st.just("heartbeat")),
)  # fmt: skip


async def play(ring: int, script: list[tuple[Any, ...]]) -> World:
    world = World(ring)
    for step in script:
        await perform(world, step)
    for _ in range(3):
        await settle()
        world.fire()
    for reader in world.readers:
        reader.finish()
        await reader.disconnect(lose=0)
    assert not world.hub.clients
    return world


async def perform(world: World, step: tuple[Any, ...]) -> None:  # noqa: C901, PLR0912 - one arm per step
    match step:
        case ("publish", tenant, device, kind, valid):
            world.publish(tenant, device, kind, valid=valid)
        case ("trim", tenant, keep):
            world.streams[tenant].trim(keep)
        case ("load", tenant):
            world.load(tenant)
        case ("anew", tenant):
            world.make_anew(tenant)
        case ("lose", tenant, count):
            world.lose(tenant, count)
        case ("connect", selection, window):
            world.readers.append(Reader(world, ChannelKey(selection, window)))
        case ("reconnect", number, lose) if world.readers:
            reader = world.reader(number)
            await reader.disconnect(lose=lose)
            reader.connect()
        case ("away", number, lose, count) if world.readers:
            reader = world.reader(number)
            await reader.disconnect(lose=lose)
            for turn in range(count):
                world.publish(TENANTS[0], DEVICES[turn % 2], KINDS[turn // 2 % 2], valid=True)
                world.fire()
            reader.connect()
        case ("fire",):
            world.fire()
        case ("settle",):
            await settle()
        case ("heartbeat",):
            world.hub.heartbeat(15)
        case _:
            return


@settings(max_examples=400, deadline=None)
@given(ring=st.integers(1, 6), script=st.lists(steps, max_size=40))
def test_a_client_gets_the_contiguous_sequence_or_a_reset(
    ring: int, script: list[tuple[Any, ...]]
) -> None:
    asyncio.run(play(ring, script))
