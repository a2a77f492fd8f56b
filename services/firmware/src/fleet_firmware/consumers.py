"""FastStream's part: one durable pull consumer per tenant stream.

Three of its defaults are not for us: a stream named with declare=True is rewritten to
FastStream's own limits at start; an exception in a handler discards the message; its
metrics carry raw subjects as labels. So: declare=False, manual acknowledgement, no
middleware. Subscribers are made while running, as tenants come and go.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, cast, override

from faststream import AckPolicy
from faststream.nats import ConsumerConfig, JStream, NatsBroker, NatsMessage, PullSub
from faststream.nats.subscriber.usecases import PullStreamSubscriber
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.api import DeliverPolicy
from nats.js.errors import Error as JetStreamError

from fleet_common.broker import connect
from fleet_common.errors import TransientError
from fleet_common.settings import NatsSection
from fleet_common.tracing import Tracing
from fleet_contracts.codec import RejectedEventError, decode
from fleet_contracts.streams import FIRMWARE_CONSUMER
from fleet_contracts.subjects import Kind, TenantId, kind_subjects, stream_name
from fleet_firmware.checker import Checker
from fleet_firmware.metrics import FirmwareMetrics
from fleet_firmware.store import StoredEvent

_log = logging.getLogger(__name__)
# Not "faststream": that logger has a handler of its own, which writes coloured text.
_faststream_log = logging.getLogger("fleet_firmware.faststream")

ACK_WAIT_SECONDS: Final = 30.0
MAX_UNACKNOWLEDGED: Final = 256
_BATCH: Final = 64
_FETCH_SECONDS: Final = 5.0
_HANDLER_GRACE_SECONDS: Final = 4.0
_MAX_DELAY_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 1.0


class FleetBroker(NatsBroker):
    """FastStream's broker over the connection that every RouterFleet service makes.

    Authentication, TLS, bounds and reconnecting are then the same everywhere.
    """

    def __init__(self, settings: NatsSection, name: str) -> None:
        _faststream_log.setLevel(logging.WARNING)  # it tells of each task that ends
        super().__init__(
            graceful_timeout=_HANDLER_GRACE_SECONDS,
            logger=_faststream_log,
            js_options={"timeout": settings.request_timeout_seconds},
        )
        self._settings = settings
        self._name = name

    @override
    async def _connect(self) -> Client:
        client = await connect(self._settings, self._name)
        self.config.connect(client)
        return client


class FirmwareConsumer:
    """Takes firmware events from FastStream and gives each its acknowledgement."""

    def __init__(self, checker: Checker, metrics: FirmwareMetrics, tracing: Tracing) -> None:
        self._checker = checker
        self._metrics = metrics
        self._tracing = tracing

    async def subscribe(
        self, broker: NatsBroker, tenant: TenantId, done: Callable[[], None]
    ) -> PullStreamSubscriber:
        """Start consuming the tenant's firmware events; `done` is called after each."""

        async def handle(message: NatsMessage) -> None:
            if await self.handle(message):
                done()

        subscriber = broker.subscriber(
            kind_subjects(tenant, Kind.FIRMWARE),
            stream=JStream(stream_name(tenant), declare=False),
            durable=FIRMWARE_CONSUMER,
            pull_sub=PullSub(batch_size=_BATCH, timeout=_FETCH_SECONDS),
            # A new consumer begins with what is known of each device, not with history.
            config=ConsumerConfig(
                ack_wait=ACK_WAIT_SECONDS,
                max_ack_pending=MAX_UNACKNOWLEDGED,
                deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
            ),
            ack_policy=AckPolicy.MANUAL,
            decoder=_as_bytes,
            no_reply=True,
            persistent=False,  # forgotten with its tenant
        )
        subscriber(handle)
        await subscriber.start()
        if subscriber.subscription is not None:
            paced = PacedSubscription(subscriber.subscription)
            subscriber.subscription = cast("JetStreamContext.PullSubscription", paced)
        return subscriber

    async def handle(self, message: NatsMessage) -> bool:
        """Answer one event; True when it will not come again.

        Ack when answered, nak with a delay when the broker failed, term when malformed.
        """
        raw = message.raw_message
        try:
            decoded = decode(raw.subject, raw.data)
        except RejectedEventError as error:
            self._metrics.rejected.labels(error.reason.partition(":")[0]).inc()
            _log.warning(
                "malformed firmware event set aside; find its producer",
                extra={
                    "subject": raw.subject,
                    "sequence": raw.metadata.sequence.stream,
                    "reason": error.reason,
                },
            )
            await message.reject()
            return True
        try:
            with self._tracing.span(
                "check firmware", parent=self._tracing.parent(raw.headers)
            ) as span:
                stored = StoredEvent(decoded, raw.metadata.sequence.stream)
                await self._checker.observe(stored, self._tracing.headers(span))
        except TransientError as error:
            delay = min(_MAX_DELAY_SECONDS, 2.0 ** min(raw.metadata.num_delivered, 10))
            _log.warning(
                "firmware event not answered; it will be delivered again",
                extra={"subject": raw.subject, "delay_seconds": delay, "reason": str(error)},
            )
            await message.nack(delay=delay)
            return False
        await message.ack()
        return True


class PacedSubscription:
    """A pull subscription that pauses after a failed fetch.

    FastStream asks again at once; a consumer that is gone answers at once; together they
    take most of a core (seen: 62 %) until the consumer is made anew.
    """

    def __init__(self, inner: JetStreamContext.PullSubscription) -> None:
        self._inner = inner

    async def fetch(self, batch: int, timeout: float | None) -> list[Msg]:  # noqa: ASYNC109 - FastStream's call
        """As the inner one."""
        try:
            return await self._inner.fetch(batch=batch, timeout=timeout)
        except NatsTimeoutError:  # nothing there: it has waited already
            raise
        except TimeoutError as error:
            # nats-py raises the plain one when its first, unwaiting request took all the time;
            # FastStream takes only nats-py's own for "nothing there" and ends its task.
            raise NatsTimeoutError from error
        except (NatsError, JetStreamError):
            await asyncio.sleep(_PAUSE_SECONDS)
            raise

    async def unsubscribe(self) -> None:
        """As the inner one."""
        await self._inner.unsubscribe()


async def _as_bytes(message: NatsMessage) -> bytes:
    # Without a decoder FastStream tries the payload as JSON.
    return message.body
