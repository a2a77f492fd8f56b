"""Device records and shard assignments in NATS key-value buckets.

The operator (or the local runner) writes them; pollers watch them. Records carry
the names of Secrets, never what is in them.
"""

import contextlib
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from typing import Self, cast

from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.errors import KeyDeletedError, KeyNotFoundError
from nats.js.kv import KV_DEL, KV_PURGE, KeyValue
from pydantic import BaseModel, ConfigDict, ValidationError

from fleet_common.fleet_spec import (
    PLAIN_PORT,
    TLS_PORT,
    CadenceSpec,
    DeviceSpec,
    RouterFleet,
    TlsMode,
    TlsSpec,
)
from fleet_contracts.streams import ASSIGNMENTS_BUCKET, INVENTORY_BUCKET
from fleet_contracts.subjects import DeviceId, TenantId

_READ_TIMEOUT_SECONDS = 10.0
_CONSUMER_KEPT_SECONDS = 1.0
"""Of a read that has ended. The broker allows a stream 1,000 consumers (nats-server 2.15), and
nats-py would leave each for five minutes: enough reads would shut out the pollers' watches."""


class DeviceRecord(BaseModel):
    """All a poller needs to know of one device; the fleet's defaults are filled in."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tenant: str
    device: str
    address: str
    port: int
    credentials_secret: str
    tls: TlsSpec
    cadence: CadenceSpec
    suspend: bool = False

    @property
    def tenant_id(self) -> TenantId:
        """Typed tenant."""
        return TenantId(self.tenant)

    @property
    def device_id(self) -> DeviceId:
        """Typed device name."""
        return DeviceId(self.device)

    def key(self) -> str:
        """The record's key in the inventory bucket."""
        return f"{self.tenant}.{self.device}"


class Assignment(BaseModel):
    """The devices one shard owns. `revision` rises with every change of the tenant's shards."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tenant: str
    shard: str
    revision: int
    devices: tuple[str, ...]

    def key(self) -> str:
        """The assignment's key in the assignments bucket."""
        return assignment_key(self.tenant, self.shard)


@dataclass(frozen=True, slots=True)
class Change[RecordT]:
    """One change seen by a watch; `record` is None when the key was deleted or is unreadable."""

    key: str
    record: RecordT | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The watch has delivered everything that was there when it began."""


def assignment_key(tenant: str, shard: str) -> str:
    """Key of a shard's assignment."""
    return f"{tenant}.{shard}"


def tenant_of_key(key: str) -> TenantId:
    """Whose record a key of the inventory, the assignments or the signs of life names."""
    return TenantId(key.partition(".")[0])


def device_records(fleet: RouterFleet) -> Iterator[DeviceRecord]:
    """The fleet's devices with the fleet's defaults filled in."""
    for device in fleet.spec.devices:
        yield resolve_device(fleet, device)


def resolve_device(fleet: RouterFleet, device: DeviceSpec) -> DeviceRecord:
    """One device with the fleet's defaults filled in."""
    tls = device.tls or fleet.spec.tls
    credentials = device.credentials or fleet.spec.credentials
    default_port = PLAIN_PORT if tls.mode is TlsMode.PLAIN else TLS_PORT
    return DeviceRecord(
        tenant=fleet.tenant,
        device=device.name,
        address=device.address,
        port=device.port or default_port,
        credentials_secret=credentials.secret_ref.name,
        tls=tls,
        cadence=fleet.spec.cadence,
        suspend=device.suspend or fleet.spec.suspend,
    )


async def inventory_bucket(js: JetStreamContext) -> KeyValue:
    """Bind to the inventory; raises nats' BucketNotFoundError until its owner declared it."""
    return await js.key_value(INVENTORY_BUCKET)


async def assignments_bucket(js: JetStreamContext) -> KeyValue:
    """Bind to the assignments; raises nats' BucketNotFoundError until its owner declared it."""
    return await js.key_value(ASSIGNMENTS_BUCKET)


async def put_if_changed(bucket: KeyValue, key: str, record: BaseModel) -> bool:
    """Write the record unless the bucket holds the same bytes; True when written."""
    value = record.model_dump_json(by_alias=True).encode()
    try:
        entry = await bucket.get(key)
    except (KeyNotFoundError, KeyDeletedError):
        entry = None
    if entry is not None and entry.value == value:
        return False
    await bucket.put(key, value)
    return True


async def replace_all(bucket: KeyValue, prefix: str, records: Mapping[str, BaseModel]) -> int:
    """Make the keys under `prefix.` be exactly `records`; returns the number of writes."""
    writes = 0
    there = {entry.key: entry.value for entry in await _entries(bucket, prefix, meta_only=False)}
    for key in there.keys() - records.keys():
        await bucket.delete(key)
        writes += 1
    for key, record in records.items():
        value = record.model_dump_json(by_alias=True).encode()
        if there.get(key) != value:
            await bucket.put(key, value)
            writes += 1
    return writes


async def keys_under(bucket: KeyValue, prefix: str) -> list[str]:
    """The keys that begin with `prefix.`; nats-py's own filter matches anywhere in the key."""
    return [entry.key for entry in await _entries(bucket, prefix, meta_only=True)]


async def _entries(bucket: KeyValue, prefix: str, *, meta_only: bool) -> list[KeyValue.Entry]:
    watch = await _Watch.begin(
        bucket, f"{prefix}.>", meta_only=meta_only, consumer_kept_seconds=_CONSUMER_KEPT_SECONDS
    )
    try:
        entries: list[KeyValue.Entry] = []
        while (entry := await watch.next(_READ_TIMEOUT_SECONDS)) is not None:
            if entry.operation not in {KV_DEL, KV_PURGE}:
                entries.append(entry)
        return entries
    finally:
        await watch.stop()


async def watch_records[RecordT: BaseModel](
    bucket: KeyValue,
    keys: str,
    record_class: type[RecordT],
    resync_seconds: float = 300.0,
) -> AsyncGenerator[Change[RecordT] | CaughtUp]:
    """All current records under `keys` (a subject filter), CaughtUp, then every change.

    Ends after `resync_seconds`, so that a caller which watches anew and compares what it
    has with what came before CaughtUp is level-triggered: a change missed while a
    connection was half dead is repaired then. A record that cannot be read is a Change
    with its error; the others go on. Raises nats errors, on which the caller waits and
    watches anew. Close it with `contextlib.aclosing`.
    """
    watch = await _Watch.begin(bucket, keys)
    end = time.monotonic() + resync_seconds
    try:
        while (left := end - time.monotonic()) > 0:
            try:
                entry = await watch.next(left)
            except NatsTimeoutError:
                return
            if entry is None:
                yield CaughtUp()
            elif entry.operation in {KV_DEL, KV_PURGE}:
                yield Change(entry.key, None)
            else:
                yield _parsed(entry.key, entry.value or b"", record_class)
    finally:
        # Without a connection there is no watch to end.
        with contextlib.suppress(NatsError):
            await watch.stop()


class _Watch:
    """nats-py's watch, with a mark "all that was there" that is true.

    nats-py 2.16 gives its mark before the first entry when the broker has sent everything and
    nothing has arrived yet: on a busy machine 3 of 1,000 watches of one key say that there is
    none. So an empty beginning is believed only when the broker holds nothing there; otherwise
    the entry with nothing pending behind it ends the beginning.
    """

    def __init__(self, bucket: KeyValue, keys: str, watcher: KeyValue.KeyWatcher) -> None:
        self._bucket = bucket
        self._keys = keys
        self._watcher = watcher
        self._any = False
        self._early = False
        self._mark_due = False

    @classmethod
    async def begin(
        cls,
        bucket: KeyValue,
        keys: str,
        *,
        meta_only: bool = False,
        consumer_kept_seconds: float | None = None,
    ) -> Self:
        """Watch what matches `keys`; delete markers are entries too."""
        watcher = await bucket.watch(  # pyright: ignore[reportUnknownMemberType] - nats-py's signature
            keys, meta_only=meta_only, inactive_threshold=consumer_kept_seconds
        )
        return cls(bucket, keys, watcher)

    async def next(self, timeout_seconds: float) -> KeyValue.Entry | None:
        """The next entry; None once, after all that was there when the watch began."""
        if self._mark_due:
            self._mark_due = False
            return None
        entry = await self._update(timeout_seconds)
        if entry is None and not self._any and await self._holds_something():
            self._early = True
            entry = await self._update(timeout_seconds)
        self._any = True
        if entry is not None and self._early and entry.delta == 0:
            self._early, self._mark_due = False, True
        return entry

    async def stop(self) -> None:
        """End it; the broker drops its consumer later."""
        await self._watcher.stop()

    async def _update(self, timeout_seconds: float) -> KeyValue.Entry | None:
        # Only stop() puts the sentinel in the queue that the declared type also allows.
        return cast("KeyValue.Entry | None", await self._watcher.updates(timeout=timeout_seconds))

    async def _holds_something(self) -> bool:
        bucket = self._bucket
        # nats-py asks for a bucket's whole state only.
        info = await bucket._js.stream_info(  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above
            bucket._stream,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above
            subjects_filter=f"{bucket._pre}{self._keys}",  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above
        )
        return bool(info.state.subjects)


def _parsed[RecordT: BaseModel](
    key: str, value: bytes, record_class: type[RecordT]
) -> Change[RecordT]:
    try:
        return Change(key, record_class.model_validate_json(value))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return Change(key, None, f"{where}: {first['msg']}")
