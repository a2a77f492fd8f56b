"""Whose devices are to be counted: the fleets, their streams and what the shards say, in one."""

from collections.abc import Mapping

from fleet_contracts.subjects import TenantId
from fleet_operator.assigning import Assigning
from fleet_operator.broker_state import BrokerState
from fleet_operator.devices_up import Counts, Polled, polled
from fleet_operator.fleets import Fleets
from fleet_operator.identity import identical
from fleet_operator.shards import Shards


class ToCount:
    """Called, it gives every tenant's; the same object while none of what it is made from changes.

    Of a hundred fleets at rest it is made anew for none.
    """

    def __init__(
        self, fleets: Fleets, state: BrokerState, assigning: Assigning, shards: Shards
    ) -> None:
        self._fleets = fleets
        self._state = state
        self._assigning = assigning
        self._shards = shards
        self._sources: tuple[object, ...] = ()
        self._made: Mapping[TenantId, Polled] = {}

    def __call__(self) -> Mapping[TenantId, Polled]:
        """By tenant; those that are no rival's, and whose stream was seen."""
        state = self._state
        sources = (self._fleets.read(), state.seen, state.left_out, self._assigning.steps)
        if not identical(sources, self._sources):
            self._made, self._sources = self._make(), sources
        return self._made

    def _make(self) -> dict[TenantId, Polled]:
        found: dict[TenantId, Polled] = {}
        for one in self._fleets.read():
            seen = self._state.seen.get(one.tenant)
            if one.rival is not None or seen is None:
                continue
            last = seen.state.last_sequence
            step = self._assigning.found(one.tenant)
            devices = self._shards.devices(one)
            found[one.tenant] = (
                Polled(Counts(), devices, last)
                if step is None
                else polled(devices, step.step.shares, step.counts, last)
            )
        return found
