"""The operator's settings: `FLEET_OPERATOR__<FIELD>` and the sections every service has."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from fleet_common.settings import (
    OptionalPath,
    OptionalSecret,
    OptionalText,
    Section,
    ServiceSettings,
)
from fleet_common.units import Bytes


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


def _number(value: object) -> object:
    """A variable is text, and a Literal compares with what it is given."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


type _OptionalBytes = Annotated[Bytes | None, BeforeValidator(_empty_is_none)]


class OperatorSection(Section):
    """What the operator looks after, and what the pollers it starts look like.

    One operator to a NATS account: what it finds there of other tenants it takes for leftovers.
    """

    namespaces: str = Field(default="", pattern=r"^[a-z0-9, -]*$")
    """Namespaces whose RouterFleets are looked after, comma separated. Empty: all, which needs a
    ClusterRole."""
    poller_image: str = Field(default="routerfleet-poller:latest", min_length=1)
    """Image of the poller shards. A change rolls the pods."""
    poller_pull_policy: str = Field(default="IfNotPresent", pattern="^(Always|IfNotPresent|Never)$")
    """When the kubelet pulls it."""
    poller_pod_file: OptionalPath = None
    """YAML file with what a shard's pod has besides: `resources`, `nodeSelector`, `tolerations`,
    `affinity`, `topologySpreadConstraints`, `imagePullSecrets`, `priorityClassName`, `podLabels`,
    `podAnnotations`, `env` (a map), `terminationGracePeriodSeconds`. Read at start."""
    poller_nats_url: OptionalText = None
    """NATS as the pollers reach it. Unset: as the operator does."""
    poller_nats_user: OptionalText = None
    """The pollers' NATS user; given to them in a Secret beside each fleet."""
    poller_nats_password: OptionalSecret = None
    """Password of `poller_nats_user`. A change rolls the pods."""
    poller_nats_credentials_file: OptionalPath = None
    """The pollers' `.creds` file, where NATS uses accounts; given to them like a user. What this
    file, the next two and `FLEET_NATS__CA_FILE` hold reaches the pollers when it changes, without
    a restart."""
    poller_nats_cert_file: OptionalPath = None
    """The pollers' client certificate (PEM), where NATS asks for one."""
    poller_nats_key_file: OptionalPath = None
    """Key of `poller_nats_cert_file`."""
    budget_bytes: _OptionalBytes = None
    """File storage that all tenants' streams may take, e.g. `2Gi`. Unset: the account's limit;
    an account without one is refused."""
    memory_budget_bytes: _OptionalBytes = None
    """The same for memory streams. Unset: the account's limit."""
    bucket_replicas: Annotated[Literal[1, 3, 5], BeforeValidator(_number)] = 1
    """Copies of the key-value buckets in a NATS cluster. Buckets with fewer get more."""
    resync_seconds: float = Field(default=60.0, ge=5, le=3600)
    """Seconds between two full looks at the cluster: what no watch told is repaired by then."""
    look_seconds: float = Field(default=10.0, ge=1, le=300)
    """Seconds between two looks at the streams and buckets: what was changed by hand is put right
    by then. Each costs the broker two requests, and one for each stream in which something is
    new."""
    replan_seconds: float = Field(default=60.0, ge=5, le=3600)
    """Seconds after which all streams are planned anew even though no fleet changed."""
    measure_seconds: float = Field(default=600.0, ge=10, le=86_400)
    """Seconds between two measurements of the messages' real sizes, which plans are made from."""
    status_seconds: float = Field(default=30.0, ge=5, le=3600)
    """Seconds between two updates of figures in a status that change all the time: devices up,
    the stream's bytes. Conditions are written at once."""
    cleanup_seconds: float = Field(default=120.0, ge=5, le=3600)
    """Seconds that a deleted RouterFleet may wait for NATS or its pods. Then its finalizer goes
    and an Event says what is left behind; it is collected when NATS is back."""
    saturated_seconds: float = Field(default=60.0, ge=5, le=3600)
    """Seconds that a shard must be saturated (0.8 of the processor that it may use, or polls that
    begin 2 s late) before one is added; as long it is until the next."""
    calm_seconds: float = Field(default=900.0, ge=10, le=86_400)
    """Seconds that one shard less must have been enough before one is removed that saturation
    added; as long it is until the next."""
    stalled_seconds: float = Field(default=90.0, ge=10, le=3600)
    """Seconds without a completed reconcile until /healthz turns red."""

    @property
    def namespace_list(self) -> tuple[str, ...]:
        """The namespaces; none for all."""
        return tuple(sorted({one.strip() for one in self.namespaces.split(",")} - {""}))


class OperatorSettings(ServiceSettings):
    """Everything the operator reads from its environment."""

    operator: OperatorSection = OperatorSection()
