"""The result of a run as one JSON object. Every figure was counted, none is derived from a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from fleet_cli.accounting import StreamAccount, total_unaccounted
from fleet_cli.audit import ranges_of, show_ranges
from fleet_cli.sse_client import ToldGap


@dataclass(frozen=True, slots=True)
class Summary:
    """What `routerfleet demo --json` prints; seconds and bytes in the names."""

    devices_total: int
    devices_up: int
    tenants: int
    polls: int
    """Polls that were finished, failed ones included."""
    polls_answered: int | None
    """What the simulated routers themselves count; null with real ones."""
    events: int
    """Messages that entered the streams."""
    events_stored: int
    rows: int
    stream_bytes: int
    stream_max_bytes: int
    sse_events: int
    sse_missing: int
    """Events after the client's first snapshot that it neither got nor was told of."""
    sse_told: int
    """Events in whose place it got a reset and a fresh snapshot."""
    sse_resets: int
    sse_gaps: Sequence[ToldGap]
    """The resets: why, and the sequences that their snapshots stand for."""
    unaccounted: int
    duplicates: int
    duplicates_absorbed: int
    """Rows that came twice to the writer and were absorbed by their key."""
    rejected: int
    lost: int
    """Messages that left a stream before they were stored, recorded as lost ranges."""
    dropped_by_pollers: int
    restarts: int
    seconds: float
    first_device_seconds: float | None
    """From the command's start until a page would show a device."""
    all_known_seconds: float | None
    """From the command's start until every device had been polled."""
    warm_start: bool
    accounts: Mapping[str, StreamAccount]
    problems: Sequence[str]
    """A line for each way in which something is not accounted for; empty in a good run."""

    @property
    def ok(self) -> bool:
        """Whether every event is accounted for, once."""
        return self.unaccounted == 0

    def to_json(self) -> dict[str, object]:
        """Plain values; the accounts by stream, each with its own sum."""
        values = asdict(self)
        values["accounts"] = {
            stream: {**asdict(account), "unaccounted": account.unaccounted}
            for stream, account in self.accounts.items()
        }
        return values


def unaccounted(
    accounts: Mapping[str, StreamAccount],
    dropped_by_pollers: int,
    sse_missing: Mapping[str, Sequence[int]],
) -> tuple[int, list[str]]:
    """All that is missing anywhere on the way, and a line for each way.

    `sse_missing`: by tenant the sequences that the event stream's client lacks, in order.
    """
    problems = [
        f"{stream}: {line}" for stream, account in accounts.items() for line in account.explain()
    ]
    if dropped_by_pollers:
        problems.append(f"{dropped_by_pollers} dropped by pollers before they reached a stream")
    problems += [
        f"{tenant}: {len(sequences)} in the stream, but not sent to the event stream's client "
        f"(sequences {show_ranges(ranges_of(sequences))})"
        for tenant, sequences in sse_missing.items()
    ]
    missing = sum(map(len, sse_missing.values()))
    return total_unaccounted(accounts.values()) + dropped_by_pollers + missing, problems
