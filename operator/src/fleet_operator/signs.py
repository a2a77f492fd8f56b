"""All shards' signs of life in one read, handed to assigners that ask for them one by one."""

from collections.abc import AsyncGenerator, Mapping
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KV_DEL, KV_OP, KV_PURGE, KeyValue

from fleet_common.direct import StoredMessage, last_messages

_PREFIX: Final = "$KV."


def kv_stream(bucket: str) -> str:
    """The stream below a bucket."""
    return f"KV_{bucket}"


def key_subject(bucket: str, key: str) -> str:
    """The subject that a key's values are stored under."""
    return f"{_PREFIX}{bucket}.{key}"


async def read_bucket(
    client: Client, bucket: str, *, timeout_seconds: float = 2.0
) -> dict[str, StoredMessage]:
    """Every key of a bucket with its newest value. Raises TransientError."""
    entries = bucket_entries(client, bucket, timeout_seconds=timeout_seconds)
    return {key: message async for key, message in entries}


async def bucket_entries(
    client: Client, bucket: str, *, timeout_seconds: float
) -> AsyncGenerator[tuple[str, StoredMessage]]:
    """The same, one by one. Raises TransientError."""
    changes = bucket_changes(client, bucket, timeout_seconds=timeout_seconds)
    async for key, message, deleted in changes:
        if not deleted:
            yield key, message


async def bucket_changes(
    client: Client, bucket: str, *, timeout_seconds: float
) -> AsyncGenerator[tuple[str, StoredMessage, bool]]:
    """Every key with its newest message, and whether that says that it was deleted.

    Raises TransientError.
    """
    prefix = key_subject(bucket, "")
    async for message in last_messages(
        client, kv_stream(bucket), f"{prefix}>", timeout_seconds=timeout_seconds
    ):
        deleted = message.headers.get(KV_OP) in {KV_DEL, KV_PURGE}
        yield message.subject.removeprefix(prefix), message, deleted


class PrefetchedBucket(KeyValue):
    """A bucket whose keys were all read just now: the first `get` of each is answered by that.

    A second one asks the broker, since who asks again waits for a change. What was read is
    set with `prefetched` before every round, so nothing old is ever served.
    """

    def __init__(self, bucket: str, js: JetStreamContext) -> None:
        super().__init__(
            name=bucket, stream=kv_stream(bucket), pre=f"{_PREFIX}{bucket}.", js=js, direct=True
        )
        self._bucket = bucket
        self._values: Mapping[str, StoredMessage] | None = None
        self._served: set[str] = set()

    def prefetched(self, values: Mapping[str, StoredMessage] | None) -> None:
        """What was read; None: nothing is known, everybody asks the broker."""
        self._values = values
        self._served = set()

    async def get(
        self,
        key: str,
        revision: int | None = None,
        validate_keys: bool = True,  # noqa: FBT001, FBT002 - nats-py's signature
    ) -> KeyValue.Entry:
        """See nats-py. Raises KeyNotFoundError."""
        if self._values is None or revision is not None or key in self._served:
            return await super().get(key, revision, validate_keys)
        self._served.add(key)
        message = self._values.get(key)
        if message is None:
            raise KeyNotFoundError
        return KeyValue.Entry(
            bucket=self._bucket,
            key=key,
            value=message.payload,
            revision=message.sequence,
            delta=None,
            created=None,
            operation=None,
        )
