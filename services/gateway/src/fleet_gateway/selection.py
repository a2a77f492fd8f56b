"""What a client asks for: tenants, kinds and devices, and how events are gathered for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from fleet_contracts.subjects import DeviceId, Kind, TenantId
from fleet_gateway.entries import Entry
from fleet_gateway.positions import Mark


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter; None means all, of tenants also those that do not exist yet."""

    tenants: frozenset[TenantId] | None = None
    kinds: frozenset[Kind] | None = None
    devices: frozenset[DeviceId] | None = None

    def covers(self, tenant: TenantId) -> bool:
        """Whether a tenant's events belong to it."""
        return self.tenants is None or tenant in self.tenants

    def takes(self, entry: Entry) -> bool:
        """Whether an event of a covered tenant passes."""
        return (self.kinds is None or entry.kind in self.kinds) and (
            self.devices is None or entry.device in self.devices
        )


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """Clients with equal keys share every byte they are sent.

    `window_seconds` 0 is every event; above, the latest of each (device, kind) in a window.
    `carried` are positions in streams that this gateway does not know (yet), by tenant name:
    they stay in the ids, or a client that comes back would not be told what it missed of them.
    """

    selection: Selection
    window_seconds: float = 0.0
    carried: tuple[tuple[TenantId, Mark], ...] = ()


def coalesce(entries: Iterable[Entry]) -> list[Entry]:
    """The latest event of each (tenant, device, kind), in stream order by tenant.

    Any prefix of the result may be lost with a connection: what is left out is older than
    something of the same key that is still to come, so the ids stay true.
    """
    latest: dict[tuple[TenantId, DeviceId, Kind], Entry] = {}
    for entry in entries:
        key = (entry.tenant, entry.device, entry.kind)
        latest.pop(key, None)
        latest[key] = entry
    return list(latest.values())
