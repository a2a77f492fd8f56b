"""The RouterFleet resource: what `kubectl apply` and `routerfleet demo --fleet` both take.

One RouterFleet is one tenant; its name is the tenant id. The rules that hold between fields
stand beside the models twice: as validators here, as CEL for the API server. The samples
under operator/samples are checked against both.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fleet_common.fleet_spec.cel import seconds_of
from fleet_common.fleet_spec.device import CredentialsSpec, DeviceSpec, TlsSpec
from fleet_common.fleet_spec.fields import SUBDOMAIN_PATTERN, Label, Rule, SpecModel, rules
from fleet_common.units import Bytes, Seconds, format_duration
from fleet_contracts.streams import StreamStorage
from fleet_contracts.subjects import DeviceId, TenantId

API_VERSION: Final = "routerfleet.io/v1alpha1"
KIND: Final = "RouterFleet"
MAX_DEVICES: Final = 10_000
"""Devices of one fleet, wherever they are listed."""
MAX_NAME_LENGTH: Final = 40
"""A fleet's name leaves room for what is appended to it in names of pods and their labels."""

_MIN_ABOVE_MAX: Final = "min must not be above max"
_STORAGE_STAYS: Final = (
    "storage of a live stream cannot be changed: delete the RouterFleet with deletionPolicy "
    "Delete and apply it again, or apply it under another name"
)
_WINDOW_BELOW_INTERVAL: Final = "events.replayWindow must not be below cadence.interval"
_NAME: Final = (
    f"the name becomes the tenant id: at most {MAX_NAME_LENGTH} of a-z, 0-9 and '-', a letter first"
)
_LETTER_FIRST: Final = re.compile("[a-z]")
"""Services are named after the fleet, and a Service's name begins with a letter."""


class CadenceSpec(SpecModel):
    """How often each kind is read. A multiple of `interval`; others are rounded up to one."""

    interval: Annotated[Seconds, Field(ge=0.2, le=86400)] = 60.0
    """Time between two polls of a device; status comes with each."""
    health: Annotated[Seconds, Field(gt=0, le=86400)] | None = None
    """Time between two readings of voltages, temperatures and fans. Unset: at every poll."""
    interfaces: Annotated[Seconds, Field(gt=0, le=86400)] | None = None
    """Time between two readings of the interfaces' counters. Unset: at every poll."""
    wireless: Annotated[Seconds, Field(gt=0, le=86400)] | None = None
    """Time between two readings of radios and their clients. Unset: at every poll."""
    firmware: Annotated[Seconds, Field(gt=0, le=604800)] = 21600.0
    """Time between two readings of the installed version, its channel and RouterBOOT."""
    inventory: Annotated[Seconds, Field(gt=0, le=86400)] = 1800.0
    """Time after which what rarely changes is sent again even without a change."""


class EventsSpec(SpecModel):
    """The tenant's stream."""

    replay_window: Annotated[Seconds, Field(ge=300, le=31 * 86400)] = 6 * 3600.0
    """How far back a reader should be able to go; the planner may have to shorten it."""
    max_bytes: Annotated[Bytes, Field(ge=1024 * 1024)] | None = None
    """Upper bound of the stream. Unset: what the wanted window needs, within the budget."""
    storage: StreamStorage = Field(
        default=StreamStorage.FILE, json_schema_extra=rules(Rule("self == oldSelf", _STORAGE_STAYS))
    )
    """Where the broker keeps the events. Fixed once the fleet exists."""
    replicas: Literal[1, 3, 5] = 1
    """Copies of the stream in a NATS cluster of at least as many servers."""


class ShardsSpec(SpecModel):
    """How many pollers share the fleet."""

    model_config = ConfigDict(
        json_schema_extra=rules(Rule("self.min <= self.max", _MIN_ABOVE_MAX, ".min"))
    )

    min: int = Field(default=1, ge=0, le=100)
    """At least this many pollers."""
    max: int = Field(default=20, ge=1, le=100)
    """At most this many pollers."""
    devices_per_shard: int = Field(default=1000, ge=1, le=MAX_DEVICES)
    """One more poller for each so many devices."""
    replicas: int | None = Field(default=None, ge=0, le=100)
    """A fixed number of pollers instead; what `kubectl scale` sets."""

    @model_validator(mode="after")
    def _min_is_not_above_max(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"{_MIN_ABOVE_MAX}: min {self.min} is above max {self.max}")
        return self


type _Days = Annotated[int, Field(ge=1, le=3650)]


class RetentionSpec(SpecModel):
    """Days that rows are kept; unset: what the writer's own settings say."""

    device_status: _Days | None = None
    """Reachability and load, one row a poll."""
    health: _Days | None = None
    """Supply and temperature summary, one row a poll."""
    sensors: _Days | None = None
    """Single sensors."""
    interfaces: _Days | None = None
    """Interface counters and rates."""
    wireless: _Days | None = None
    """Wireless interfaces."""
    radios: _Days | None = None
    """Radios and channels."""
    wireless_clients: _Days | None = None
    """Registered wireless clients."""
    firmware: _Days | None = None
    """Installed versions."""
    firmware_advice: _Days | None = None
    """Advice of the firmware checker."""
    inventory: _Days | None = None
    """Board, serial number, identity."""


class DatabaseSpec(SpecModel):
    """What the database keeps of this tenant."""

    retention_days: RetentionSpec = RetentionSpec()
    """Days that rows are kept, by kind of row. Unset: what the writer's own settings say."""


class ConfigMapReference(SpecModel):
    """A ConfigMap in the resource's namespace, or a document of the same file on a laptop."""

    name: str = Field(min_length=1, max_length=253, pattern=SUBDOMAIN_PATTERN)
    """The ConfigMap's name."""
    key: str | None = Field(default=None, min_length=1, max_length=253, pattern="^[-._a-zA-Z0-9]+$")
    """The key whose value is a YAML or JSON list of devices; unset: every key of the ConfigMap."""
    optional: bool = False
    """Do without it while the ConfigMap or the key is not there."""


class DevicesFrom(SpecModel):
    """Where more devices are listed."""

    config_map_ref: ConfigMapReference
    """The ConfigMap."""


class DeletionPolicy(StrEnum):
    """What becomes of the stream when the resource is deleted."""

    RETAIN = "Retain"
    """The stream and what it holds stay; the same name takes them up again."""
    DELETE = "Delete"
    """The stream is deleted with the resource."""


class RouterFleetSpec(SpecModel):
    """The desired state of one tenant's fleet."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                f"[{seconds_of('self.events.replayWindow')}].all(window, "
                f"[{seconds_of('self.cadence.interval', weeks=False)}].all(interval, "
                "window >= interval))",
                _WINDOW_BELOW_INTERVAL,
                ".events.replayWindow",
            )
        )
    )

    credentials: CredentialsSpec
    """User and password for all devices that name no other."""
    tls: TlsSpec = TlsSpec()
    """TLS for all devices that name no other."""
    cadence: CadenceSpec = CadenceSpec()
    """How often each kind is read."""
    events: EventsSpec = EventsSpec()
    """The stream that the fleet's events are kept on: how far back, how large, where."""
    shards: ShardsSpec = ShardsSpec()
    """How many pollers share the fleet."""
    database: DatabaseSpec = DatabaseSpec()
    """What the database keeps of this fleet."""
    suspend: bool = False
    """Stop polling the whole fleet: its pollers end, its stream stays."""
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    """What becomes of the stream when the RouterFleet is deleted. Retain: it stays, and the same
    name takes it up again. Delete: it goes too. Rows in the database always stay."""
    devices: list[DeviceSpec] = Field(default_factory=list[DeviceSpec], max_length=MAX_DEVICES)
    """The routers, each with a name of its own. More than some thousands are listed in ConfigMaps
    (devicesFrom) or applied with `kubectl apply --server-side`: without it kubectl keeps the whole
    document in an annotation, which holds 256 KiB."""
    devices_from: list[DevicesFrom] = Field(default_factory=list[DevicesFrom], max_length=100)
    """More routers, listed in ConfigMaps; all together at most 10,000. A name that was listed
    before is left out and named in the condition InventoryValid."""

    @field_validator("devices")
    @classmethod
    def _names_are_unique(cls, devices: list[DeviceSpec]) -> list[DeviceSpec]:
        twice = [name for name, count in Counter(d.name for d in devices).items() if count > 1]
        if twice:
            raise ValueError(f"device names must be unique; twice or more: {', '.join(twice[:5])}")
        return devices

    @model_validator(mode="after")
    def _window_holds_a_poll(self) -> Self:
        if self.events.replay_window < self.cadence.interval:
            raise ValueError(
                f"{_WINDOW_BELOW_INTERVAL}: "
                f"{format_duration(self.events.replay_window)} does not hold one poll "
                f"of every {format_duration(self.cadence.interval)}"
            )
        return self


class Metadata(BaseModel):
    """The part of Kubernetes' object metadata that matters here."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Label
    namespace: str | None = None

    @field_validator("name")
    @classmethod
    def _name_makes_names(cls, value: str) -> str:
        if len(value) > MAX_NAME_LENGTH or not _LETTER_FIRST.match(value):
            raise ValueError(_NAME)
        return value


class RouterFleet(SpecModel):
    """A fleet of routers: polled, and its events kept on one stream, for one tenant."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                f"size(self.metadata.name) <= {MAX_NAME_LENGTH} && "
                "self.metadata.name.matches('^[a-z][a-z0-9-]*$')",
                _NAME,
            )
        )
    )

    api_version: Literal["routerfleet.io/v1alpha1"] = API_VERSION
    kind: Literal["RouterFleet"] = KIND
    metadata: Metadata
    spec: RouterFleetSpec

    @property
    def tenant(self) -> TenantId:
        """The tenant id is the resource's name."""
        return TenantId(self.metadata.name)

    def device_ids(self) -> Iterator[DeviceId]:
        """The names of all devices, in the file's order."""
        return (DeviceId(device.name) for device in self.spec.devices)


def with_devices(fleet: RouterFleet, devices: Sequence[DeviceSpec]) -> RouterFleet:
    """The fleet with exactly these devices inline and none elsewhere."""
    changed = {"devices": list(devices), "devices_from": []}
    return fleet.model_copy(update={"spec": fleet.spec.model_copy(update=changed)})
