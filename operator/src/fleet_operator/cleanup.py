"""A deleted RouterFleet, step by step: pods, assignments, records, stream, then its finalizer.

With a deadline: a finalizer must not hang a namespace while NATS is away. What is left
behind then is collected when NATS is back, as of any tenant without a RouterFleet.
"""

import logging
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Final

from nats.errors import Error as NatsError

from fleet_common.errors import FleetError
from fleet_common.fleet_spec import DeletionPolicy
from fleet_contracts.subjects import stream_name
from fleet_operator.announcing import Announcer
from fleet_operator.applying import may_take
from fleet_operator.assigning import Assigning
from fleet_operator.broker_side import BrokerSide
from fleet_operator.fleets import Known
from fleet_operator.kinds import FINALIZER, ROUTER_FLEET, Document, part
from fleet_operator.kube import Kube
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.store import Store
from fleet_operator.workloads import Owner, stateful_set_key

_log = logging.getLogger(__name__)

_ASSIGNMENTS_SECONDS: Final = 15.0
"""How long shards may take to let their devices go before their pods are ended all the same."""


class Cleanup:
    """`advance` does one fleet's next step, again and again until its finalizer has gone."""

    def __init__(
        self,
        kube: Kube,
        store: Store,
        broker: BrokerSide,
        assigning: Assigning,
        *,
        announcer: Announcer,
        metrics: OperatorMetrics,
        deadline_seconds: float,
    ) -> None:
        self._kube = kube
        self._store = store
        self._broker = broker
        self._assigning = assigning
        self._announcer = announcer
        self._metrics = metrics
        self._deadline_seconds = deadline_seconds
        self._owners: dict[str, Owner] = {}

    def note(self, everyone: Iterable[Known]) -> None:
        """The RouterFleets that there are."""
        self._owners = {known.owner.uid: known.owner for known in everyone}

    def gone(self, uids: AbstractSet[str]) -> list[Owner]:
        """Those that were there at the last look and are no more."""
        return [owner for uid, owner in self._owners.items() if uid not in uids]

    def replicas(self, known: Known, kept: int) -> int:
        """Of its StatefulSet: none as soon as its shards let go, or did not in time."""
        if self._broker.state.trouble is not None or _age(known) > _ASSIGNMENTS_SECONDS:
            return 0
        return 0 if self._released(known) else kept

    def may_remove(self, known: Known) -> bool:
        """Whether nothing of it polls any more, so that records and stream may go."""
        live = self._live(known)
        if live is None:
            return True
        asked: int = part(live, "spec").get("replicas", 1)
        there: int = part(live, "status").get("replicas", 0)
        return asked == there == 0

    async def hold(self, known: Known) -> None:
        """Its end is seen to: our finalizer is on it. Raises KubeError."""
        await self._finalize(known, [*known.finalizers, FINALIZER])

    async def advance(self, known: Known) -> None:
        """The next step. Raises KubeError."""
        left: str | None = "its pods have not ended"
        if known.rival is not None:
            left = None  # it never had anything
        elif self.may_remove(known):
            left = await self._remove(known)
        if left is None:
            await self._release(known)
        elif _age(known) > self._deadline_seconds:
            text = (
                f"not cleaned up within {self._deadline_seconds:g} s: {left}. The stream "
                f"{stream_name(known.tenant)} and the records of {known.tenant} may be left in "
                "NATS; records are removed when it answers again, the stream is kept"
            )
            if _takes_the_stream(known):
                text += f"; delete it with: nats stream rm {stream_name(known.tenant)}"
            self._announcer.say(known.owner, "CleanupAbandoned", text, warning=True)
            self._metrics.abandoned.inc()
            await self._announcer.flush()
            await self._release(known)

    async def _remove(self, known: Known) -> str | None:
        """Everything in NATS; why not, or None when it is done."""
        state = self._broker.state
        if state.trouble is not None or state.settled is None:
            return f"NATS: {state.trouble or 'not looked at yet'}"
        if known.tenant in state.settled.untouched or any(
            fleet.tenant == known.tenant for fleet in state.settled.fleets
        ):
            return "its records are still there"
        delete = _takes_the_stream(known)
        try:
            line = await self._broker.remove_tenant(known.tenant, delete_stream=delete)
        except (FleetError, NatsError, TimeoutError, OSError) as error:
            return f"NATS: {error or type(error).__name__}"
        text = "records and assignments are removed"
        if line is not None:
            text += f"; {line}"
        elif not delete:
            text += f"; stream {stream_name(known.tenant)} is kept"
        self._announcer.say(known.owner, "CleanedUp", text)
        return None

    async def _release(self, known: Known) -> None:
        await self._finalize(known, [one for one in known.finalizers if one != FINALIZER])
        _log.info(
            "finalizer removed",
            extra={"namespace": known.owner.namespace, "tenant": known.owner.name},
        )

    async def _finalize(self, known: Known, finalizers: list[str]) -> None:
        patch = {
            "metadata": {
                "finalizers": finalizers,
                "resourceVersion": known.body["metadata"]["resourceVersion"],
            }
        }
        self._store.take(ROUTER_FLEET, await self._kube.merge(known.key, patch))
        self._metrics.writes.labels("RouterFleet", "finalizer").inc()

    def _live(self, known: Known) -> Document | None:
        """Its StatefulSet; of somebody else's of that name nothing polls for it."""
        live = self._store.get(stateful_set_key(known.owner))
        return live if live is not None and may_take(live, known.owner) else None

    def _released(self, known: Known) -> bool:
        found = self._assigning.found(known.tenant)
        return found is not None and not found.ask.shards and not found.step.shares


def _takes_the_stream(known: Known) -> bool:
    """As it stands there: its device lists need not be readable any more."""
    return part(known.body, "spec").get("deletionPolicy") == DeletionPolicy.DELETE.value


def _age(known: Known) -> float:
    """Seconds since it was deleted, by the API server's and our own clock."""
    deleted = known.deleted_at
    return 0.0 if deleted is None else (datetime.now(UTC) - deleted).total_seconds()
