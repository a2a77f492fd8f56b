"""The operator's parts, as the controller works with them."""

from dataclasses import dataclass

from fleet_operator.announcing import Announcer
from fleet_operator.applying import Objects
from fleet_operator.assigning import Assigning
from fleet_operator.broker_side import BrokerSide
from fleet_operator.cleanup import Cleanup
from fleet_operator.devices_up import DevicesUp
from fleet_operator.fleets import Fleets
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.poller_pods import PodSource
from fleet_operator.reporting import Reporter
from fleet_operator.secret_sync import SecretSync
from fleet_operator.shards import Shards
from fleet_operator.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pass works with."""

    store: Store
    fleets: Fleets
    broker: BrokerSide
    assigning: Assigning
    shards: Shards
    secrets: SecretSync
    objects: Objects
    cleanup: Cleanup
    reporter: Reporter
    up: DevicesUp
    announcer: Announcer
    pods: PodSource
    metrics: OperatorMetrics
