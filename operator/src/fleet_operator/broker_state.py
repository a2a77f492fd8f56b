"""What is asked of the broker, and what was found there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet_common.fleet_spec import RouterFleet
from fleet_common.planning import StreamPlan
from fleet_common.streams.live import NoLeaderError
from fleet_common.streams.watch import Seen
from fleet_contracts.subjects import DeviceId, TenantId
from fleet_operator.inventory_room import LeftOut
from fleet_operator.verdicts import BROKER_AWAY, NO_LEADER


@dataclass(frozen=True, slots=True)
class Asked:
    """What the fleets ask of the broker.

    `records`: the oldest fleet's first. `untouched` tenants are known, but what they want is not
    (or they are being taken down): everything of theirs stays as it is. Unless `all_known`, there
    may be tenants that nobody knows of, and so does what is there of such.
    """

    fleets: tuple[RouterFleet, ...]
    records: Mapping[str, bytes]
    untouched: frozenset[TenantId]
    all_known: bool = True


@dataclass(slots=True)
class BrokerState:
    """What the last passes found. `trouble`: why the last one failed; None when it did not."""

    trouble: str | None = "not connected yet"
    plans: dict[TenantId, StreamPlan] = field(default_factory=dict[TenantId, StreamPlan])
    refused: dict[TenantId, str] = field(default_factory=dict[TenantId, str])
    plan_error: str | None = None
    unled: TenantId | None = None
    """Whose stream no server of a cluster leads: until one does, nothing is planned. The streams
    that there are stay as they were planned, and all else goes on."""
    planned: Mapping[TenantId, RouterFleet] = field(default_factory=dict[TenantId, RouterFleet])
    """What the plans were made from."""
    seen: Mapping[TenantId, Seen] = field(default_factory=dict[TenantId, Seen])
    """The streams at the last look; the same object while nothing of them changes."""
    limits: Mapping[TenantId, int | None] = field(default_factory=dict[TenantId, int | None])
    """Their `max_bytes`; the same object while these are the same."""
    left_out: Mapping[TenantId, LeftOut] = field(default_factory=dict[TenantId, LeftOut])
    """Devices that the inventory has no room for."""
    settled: Asked | None = None
    """What streams and inventory are brought to."""

    def look(self, seen: Mapping[TenantId, Seen]) -> None:
        """Take what a look at the streams found."""
        if seen == self.seen:
            return
        self.seen = seen
        limits = {tenant: one.state.max_bytes for tenant, one in seen.items()}
        if limits != self.limits:
            self.limits = limits

    def without_record(self, tenant: TenantId) -> frozenset[DeviceId]:
        """Devices that the inventory has no room for at all: no shard can poll them."""
        left_out = self.left_out.get(tenant)
        return frozenset() if left_out is None else left_out.new

    def trouble_of(self, tenant: TenantId, fleet: RouterFleet | None) -> tuple[str, str] | None:
        """A reason and a message, if the stream is not known to be as this fleet asks."""
        if self.trouble is not None:
            return BROKER_AWAY, f"NATS: {self.trouble}"
        if tenant in self.refused:
            return "StreamRefused", self.refused[tenant]
        if self.unled is not None and (
            tenant == self.unled or self.planned.get(tenant) is not fleet
        ):
            return NO_LEADER, f"NATS: {NoLeaderError(self.unled)}"
        if self.plan_error is not None:
            return "BudgetTooSmall", self.plan_error
        return None

    def findings(self) -> tuple[object, ...]:
        """All that a fleet's conditions follow from; what is not found anew stays the same object.

        How full a stream is does not belong to it: figures are told every now and then.
        """
        return (
            self.trouble,
            self.plans,
            self.refused,
            self.plan_error,
            self.unled,
            self.limits,
            self.left_out,
            self.settled,
        )
