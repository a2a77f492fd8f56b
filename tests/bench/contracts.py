"""Bytes that one poll leaves in the stream, as the real server counts them.

Real events: a poller reads simulated routers over the wire. Each kind's events are then
published to a stream of that kind alone, with their real subjects and message ids, so the
server's own accounting gives the bytes of a stored message, everything included. A poll's
bytes are the sum over kinds of bytes x interval / cadence with the default cadences.
"""

import asyncio
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

import nats
from nats.js import JetStreamContext
from nats.js.api import StorageType

from fleet_common.fleet_spec import CadenceSpec
from fleet_common.planning import cadence_seconds
from fleet_contracts.codec import encode
from fleet_contracts.subjects import DEVICE_KINDS, Kind, message_id
from fleet_simulator.server import Place, running_simulator
from fleet_simulator.world.fleet import build_router
from support.nats import NatsServer
from support.pollers import device_record, running_shard, write_secret
from support.ports import free_port
from support.waiting import eventually

INTERFACES = 10
EVENTS_PER_KIND = 20
_POLLER_KINDS = {Kind.STATUS, Kind.HEALTH, Kind.INTERFACES, Kind.FIRMWARE, Kind.INVENTORY}


def run(runs: int) -> dict[str, float]:
    """Medians over `runs` differently seeded routers and access points."""
    return asyncio.run(_run(runs))


async def _run(runs: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder) / "nats")
        server.start()
        try:
            routers = [await _stored(server, "router", seed) for seed in range(1, runs + 1)]
            points = [await _stored(server, "ap-wifi", seed) for seed in range(1, runs + 1)]
        finally:
            server.stop()
    figures = {
        "stored_bytes_per_poll": statistics.median(map(_per_poll, routers)),
        "stored_bytes_per_poll_access_point": statistics.median(map(_per_poll, points)),
        "stored_bytes_all_kinds_at_once": statistics.median(sum(one.values()) for one in routers),
    }
    for kind in DEVICE_KINDS:
        sizes = [one[kind] for one in (*routers, *points) if kind in one]
        if sizes:
            name = f"stored_bytes_{kind.value.replace('-', '_')}"
            figures[name] = statistics.median(sizes)
    return figures


def _per_poll(bytes_by_kind: dict[Kind, float]) -> float:
    cadence = CadenceSpec()
    return sum(
        size * cadence.interval / cadence_seconds(cadence, kind)
        for kind, size in bytes_by_kind.items()
    )


async def _stored(server: NatsServer, personality: str, seed: int) -> dict[Kind, float]:
    """Bytes of one stored event by kind, for one device of this personality."""
    router = build_router(
        seed, f"rtr-{seed:03d}", personality=personality, interfaces=INTERFACES, tenant="north"
    )
    messages: defaultdict[Kind, list[tuple[str, bytes, str]]] = defaultdict(list)
    wanted = _POLLER_KINDS | ({Kind.WIRELESS} if personality.startswith("ap") else set[Kind]())
    with tempfile.TemporaryDirectory() as folder:
        secrets = Path(folder)
        async with running_simulator([router], [Place("127.0.0.1", free_port())]) as simulator:
            endpoint = simulator.endpoints[0]
            write_secret(secrets, endpoint)
            async with running_shard(secrets, device_record(endpoint)) as shard:
                await eventually(
                    lambda: len(shard.of(endpoint.device, Kind.INTERFACES)),
                    lambda count: count >= EVENTS_PER_KIND,
                    what="the device's events",
                )
                events = list(shard.events)
    for one in events:
        subject, event = one.subject, one.event
        identity = message_id(subject.device, subject.kind, event.slot_unix_ms)
        messages[subject.kind].append((str(subject), encode(event), identity))
    missing = [kind.value for kind in wanted if kind not in messages]
    if missing:
        raise AssertionError(f"{personality} sent no {', '.join(missing)}")
    client = await nats.connect(server.url)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    try:
        js = client.jetstream()  # pyright: ignore[reportUnknownMemberType] - as above
        return {kind: await _mean_size(js, kind, kept) for kind, kept in messages.items()}
    finally:
        await client.close()


async def _mean_size(
    js: JetStreamContext, kind: Kind, messages: list[tuple[str, bytes, str]]
) -> float:
    name = f"SIZE_{kind.value}"
    await js.add_stream(  # pyright: ignore[reportUnknownMemberType] - as above
        name=name, subjects=["fleet.>"], storage=StorageType.FILE, max_bytes=2**24
    )
    try:
        for subject, payload, identity in messages:
            await js.publish(subject, payload, headers={"Nats-Msg-Id": identity})
        state = (await js.stream_info(name)).state
        if state.messages != len(messages):
            raise AssertionError(f"{len(messages)} published, {state.messages} stored")
        return state.bytes / state.messages
    finally:
        await js.delete_stream(name)
