"""What a soak records, and whether its run was a good one. Pure."""

from dataclasses import asdict, dataclass, field
from typing import Any

from fleet_cli.soak.options import Mode


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading. Hours are simulated, bytes and counts over all tenants.

    `window_hours`: how far back the shortest stream reaches. `age_hours`: how old the newest
    row in PostgreSQL is, of the tenant that is worst off. `waiting`: events in the pollers'
    buffers; `unstored`: events in the streams that the writer has not stored.
    """

    hour: float
    source: str
    stream_bytes: int
    max_bytes: int | None
    messages: int
    server_rss_bytes: int
    window_hours: float
    age_hours: float
    unstored: int
    waiting: int
    dropped: int
    made: int
    stored: int
    sse_events: int


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, for a person."""

    hour: float
    what: str


@dataclass(frozen=True, slots=True)
class Trim:
    """What applying the plan did to one full stream. `unstored`: dropped before stored."""

    tenant: str
    bytes_before: int
    bytes_after: int
    messages_before: int
    messages_after: int
    first_before: int
    first_after: int
    stored_sequence: int
    max_bytes: int
    window_hours: float
    milliseconds: float

    @property
    def dropped_messages(self) -> int:
        """Messages the broker discarded at once."""
        return self.messages_before - self.messages_after

    @property
    def unstored(self) -> int:
        """Of those, the ones that were not in PostgreSQL yet."""
        return max(0, self.first_after - 1 - self.stored_sequence)


@dataclass(frozen=True, slots=True)
class Account:
    """One tenant's events over the run, from the pollers to the tables."""

    tenant: str
    made: int
    waiting: int
    dropped: int
    in_stream: int
    stored: int
    rejected: int
    lost: int
    """Discarded by the stream before the writer stored them."""
    keys: int
    """Different (device, kind, slot) in the tables."""
    rows_duplicate: int

    @property
    def unaccounted(self) -> int:
        """Events of which nobody can say where they are."""
        entered = self.made - self.waiting - self.dropped - self.in_stream
        kept = self.in_stream - self.stored - self.rejected - self.lost
        return abs(entered) + abs(kept) + abs(self.stored - self.keys)


@dataclass(slots=True)
class SseTally:
    """What the client of the event stream got of one kind, checked device by device."""

    interval_ms: int
    events: int = 0
    twice: int = 0
    holes: int = 0
    resets: int = 0
    connects: int = 0
    _last: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])

    def take(self, tenant: str, device: str, slot_ms: int) -> None:
        """An event: the device's next slot, or something is wrong."""
        last = self._last.get((tenant, device))
        self.events += 1
        if last is not None and slot_ms <= last:
            self.twice += 1
            return
        if last is not None:
            self.holes += (slot_ms - last) // self.interval_ms - 1
        self._last[tenant, device] = slot_ms

    def to_json(self) -> dict[str, int]:
        """The counts."""
        return {
            "events": self.events,
            "twice": self.twice,
            "holes": self.holes,
            "resets": self.resets,
            "connects": self.connects,
        }


@dataclass(slots=True)
class SoakRun:
    """One mode's run, whole."""

    mode: Mode
    hours: float
    wire_hours: float
    limit_bytes: int
    samples: list[Sample] = field(default_factory=list[Sample])
    moments: list[Moment] = field(default_factory=list[Moment])
    trims: list[Trim] = field(default_factory=list[Trim])
    accounts: list[Account] = field(default_factory=list[Account])
    services: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    """What each service said of itself, by moment (`refused`, `end`)."""
    full_hour: float | None = None
    """When the broker first refused an event; None: never."""
    healed_hour: float | None = None
    duplicates: int = 0
    """Rows that stand in the tables more than once."""
    restarts: int = 0
    polls: dict[str, int] = field(default_factory=dict[str, int])
    """Polls by way: `wire`, `direct`."""
    failed_polls: int = 0
    seconds: float = 0.0
    """Real ones."""
    sse: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def lost(self) -> int:
        """Events that are in no table and never will be."""
        return sum(one.lost + one.dropped + one.rejected for one in self.accounts)

    def problems(self) -> list[str]:
        """A line for each thing that a run of this mode must not show."""
        lines = self._always()
        if self.mode is Mode.NAIVE:
            return lines
        if self.lost:
            lines.append(f"{self.lost} events lost")
        waiting = sum(one.waiting for one in self.accounts)
        if waiting:
            lines.append(f"{waiting} events never reached a stream")
        if self.mode is Mode.PLANNED and self.full_hour is not None:
            lines.append(f"the broker refused events from hour {self.full_hour:.1f} on")
        if self.mode is Mode.HEAL and self.full_hour is not None and self.healed_hour is None:
            lines.append("the server was full and was not healed within the run")
        unstored = sum(trim.unstored for trim in self.trims)
        if unstored:
            lines.append(f"the trim dropped {unstored} events that were not stored")
        if self.sse.get("holes") and not self.sse.get("resets"):
            lines.append(f"the event stream's client missed {self.sse['holes']} events")
        return lines

    def _always(self) -> list[str]:
        lines: list[str] = []
        unaccounted = sum(one.unaccounted for one in self.accounts)
        if unaccounted:
            lines.append(f"{unaccounted} events unaccounted for")
        twice = self.duplicates + sum(one.rows_duplicate for one in self.accounts)
        if twice:
            lines.append(f"{twice} rows doubled")
        if self.sse.get("twice"):
            lines.append(f"the event stream's client got {self.sse['twice']} events twice")
        if self.restarts:
            lines.append(f"a process ended by itself {self.restarts} times")
        # Without a limit on the streams the broker itself stops them, give or take a message.
        over = [s for s in self.samples if s.max_bytes and s.stream_bytes > self._bound(s)]
        if over:
            lines.append(f"streams above their limit at hour {over[0].hour:.1f}")
        return lines

    def _bound(self, sample: Sample) -> int:
        return min(self.limit_bytes, sample.max_bytes or self.limit_bytes)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        body = asdict(self)
        body["mode"] = self.mode.value
        body["lost"] = self.lost
        body["problems"] = self.problems()
        for trim, found in zip(body["trims"], self.trims, strict=True):
            trim["dropped_messages"] = found.dropped_messages
            trim["unstored"] = found.unstored
        return body


def run_from_json(body: dict[str, Any]) -> SoakRun:
    """A run as `to_json` wrote it. Raises KeyError or TypeError when it is none."""
    fields: dict[str, Any] = {name: body[name] for name in SoakRun.__dataclass_fields__}
    fields["mode"] = Mode(body["mode"])
    fields["samples"] = [Sample(**one) for one in body["samples"]]
    fields["moments"] = [Moment(**one) for one in body["moments"]]
    fields["accounts"] = [Account(**one) for one in body["accounts"]]
    fields["trims"] = [
        Trim(**{name: one[name] for name in Trim.__dataclass_fields__}) for one in body["trims"]
    ]
    return SoakRun(**fields)
