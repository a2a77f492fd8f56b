import contextlib

import pytest
from nats.aio.client import Client
from nats.js.kv import KeyValue

from fleet_common.broker import declare_bucket
from fleet_common.fleet_spec import CadenceSpec, TlsSpec
from fleet_common.inventory import (
    CaughtUp,
    Change,
    DeviceRecord,
    keys_under,
    replace_all,
    watch_records,
)
from fleet_contracts.streams import INVENTORY_BUCKET
from support.waiting import eventually


def record(tenant: str, device: str, address: str = "192.0.2.1") -> DeviceRecord:
    return DeviceRecord(
        tenant=tenant,
        device=device,
        address=address,
        port=8728,
        credentials_secret="s",
        tls=TlsSpec(),
        cadence=CadenceSpec(),
    )


def keyed(*records: DeviceRecord) -> dict[str, DeviceRecord]:
    return {entry.key(): entry for entry in records}


@pytest.fixture
async def bucket(nats_client: Client) -> KeyValue:
    js = nats_client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    return await declare_bucket(js, INVENTORY_BUCKET, 1024 * 1024)


async def test_replacing_with_the_same_records_writes_nothing(bucket: KeyValue) -> None:
    records = keyed(record("north", "a"), record("north", "b"))

    assert await replace_all(bucket, "north", records) == 2
    assert await replace_all(bucket, "north", records) == 0


async def test_replacing_removes_what_is_gone_and_leaves_other_tenants(bucket: KeyValue) -> None:
    await replace_all(bucket, "north", keyed(record("north", "a"), record("north", "b")))
    await replace_all(bucket, "northeast", keyed(record("northeast", "a")))

    writes = await replace_all(bucket, "north", keyed(record("north", "b", "192.0.2.9")))

    assert writes == 2
    assert await keys_under(bucket, "north") == ["north.b"]
    assert await keys_under(bucket, "northeast") == ["northeast.a"]


async def test_a_watch_gives_what_is_there_then_changes(bucket: KeyValue) -> None:
    await replace_all(bucket, "north", keyed(record("north", "a")))

    async with contextlib.aclosing(watch_records(bucket, "north.*", DeviceRecord, 20)) as changes:
        assert await anext(changes) == Change("north.a", record("north", "a"))
        assert await anext(changes) == CaughtUp()
        await bucket.put("north.b", record("north", "b").model_dump_json(by_alias=True).encode())
        assert await anext(changes) == Change("north.b", record("north", "b"))
        await bucket.delete("north.a")
        assert await anext(changes) == Change("north.a", None)


async def test_an_unreadable_record_is_named_and_the_others_go_on(bucket: KeyValue) -> None:
    await bucket.put("north.bad", b'{"tenant": "north"}')
    await replace_all(bucket, "south", keyed(record("south", "a")))

    async with contextlib.aclosing(watch_records(bucket, "*.*", DeviceRecord, 20)) as changes:
        bad, good = await anext(changes), await anext(changes)

    assert isinstance(bad, Change)
    assert bad.record is None
    assert bad.error == "device: Field required"
    assert good == Change("south.a", record("south", "a"))


async def test_a_watch_ends_for_a_resync(bucket: KeyValue) -> None:
    seen = [change async for change in watch_records(bucket, "*.*", DeviceRecord, 0.2)]

    assert seen == [CaughtUp()]


@pytest.fixture
def early_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """nats-py's mark comes before the first entry, as when the broker's answer overtakes it."""
    updates = KeyValue.KeyWatcher.updates
    begun: set[KeyValue.KeyWatcher] = set()

    async def early(watcher: KeyValue.KeyWatcher, timeout: float = 5.0) -> object:  # noqa: ASYNC109 - nats-py's signature
        if watcher not in begun:
            begun.add(watcher)
            return None
        while (entry := await updates(watcher, timeout)) is None:
            pass  # it has been given already
        return entry

    monkeypatch.setattr(KeyValue.KeyWatcher, "updates", early)


@pytest.mark.usefixtures("early_mark")
async def test_a_read_that_is_told_too_early_that_it_is_over_is_not_seen_as_empty(
    bucket: KeyValue,
) -> None:
    await replace_all(bucket, "north", keyed(record("north", "a"), record("north", "b")))
    await bucket.delete("north.b")

    assert await keys_under(bucket, "north") == ["north.a"]
    assert await keys_under(bucket, "south") == []
    assert await replace_all(bucket, "north", {}) == 1
    assert await keys_under(bucket, "north") == []


@pytest.mark.usefixtures("early_mark")
async def test_a_watch_that_is_told_too_early_that_it_is_over_gives_everything_first(
    bucket: KeyValue,
) -> None:
    await replace_all(bucket, "north", keyed(record("north", "a"), record("north", "b")))

    async with contextlib.aclosing(watch_records(bucket, "north.*", DeviceRecord, 20)) as changes:
        first = [await anext(changes) for _ in range(3)]

    assert first == [
        Change("north.a", record("north", "a")),
        Change("north.b", record("north", "b")),
        CaughtUp(),
    ]


async def test_reads_leave_no_consumers_behind(bucket: KeyValue, nats_client: Client) -> None:
    await replace_all(bucket, "north", keyed(record("north", "a")))
    for _ in range(20):
        await keys_under(bucket, "north")

    js = nats_client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely

    async def consumers() -> int:
        return (await js.stream_info(f"KV_{INVENTORY_BUCKET}")).state.consumer_count

    await eventually(consumers, lambda count: count == 0, what="no consumer left")
