"""One stream after the other is brought to its plan, and what that drops is said."""

from collections.abc import Container, Mapping, Sequence

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from fleet_common.broker import declare_stream, stream_config
from fleet_common.errors import ConfigurationError
from fleet_common.planning import StreamPlan, StreamState
from fleet_common.streams.advice import Advice
from fleet_common.streams.live import (
    LiveStream,
    StoredPositions,
    durables_of,
    look_at,
    look_at_account,
)
from fleet_common.streams.metrics import StreamMetrics
from fleet_common.streams.room import least_bytes
from fleet_common.streams.texts import describe, foretell
from fleet_common.streams.trims import TrimAnnouncer, trim_by_shrinking
from fleet_common.units import format_size
from fleet_contracts.subjects import TenantId


class StreamDeclarer:
    """Remembers what it declared last. See PlanApplier for the arguments."""

    def __init__(
        self,
        client: Client,
        js: JetStreamContext,
        metrics: StreamMetrics,
        *,
        announcer: TrimAnnouncer,
        advice: Advice,
        each_alone: bool,
    ) -> None:
        self._client = client
        self._js = js
        self._metrics = metrics
        self._announcer = announcer
        self._advice = advice
        self._each_alone = each_alone
        self._positions = StoredPositions()
        self.plans: dict[str, StreamPlan] = {}
        """By stream, what it was declared from last."""
        self._stood: dict[str, tuple[StreamPlan, LiveStream]] = {}
        """By stream, what was compared last and found the same."""

    def forget_all_but(self, wanted: Container[str]) -> None:
        """Streams that are no more wanted are not kept as they were."""
        self.plans = {name: one for name, one in self.plans.items() if name in wanted}
        self._stood = {name: one for name, one in self._stood.items() if name in wanted}

    async def state(self, live: LiveStream) -> StreamState:
        """The stream's, with what its slowest durable consumer has stored."""
        stored = self._positions.judge(live, await durables_of(self._js, live))
        return live.state(stored.slowest)

    async def declare_all(
        self, plans: Sequence[StreamPlan], streams: Mapping[str, LiveStream]
    ) -> tuple[list[str], dict[TenantId, str]]:
        """Lines for a person; with `each_alone` why a tenant has no stream as planned.

        `streams`: by name, as they were listed. Raises ConfigurationError without
        `each_alone`, nats errors or TransientError when the broker is away.
        """
        notes, refused = list[str](), dict[TenantId, str]()
        for one in plans:
            try:
                notes += await self._declare(one, streams.get(one.definition.name))
            except ConfigurationError as error:
                if not self._each_alone:
                    raise
                refused[one.tenant] = str(error)
        return notes, refused

    async def _declare(self, one: StreamPlan, before: LiveStream | None) -> list[str]:
        """The stream as planned; lines that say what was done, and what was dropped by it."""
        definition = one.definition
        stood = self._stood.get(definition.name)
        if stood is not None and stood[0] is one and stood[1] is before:
            return []
        planned = self.plans.get(definition.name)
        changes = before is None or differences(before.info.config, stream_config(definition))
        drifted = planned is not None and (
            before is None or differences(before.info.config, stream_config(planned.definition))
        )
        notes: list[str] = []
        if changes:
            notes = await self._bring(one, before)
            if drifted:
                self._metrics.drift.labels(one.tenant).inc()
            notes.insert(0, describe(one, before, drifted=bool(drifted)))
        elif before is not None:
            self._stood[definition.name] = (one, before)
        self.plans[definition.name] = one
        return notes

    async def _bring(self, one: StreamPlan, before: LiveStream | None) -> list[str]:
        """Declare it; what a smaller limit drops is foretold, and announced when it has gone."""
        name, notes = one.definition.name, list[str]()
        state: StreamState | None = None
        if before is not None:
            # As it is right now: what is dropped is counted from here.
            now = await look_at(self._client, name)
            if now is None:
                # Deleted since it was listed: the next look makes it anew.
                return notes
            state = await self.state(now)
            notes += foretell(one, state)
        try:
            after = await declare_stream(self._js, one.definition)
        except NotFoundError:
            return notes
        except APIError as error:
            if isinstance(error, ServiceUnavailableError) and error.err_code is None:
                # Nobody answers for JetStream: the broker is away.
                raise
            raise ConfigurationError(
                f"stream {name} ({format_size(one.max_bytes)}): the broker refuses it: "
                f"{error.description}{await self._remedy(one)}"
            ) from error
        if state is not None:
            trim = trim_by_shrinking(one.tenant, state, after, one.resulting_window_seconds)
            if trim is not None:
                notes.append(await self._announcer.announce(trim))
        return notes

    async def _remedy(self, one: StreamPlan) -> str:
        """What can be done about a refusal, to be put behind it. Raises TransientError."""
        account = await look_at_account(self._client)
        overbooked = account.overbooked(one.definition.storage)
        if overbooked is None:
            return f". {self._advice.refused}" if self._advice.refused else ""
        reserved, limit = map(format_size, overbooked)
        return (
            f". The account's limit of {limit} is below the {reserved} that its streams reserve, "
            "and the broker then lets none of them shrink: raise the limit to more than "
            f"{reserved}, wait until the streams are smaller, then lower it"
        )

    async def shrink_unused(self, stream: LiveStream) -> tuple[str, LiveStream] | None:
        """A stream nobody plans keeps what it holds and no more room.

        When that is new, a line and the stream as it is now: the plan counts with it.
        """
        least = least_bytes(stream)
        if stream.info.config.max_bytes == least:
            return None
        after = stream.with_max_bytes(least)
        await self._js.update_stream(after.info.config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        return (
            f"stream {stream.name} belongs to no fleet any more; it keeps its "
            f"{stream.info.state.messages} messages, within {format_size(least)}"
        ), after


def differences(live: StreamConfig, wanted: StreamConfig) -> dict[str, tuple[object, object]]:
    """Settings that are not as wanted: name to (live, wanted)."""
    names = (
        "subjects",
        "retention",
        "discard",
        "max_bytes",
        "max_age",
        "max_msg_size",
        "max_msgs",
        "max_msgs_per_subject",
        "max_consumers",
        "no_ack",
        "subject_transform",
        "duplicate_window",
        "storage",
        "num_replicas",
        "allow_direct",
    )
    pairs = {name: (getattr(live, name), getattr(wanted, name)) for name in names}
    return {name: (a, b) for name, (a, b) in pairs.items() if a != b}
