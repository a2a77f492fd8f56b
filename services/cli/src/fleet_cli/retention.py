"""From which slot on a tenant's rows must still be in the tables. Pure.

The writer drops whole days, and stores no event of a day that it would have dropped. How long
it keeps a kind stands in the database where the tenant's fleet asks for it; the writer's own
settings, which hold otherwise, do not, so there the oldest day that is still there tells.
"""

from datetime import datetime
from typing import Final

from fleet_contracts.subjects import Kind

SHORTEST_DAYS: Final = 1
"""The least that retention can be set to: younger rows are all there."""

WORDS: Final[dict[Kind, str]] = {
    Kind.STATUS: "device_status",
    Kind.HEALTH: "health",
    Kind.INTERFACES: "interfaces",
    Kind.WIRELESS: "wireless",
    Kind.FIRMWARE: "firmware",
    Kind.FIRMWARE_ADVICE: "firmware_advice",
    Kind.INVENTORY: "inventory",
}
"""What `database.retentionDays` of a fleet calls the rows that SAMPLE_TABLE has. Trims are kept."""

_DAY_MS: Final = 86_400_000


def kept_since_ms(now: datetime, asked_days: int | None, oldest_slot_ms: int | None) -> int:
    """The first slot (Unix ms) of which rows must be there.

    `asked_days`: of the tenant's fleet, None where it asks for nothing; `oldest_slot_ms` of the
    tenant's rows, None where there are none.
    """
    today = int(now.timestamp() * 1000) // _DAY_MS
    kept = today - SHORTEST_DAYS
    if oldest_slot_ms is not None:
        kept = min(kept, oldest_slot_ms // _DAY_MS)
    if asked_days is not None:
        kept = max(kept, today - asked_days)
    return kept * _DAY_MS


def surely_kept_since_ms(now: datetime) -> int:
    """The first slot (Unix ms) of which rows are there however short retention is set."""
    return kept_since_ms(now, SHORTEST_DAYS, None)
