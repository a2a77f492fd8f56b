"""Events to JetStream: pipelined, acknowledged, retried; never in the way of polling.

`publish` only appends to a bounded buffer. One task sends from it, in bursts, keeps a
bounded number unacknowledged, and puts back what was not taken. Acknowledgements come
to one inbox of our own: awaiting nats-py's JetStream `publish` costs ten times the
processor time.
A message id lets the broker drop what a retry sends twice.
"""

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
from nats.errors import ConnectionReconnectingError, OutboundBufferLimitError

from fleet_common.raw_client import RawClient, publish_command
from fleet_contracts.subjects import Kind
from fleet_poller.broker_watch import BrokerWatch, Clock
from fleet_poller.buffer import EventBuffer, Message
from fleet_poller.metrics import PollerMetrics
from fleet_poller.wake import Wake

_log = logging.getLogger(__name__)

_FIRST_BACKOFF_SECONDS: Final = 0.1
_LONGEST_BACKOFF_SECONDS: Final = 5.0
_OFFLINE_POLL_SECONDS: Final = 0.2
_CLIENT_ERROR: Final = 400
_BURST_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class PublisherBounds:
    """How much may wait, how much may be unacknowledged, and for how long."""

    buffer_messages: int
    buffer_bytes: int
    in_flight: int
    ack_timeout_seconds: float


class Publisher:
    """The way of all events out of the process."""

    def __init__(
        self,
        client: RawClient,
        bounds: PublisherBounds,
        metrics: PollerMetrics,
        clock: Clock = time.monotonic,
    ) -> None:
        self._client = client
        self._clock = clock
        self._watch = BrokerWatch(client, clock)
        self._bounds = bounds
        self._metrics = metrics
        self._buffer = EventBuffer(bounds.buffer_messages, bounds.buffer_bytes)
        self._flight: dict[int, tuple[Message, float]] = {}
        """Sent and unanswered, by number; the oldest first."""
        self._returned: list[Message] = []
        self._dropped_seen: Counter[Kind] = Counter()
        self._dropped_in_all_seen = 0
        self._number = 0
        self._inbox = ""
        self._backoff_seconds = 0.0
        self._hold_until = 0.0
        self._wake = Wake()
        self._idle = asyncio.Event()
        self._idle.set()
        self._acknowledged = {kind: metrics.acknowledged.labels(kind.value) for kind in Kind}
        metrics.buffer_messages.set_function(lambda: len(self._buffer))
        metrics.buffer_bytes.set_function(lambda: self._buffer.bytes)
        metrics.in_flight.set_function(lambda: len(self._flight))
        metrics.broker_connected.set_function(lambda: client.is_connected)
        metrics.publishing_stalled.set_function(self._watch.stalled_seconds)

    # --- what polls use --------------------------------------------------------------

    def publish(
        self,
        kind: Kind,
        subject: str,
        payload: bytes,
        message_id: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Take an event. Never waits, never fails; over the bound the oldest is dropped."""
        if self._idle.is_set():
            self._idle.clear()
            self._watch.busy()
        self._number += 1
        self._buffer.append(Message(self._number, kind, subject, payload, message_id, headers))
        self._count_dropped()
        self._wake.ring()

    # --- what the composition uses ---------------------------------------------------

    async def run(self) -> None:
        """Send until cancelled."""
        self._inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(  # pyright: ignore[reportUnknownMemberType] - nats-py types its futures loosely
            f"{self._inbox}.*"
        )
        self._client.deliver_directly(subscription, self._on_reply)
        try:
            while True:
                await self._step()
        finally:
            self._client.deliver_as_usual(subscription)
            if self._client.is_connected:
                await subscription.unsubscribe()

    async def drain(self, timeout_seconds: float) -> int:
        """Wait until everything is acknowledged, at most so long; the number left over."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._idle.wait()
        except TimeoutError:
            pass
        return len(self._buffer) + len(self._flight) + len(self._returned)

    def abandon(self) -> int:
        """After the end of `run`: count what was not acknowledged as dropped; how many it is.

        Of those in flight some may have been stored: their answer did not come in time.
        """
        sent = [message for message, _ in self._flight.values()]
        waiting = [self._buffer.take() for _ in range(len(self._buffer))]
        left = [*sent, *self._returned, *waiting]
        self._flight.clear()
        self._returned.clear()
        for message in left:
            self._reject(message, "stopped")
        return len(left)

    def why_unwell(self) -> str | None:
        """None, or for how long the broker has answered nothing although it is connected.

        One that is away, or stores nothing, is no reason: a restart would lose what waits.
        """
        return self._watch.why_unwell()

    def why_stalled(self) -> str | None:
        """None, or for how long the broker has stored nothing, for whatever reason."""
        return self._watch.why_stalled()

    # --- the sending task ------------------------------------------------------------

    async def _step(self) -> None:
        now = self._clock()
        if not self._client.is_connected:
            self._watch.heard()
            self._take_back_all()
            await self._wake_after(_OFFLINE_POLL_SECONDS)
            return
        self._expire(now)
        self._put_back()
        await self._watch.ask()
        if now < self._hold_until:
            await self._wake_after(self._hold_until - now)
            return
        await self._send()
        # Sent ones time out; nothing sent and nothing waiting: sleep until rung.
        pause = self._bounds.ack_timeout_seconds / 4 if self._flight else 60.0
        await self._wake.wait(0.0 if self._returned else pause)

    async def _wake_after(self, seconds: float) -> None:
        # Rings for new events are of no use while nothing can be sent.
        await asyncio.sleep(seconds)

    async def _send(self) -> None:
        buffer, flight, limit = self._buffer, self._flight, self._bounds.in_flight
        while buffer and len(flight) < limit:
            burst: list[Message] = []
            commands: list[bytes] = []
            size = 0
            now = self._clock()
            while buffer and len(flight) < limit and size < _BURST_BYTES:
                message = buffer.take()
                command = publish_command(
                    message.subject,
                    f"{self._inbox}.{message.number}",
                    message.message_id,
                    message.payload,
                    message.headers,
                )
                if len(command) > self._client.max_payload:
                    self._reject(message, "too_large")
                    continue
                flight[message.number] = (message, now)
                burst.append(message)
                commands.append(command)
                size += len(command)
            try:
                await self._client.send_burst(commands)
            except (OutboundBufferLimitError, ConnectionReconnectingError):
                for message in burst:
                    if flight.pop(message.number, None) is not None:
                        self._returned.append(message)
                return

    def _on_reply(self, subject: bytes, _reply: bytes, data: bytes, _headers: bytes | None) -> None:
        self._watch.heard()
        token = subject.rpartition(b".")[2]
        sent = self._flight.pop(int(token), None) if token.isdigit() else None
        if sent is None:
            return  # acknowledged late, after it had been taken back for a retry
        message = sent[0]
        if data and b'"error"' not in data:
            self._acknowledged[message.kind].inc()
            if b'"duplicate"' in data:  # the field is only there when it is true
                self._metrics.duplicates.labels(message.kind.value).inc()
            self._watch.stored()
            self._backoff_seconds = 0.0
            self._note_idle()
            if self._buffer:
                self._wake.ring()
            return
        self._refused(message, data)
        self._wake.ring()

    def _refused(self, message: Message, data: bytes) -> None:
        code, reason = _why(data)
        if code == _CLIENT_ERROR:
            self._reject(message, "refused")
            _log.warning(
                "the broker will not take this event; it is dropped",
                extra={"subject": message.subject, "reason": reason},
            )
            return
        self._retry([message], "no_stream" if not data else "refused")

    def _expire(self, now: float) -> None:
        """Take back what was not acknowledged in time; the oldest were sent first."""
        late: list[Message] = []
        for message, sent_at in self._flight.values():
            if now - sent_at < self._bounds.ack_timeout_seconds:
                break
            late.append(message)
        for message in late:
            del self._flight[message.number]
        if late:
            self._retry(late, "timeout")

    def _take_back_all(self) -> None:
        """The connection is gone, and with it the answers."""
        if self._flight:
            lost = [message for message, _ in self._flight.values()]
            self._flight.clear()
            self._metrics.publish_retries.labels("disconnected").inc(len(lost))
            self._returned.extend(lost)
        self._put_back()

    def _retry(self, messages: list[Message], reason: str) -> None:
        self._metrics.publish_retries.labels(reason).inc(len(messages))
        self._returned.extend(messages)
        now = self._clock()
        if now >= self._hold_until:
            doubled = max(_FIRST_BACKOFF_SECONDS, self._backoff_seconds * 2)
            self._backoff_seconds = min(doubled, _LONGEST_BACKOFF_SECONDS)
            self._hold_until = now + self._backoff_seconds

    def _put_back(self) -> None:
        if self._returned:
            self._buffer.put_back(self._returned)
            self._returned.clear()
            self._count_dropped()

    def _reject(self, message: Message, reason: str) -> None:
        self._metrics.dropped.labels(message.kind.value, reason).inc()
        self._note_idle()

    def _note_idle(self) -> None:
        if not self._flight and not self._buffer and not self._returned:
            self._idle.set()
            self._watch.idle()

    def _count_dropped(self) -> None:
        if self._buffer.dropped_in_all == self._dropped_in_all_seen:
            return
        for kind, count in self._buffer.dropped.items():
            new = count - self._dropped_seen[kind]
            if new:
                self._metrics.dropped.labels(kind.value, "buffer_full").inc(new)
        self._dropped_seen = self._buffer.dropped.copy()
        self._dropped_in_all_seen = self._buffer.dropped_in_all


def _why(data: bytes) -> tuple[int, str]:
    """Code and reason of a refusal; (0, …) when it cannot be told, which is retried."""
    if not data:
        return 0, "no stream takes this subject"
    try:
        error = cast("dict[str, Any]", orjson.loads(data)["error"])
        return int(error["code"]), str(error.get("description", ""))
    except (ValueError, KeyError, TypeError):
        return 0, "unreadable answer"
