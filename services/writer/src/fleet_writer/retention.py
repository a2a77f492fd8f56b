"""How long rows are kept: the writer's settings, and what each tenant's fleet asks for instead.

The database keeps what tenants asked for last. What the bucket `fleet-tenants` says is put
there, and who is missing from the bucket keeps what it had: a broker that was emptied or is
away must not make anybody's rows old.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from fleet_common.tenants import TenantRecord
from fleet_contracts.subjects import TenantId
from fleet_writer.database import Connection
from fleet_writer.partitions import retention_days, today
from fleet_writer.settings import RetentionSection
from fleet_writer.tables import (
    FIRMWARE,
    FIRMWARE_ADVICE,
    HEALTH,
    INTERFACE,
    INVENTORY,
    RADIO,
    SENSOR,
    STATUS,
    WIRELESS,
    WIRELESS_CLIENT,
    SampleTable,
)

_log = logging.getLogger(__name__)

WORDS: Final[Mapping[str, SampleTable]] = {
    "device_status": STATUS,
    "health": HEALTH,
    "sensors": SENSOR,
    "interfaces": INTERFACE,
    "wireless": WIRELESS,
    "radios": RADIO,
    "wireless_clients": WIRELESS_CLIENT,
    "firmware": FIRMWARE,
    "firmware_advice": FIRMWARE_ADVICE,
    "inventory": INVENTORY,
}
"""The kinds of row that a fleet's `database.retentionDays` names."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Days by table name, of one tenant."""

    tenant: TenantId
    days: Mapping[str, int]


class Retention:
    """Shared by the sessions and the rounds of housekeeping; days by table name."""

    def __init__(self, settings: RetentionSection) -> None:
        self._default: Mapping[str, int] = retention_days(settings)
        self._tenants: dict[TenantId, Keep] = {}

    def of(self, tenant: TenantId) -> Mapping[str, int]:
        """Days of a tenant's rows."""
        known = self._tenants.get(tenant)
        return self._default if known is None else known.days

    def oldest_days(self, tenant: TenantId) -> dict[str, int]:
        """The first day (from 1970-01-01) of which rows are still kept."""
        day = today()
        return {table: day - days for table, days in self.of(tenant).items()}

    def longest(self) -> dict[str, int]:
        """Days for which somebody's rows are kept; those of the settings without tenants."""
        kept = [one.days for one in self._tenants.values()] or [self._default]
        return {table: max(days[table] for days in kept) for table in self._default}

    def shorter(self) -> list[Keep]:
        """Tenants that keep rows of some table less long than another tenant does."""
        longest = self.longest()
        return [
            one
            for one in self._tenants.values()
            if any(one.days[table] < longest[table] for table in longest)
        ]

    async def store(self, connection: Connection, records: Mapping[TenantId, TenantRecord]) -> None:
        """Put what fleets ask for where it lasts. The caller holds the connection's lock."""
        if not records:
            return
        changed = await connection.fetch(
            "INSERT INTO tenants (name, retention_days) "
            "SELECT name, days::jsonb FROM unnest($1::text[], $2::text[]) AS asked (name, days) "
            "ON CONFLICT (name) DO UPDATE SET retention_days = excluded.retention_days "
            "WHERE tenants.retention_days <> excluded.retention_days RETURNING name",
            list(records),
            [json.dumps(record.retention_days) for record in records.values()],
        )
        for row in changed:
            asked = records[TenantId(row["name"])].retention_days
            _log.info(
                "a tenant's own retention", extra={"tenant": row["name"], "retention_days": asked}
            )

    async def load(self, connection: Connection) -> None:
        """Read what is stored. The caller holds the connection's lock."""
        rows = await connection.fetch("SELECT name, retention_days::text AS days FROM tenants")
        found: dict[TenantId, Keep] = {}
        for row in rows:
            asked = cast("dict[str, int]", json.loads(row["days"]))
            own = {WORDS[word].name: days for word, days in asked.items() if word in WORDS}
            tenant = TenantId(row["name"])
            found[tenant] = Keep(tenant, {**self._default, **own})
        self._tenants = found
