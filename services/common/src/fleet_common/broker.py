"""The connection to NATS and the few JetStream calls services share.

Services bind to streams; only the operator and the local runner declare them
(`declare_stream`, `declare_bucket`).
"""

import asyncio
import logging
import ssl
import time
from datetime import datetime
from typing import Final, cast

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import (
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
)
from nats.js.errors import BucketNotFoundError, NotFoundError
from nats.js.kv import KeyValue

from fleet_common.broker_client import BrokerClient
from fleet_common.broker_login import advice, login_options, tls_context, wants_tls
from fleet_common.errors import ConfigurationError, TransientError
from fleet_common.settings import NatsSection, without_credentials
from fleet_contracts.streams import StreamDefinition, StreamStorage

_log = logging.getLogger(__name__)

PENDING_BYTES = 8 * 1024 * 1024
"""What the client buffers while disconnected; beyond it a publish fails at once."""

HUNG_SECONDS: Final = 120.0
"""A connection that `hangs` for so long is a reason to begin anew; the client gives one up by
itself long before, this is for one that does not."""
# Longer than the client takes to notice a dead connection (ping_interval and
# max_outstanding_pings below), which settles every flush.
_ABANDONED_FLUSH_SECONDS = 120

_SAME_COMPLAINT_SECONDS = 60
_COMPLAINTS = 16


async def connect(
    settings: NatsSection, name: str, client: BrokerClient | None = None
) -> BrokerClient:
    """Connect, waiting for the server as long as it takes; reconnects for ever.

    `client` is an unconnected client of a service's own kind to use instead of a plain
    one. Raises ConfigurationError when a named file is missing or is not what it should be.
    Cancel it to stop waiting.
    """
    client = client or BrokerClient()
    client.require_tls = wants_tls(settings)
    shown_url = without_credentials(settings.url)
    complaints = Complaints()

    async def on_error(error: Exception) -> None:
        name, reason = type(error).__name__, str(error)
        if complaints.new(f"{name}: {reason}", time.monotonic()):
            todo = advice(error, settings)
            said = {"reason": reason} | ({} if todo is None else {"todo": todo})
            _log.warning("broker: %s", name, extra=said)
        if isinstance(error, ssl.SSLError):
            _read_tls_anew(client, settings)

    async def on_disconnected() -> None:
        if client.is_closed:  # by ourselves
            return
        _log.warning("broker connection lost; reconnecting", extra={"url": shown_url})
        _read_tls_anew(client, settings)

    async def on_reconnected() -> None:
        complaints.forget()
        _log.info("broker connection is back", extra={"url": shown_url})

    await client.connect(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        servers=[url.strip() for url in settings.url.split(",")],
        name=name,
        connect_timeout=cast("int", settings.connect_timeout_seconds),
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=cast("int", 0.5),  # nats-py types these whole, uses them as floats
        ping_interval=10,
        max_outstanding_pings=2,
        pending_size=PENDING_BYTES,
        error_cb=on_error,
        disconnected_cb=on_disconnected,
        reconnected_cb=on_reconnected,
        **login_options(settings),
    )
    return client


class Complaints:
    """Which complaints were made of late: a broker that is away is tried twice a second.

    Bounded: with more than a few different ones, the oldest is forgotten.
    """

    def __init__(self) -> None:
        self._made: dict[str, float] = {}

    def new(self, complaint: str, now: float) -> bool:
        """Whether to say it: not if it was said in the last minute. `now` in seconds."""
        made = self._made.pop(complaint, None)
        if made is not None and now - made < _SAME_COMPLAINT_SECONDS:
            self._made[complaint] = made
            return False
        self._made[complaint] = now
        if len(self._made) > _COMPLAINTS:
            del self._made[next(iter(self._made))]
        return True

    def forget(self) -> None:
        """All is well again."""
        self._made.clear()


def _read_tls_anew(client: BrokerClient, settings: NatsSection) -> None:
    """Certificates are renewed while we run; what cannot be read leaves things as they are."""
    if not client.require_tls:
        return
    try:
        client.options["tls"] = tls_context(settings)
    except ConfigurationError as error:
        _log.warning("the files for TLS cannot be read", extra={"reason": str(error)})


def jetstream(client: Client, settings: NatsSection) -> JetStreamContext:
    """JetStream with the configured deadline for each API call."""
    return client.jetstream(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        timeout=settings.request_timeout_seconds
    )


async def probe(client: Client, timeout_seconds: float = 2.0) -> None:
    """A round trip; raises TransientError when the server does not answer in time.

    `is_connected` stays true while a server hangs, so it proves nothing; and `flush`
    returns at once, without any round trip, while the client reconnects.
    """
    if not client.is_connected:
        raise TransientError("broker does not answer: not connected")
    # Left alone when it takes too long: nats-py 2.16 cancels the waiter of a flush that
    # times out, and the late PONG then ends its read loop with an InvalidStateError.
    flush = asyncio.ensure_future(client.flush(timeout=_ABANDONED_FLUSH_SECONDS))
    flush.add_done_callback(_retrieve_error)
    done, _ = await asyncio.wait({flush}, timeout=timeout_seconds)
    if not done:
        raise TransientError(f"broker does not answer within {timeout_seconds:g} s")
    try:
        await flush
    except (NatsError, TimeoutError, OSError) as error:
        raise TransientError(f"broker does not answer: {error}") from error


async def hangs(client: Client) -> bool:
    """True: the connection counts as up and answers nothing, which a new process may cure.

    False while the broker is away or refuses something: a new process would find the same.
    """
    try:
        await probe(client)
    except TransientError:
        return client.is_connected
    return False


def _retrieve_error(flush: asyncio.Future[None]) -> None:
    if not flush.cancelled():
        flush.exception()


async def close(client: Client, flush_seconds: float = 2.0) -> None:
    """Send what is pending, acknowledgements included, and close; within about twice the time.

    Not `drain`: nats-py's drain swallows its cancellation and then flushes for ten
    seconds more, which is a service's whole grace period when the broker hangs.
    """
    try:
        async with asyncio.timeout(flush_seconds):
            if client.is_connected:
                await client.flush(timeout=max(1, round(flush_seconds)))
    except (NatsError, TimeoutError, OSError) as error:
        _log.warning(
            "broker does not answer; closing without its answer",
            extra={"reason": type(error).__name__},
        )
    try:
        async with asyncio.timeout(flush_seconds):
            await client.close()
    # RuntimeError: nats-py 2.16 writes what is pending to a transport that uvloop has closed.
    except (NatsError, TimeoutError, OSError, RuntimeError) as error:
        _log.warning("broker connection not closed", extra={"reason": type(error).__name__})


def stream_config(definition: StreamDefinition) -> StreamConfig:
    """The broker's configuration for a definition; discard old, direct get, limits retention.

    Bytes and age are the only bounds; those on numbers are said to be none, as the broker does.
    """
    return StreamConfig(
        name=definition.name,
        subjects=list(definition.subjects),
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        max_bytes=definition.max_bytes,
        max_msgs=-1,
        max_msgs_per_subject=-1,
        max_consumers=-1,
        no_ack=False,
        max_age=definition.max_age_seconds,
        max_msg_size=definition.max_message_bytes,
        duplicate_window=definition.duplicate_window_seconds,
        storage=StorageType.MEMORY
        if definition.storage is StreamStorage.MEMORY
        else StorageType.FILE,
        num_replicas=definition.replicas,
        allow_direct=True,
    )


async def declare_stream(js: JetStreamContext, definition: StreamDefinition) -> StreamInfo:
    """Create the stream or bring the live one to the definition. For its owner only."""
    config = stream_config(definition)
    try:
        await js.stream_info(definition.name)
    except NotFoundError:
        return await js.add_stream(config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    return await js.update_stream(config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely


async def declare_bucket(
    js: JetStreamContext, bucket: str, max_bytes: int, replicas: int = 1
) -> KeyValue:
    """Create the key-value bucket, or bind to the one that is there. For its owner only.

    One that has fewer copies than asked for gets more; none are taken away.
    """
    try:
        found = await js.key_value(bucket)
    except BucketNotFoundError:
        return await js.create_key_value(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
            KeyValueConfig(
                bucket=bucket,
                max_bytes=max_bytes,
                history=1,
                storage=StorageType.FILE,
                replicas=replicas,
                direct=True,
            )
        )
    if replicas > 1:
        config = (await js.stream_info(f"KV_{bucket}")).config
        if (config.num_replicas or 1) < replicas:
            _log.info("bucket gets more copies", extra={"bucket": bucket, "copies": replicas})
            await js.update_stream(config.evolve(num_replicas=replicas))  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    return found


def created_at(info: StreamInfo) -> str:
    """When the stream was created, as text: with its name it is the stream's identity.

    A stream deleted and made anew counts its sequences from 1 again; a stored position
    must not be carried over.
    """
    created = cast("datetime | str | None", info.created)
    if created is None:
        raise TransientError("stream info without a creation time")
    return created if isinstance(created, str) else created.isoformat()
