"""One device of this shard: its session, its memory, its breaker, and a poll of it."""

import asyncio
import logging
import random
from dataclasses import dataclass
from ssl import SSLContext
from typing import Protocol

from opentelemetry.trace import Span, SpanKind

from fleet_common.inventory import DeviceRecord
from fleet_common.tracing import Tracing
from fleet_contracts.subjects import EventSubject, Kind, message_id
from fleet_poller.breaker import Breaker, BreakerPolicy
from fleet_poller.clock import Clock
from fleet_poller.credentials import SecretStore
from fleet_poller.events import Occasion, OutgoingEvent, failure_event, poll_events
from fleet_poller.exposition.held import HeldEvents
from fleet_poller.gate import LoginGates
from fleet_poller.memory import DeviceMemory
from fleet_poller.metrics import PollerMetrics
from fleet_poller.reader import read_device
from fleet_poller.readings import PollReadings
from fleet_poller.routeros.errors import (
    CredentialsMissingError,
    DisconnectedError,
    LoginRejectedError,
    ProtocolViolatedError,
    RouterError,
    TlsError,
    UnusableCaError,
)
from fleet_poller.routeros.session import (
    Access,
    Credentials,
    Endpoint,
    RouterSession,
    open_session,
)

_log = logging.getLogger(__name__)


class EventSink(Protocol):
    """Where events go; see Publisher.publish."""

    def publish(
        self,
        kind: Kind,
        subject: str,
        payload: bytes,
        message_id: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Take an event, at once."""
        ...


@dataclass(frozen=True, slots=True)
class PollTimeouts:
    """Seconds: TCP, then TLS and login, `connect` each; all reads of a poll, `poll`."""

    connect: float
    poll: float


@dataclass(frozen=True, slots=True)
class PollContext:
    """What all devices of a shard share."""

    secrets: SecretStore
    gates: LoginGates
    timeouts: PollTimeouts
    breaker: BreakerPolicy
    sink: EventSink
    metrics: PollerMetrics
    tracing: Tracing
    clock: Clock
    jitter: random.Random
    cores: float = 1.0
    """Processor that this process may use."""
    held_kinds: frozenset[Kind] = frozenset()
    """The events of which each device keeps the newest, for its metrics."""


class Device:
    """One device. Its polls never overlap: the shard starts none while `polling`."""

    __slots__ = (
        "_context",
        "_rejected",
        "_session",
        "_subjects",
        "_untrusting",
        "breaker",
        "catching_up",
        "held",
        "memory",
        "polling",
        "polling_ms",
        "queued_ms",
        "record",
        "up",
    )

    def __init__(self, record: DeviceRecord, context: PollContext) -> None:
        self.record = record
        self._context = context
        self.memory = DeviceMemory()
        self.held = HeldEvents(context.held_kinds)
        self.breaker = Breaker(context.breaker, context.jitter)
        self.polling: asyncio.Task[None] | None = None
        self.polling_ms: int | None = None
        """The slot of the poll under way."""
        self.catching_up = False
        """Whether the poll under way is for a slot that had passed before it could begin."""
        self.queued_ms: int | None = None
        """The slot that is polled right after it."""
        self.up: bool | None = None
        """Whether the newest poll read it; None before the first."""
        self._rejected: Credentials | None = None
        """What the router would not let in the last time."""
        self._untrusting: SSLContext | None = None
        """What would not trust the router the last time."""
        self._session: RouterSession | None = None
        self._subjects: dict[Kind, str] = {}

    @property
    def connected(self) -> bool:
        """Whether there is a session (it may turn out dead with the next poll)."""
        return self._session is not None and not self._session.closed

    @property
    def rejected(self) -> bool:
        """Whether its newest poll failed because the router did not take user and password."""
        return self._rejected is not None

    def may_poll(self, slot_ms: int) -> bool:
        """Whether to poll at this slot: the breaker says so, or its Secrets have changed."""
        return self.breaker.allows(slot_ms) or self._has_other_access()

    async def poll(self, slot_ms: int) -> None:
        """Read the device for this slot and publish what came of it.

        Whatever the router says, and whatever its record holds, that is an event and no
        error; what is raised is a bug of this process itself.
        """
        tracing = self._context.tracing
        if not tracing.enabled:
            await self._poll(slot_ms, None)
            return
        attributes = {"fleet.tenant": self.record.tenant, "fleet.device": self.record.device}
        with tracing.span("poll", kind=SpanKind.PRODUCER, attributes=attributes) as span:
            await self._poll(slot_ms, span)

    async def close(self, deadline: float) -> None:
        """Log out if connected, at most until `deadline` (event-loop time)."""
        session, self._session = self._session, None
        if session is not None:
            await session.log_out(deadline)

    def drop_session(self) -> None:
        """Close the connection without a word."""
        session, self._session = self._session, None
        if session is not None:
            session.abort()

    # --- inside ----------------------------------------------------------------------

    def _has_other_access(self) -> bool:
        """Whether what was refused the last time, login or certificate, has been replaced."""
        rejected, untrusting = self._rejected, self._untrusting
        if rejected is None and untrusting is None:
            return False
        try:
            access = self._context.secrets.access(self.record)
        except RouterError:
            return False
        if rejected is not None:  # another CA makes no wrong password right
            return access.credentials != rejected
        return access.context is not untrusting

    async def _poll(self, slot_ms: int, span: Span | None) -> None:
        context = self._context
        headers = context.tracing.headers(span)
        try:
            readings, seconds = await self._read(slot_ms)
            occasion = Occasion(slot_ms, self._after(slot_ms), round(seconds * 1e6))
            events = poll_events(occasion, readings)
        except RouterError as error:
            self._failed(error, slot_ms, headers, span)
            return
        except Exception as error:  # noqa: BLE001 - logged and counted, and the device is down
            _log.exception(
                "a poll ended in an error that was not foreseen, which is a bug: please report it "
                "with this traceback; the other devices are polled on",
                extra=self._named(),
            )
            self._failed(self._unforeseen(error), slot_ms, headers, span)
            return
        if self.breaker.failures:
            _log.info("device is back", extra=self._named(failures=self.breaker.failures))
        self._tell_refusals(readings)
        self.breaker.succeeded()
        self.up, self._rejected = True, None
        context.metrics.ok.inc()
        context.metrics.poll_duration.observe(seconds)
        seen_ms = slot_ms + occasion.observed_after_slot_ms
        # What an inventory says stays true when the next one cannot be read.
        due = {*self.memory.read_at(slot_ms), *readings.omitted} - {Kind.INVENTORY}
        self.held.read(events, due, seen_ms)
        self._publish(events, slot_ms, headers)

    async def _read(self, slot_ms: int) -> tuple[PollReadings, float]:
        """The readings, and the seconds from the first byte sent to the last read."""
        session, reused = self._session, True
        if session is None or session.closed:
            session, reused = await self._open(), False
        try:
            return await self._read_from(session, slot_ms)
        except DisconnectedError:
            if not reused:
                raise
        # The router ended the connection while it was idle (a reboot, an idle limit):
        # that is no failed poll.
        return await self._read_from(await self._open(), slot_ms)

    async def _read_from(self, session: RouterSession, slot_ms: int) -> tuple[PollReadings, float]:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        deadline = begin + self._context.timeouts.poll
        cadence = self.record.cadence
        readings = await read_device(session, self.memory, cadence, slot_ms, deadline)
        return readings, loop.time() - begin

    async def _open(self) -> RouterSession:
        context, record = self._context, self.record
        self._session = self._rejected = self._untrusting = None
        access: Access | None = None
        try:
            access = context.secrets.access(record)
            self._session = await open_session(
                Endpoint(record.address, record.port),
                access,
                context.timeouts.connect,
                context.gates.of(suspect=self.breaker.failures > 0).place(),
            )
        except RouterError as error:
            context.metrics.logins.labels(error.error_class.value).inc()
            if access is not None and isinstance(error, LoginRejectedError):
                self._rejected = access.credentials
            elif access is not None and isinstance(error, TlsError):
                self._untrusting = access.context
            raise
        context.metrics.logins.labels("ok").inc()
        return self._session

    def _tell_refusals(self, readings: PollReadings) -> None:
        if readings.forbidden:
            _log.warning(
                "the router's user may not read all that is wanted; grant it the policy `read`",
                extra=self._named(commands=readings.forbidden),
            )
        if readings.left_alone:
            _log.warning(
                "the router refuses these commands again and again; its readings go without them, "
                "and they are asked every ten minutes",
                extra=self._named(commands=readings.left_alone),
            )
        if readings.refused:
            _log.info(
                "the router refused a part of this poll; these kinds are read with the next",
                extra=self._named(
                    commands=readings.refused, kinds=sorted(kind.value for kind in readings.omitted)
                ),
            )

    def _unforeseen(self, error: Exception) -> RouterError:
        """What a poll failed of that nobody thought of: this device's trouble, nobody else's.

        The next shard would meet it too, and the one after that. What is remembered of the
        device may be half of this poll, so it is read anew.
        """
        self._context.metrics.unforeseen.inc()
        self.drop_session()
        self.memory = DeviceMemory()
        return ProtocolViolatedError(f"not foreseen: {type(error).__name__}: {error}")

    def _failed(
        self,
        error: RouterError,
        slot_ms: int,
        headers: dict[str, str] | None,
        span: Span | None,
    ) -> None:
        breaker, error_class = self.breaker, error.error_class
        if span is not None:
            span.set_attribute("fleet.error_class", error_class.value)
        self._context.metrics.polls.labels(error_class.value).inc()
        self.up = False
        was_open = breaker.open
        if isinstance(error, CredentialsMissingError | UnusableCaError):
            breaker.not_tried()
        else:
            # A wrong password stays wrong; asking again could lock the account out.
            breaker.failed(slot_ms, lasting=self.rejected)
        if breaker.failures == 1 or breaker.open is not was_open:
            _log.warning(
                "poll failed",
                extra=self._named(
                    error_class=error_class.value,
                    reason=str(error),
                    failures=breaker.failures,
                    asked_more_rarely=breaker.open,
                ),
            )
        occasion = Occasion(slot_ms, self._after(slot_ms), 0)
        event = failure_event(occasion, error_class, str(error), breaker.failures)
        self.held.failed(event)
        self._publish([event], slot_ms, headers)

    def _publish(
        self, events: list[OutgoingEvent], slot_ms: int, headers: dict[str, str] | None
    ) -> None:
        device, sink = self.record.device_id, self._context.sink
        for kind, payload in events:
            subject = self._subjects.get(kind)
            if subject is None:
                subject = str(EventSubject(self.record.tenant_id, device, kind))
                self._subjects[kind] = subject
            sink.publish(kind, subject, payload, message_id(device, kind, slot_ms), headers)

    def _after(self, slot_ms: int) -> int:
        return max(0, self._context.clock.now_ms() - slot_ms)

    def _named(self, **fields: object) -> dict[str, object]:
        return {"tenant": self.record.tenant, "device": self.record.device, **fields}
