"""The status of a RouterFleet: its models, and the merge that leaves an unchanged one alone.

Pure. The status is computed whole at every reconcile and merged into what is there; what
does not change keeps every byte, so that nothing is written and no watcher wakes up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, cast

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from fleet_common.units import format_size

MESSAGE_MAX_LENGTH: Final = 32_768
REASON_PATTERN: Final = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
VOLATILE_SHARE: Final = 0.05
"""A stream's fill is shown anew after a change of this share of its size."""


class ConditionType(StrEnum):
    """The conditions of a RouterFleet, in the order they are listed."""

    READY = "Ready"
    """The fleet is polled and its stream is as planned."""
    STREAM_SIZED = "StreamSized"
    """The live stream has the planned limits."""
    REPLAY_WINDOW_REDUCED = "ReplayWindowReduced"
    """The stream reaches back less than wanted."""
    SHARDS_READY = "ShardsReady"
    """All wanted poller shards run and poll."""
    INVENTORY_VALID = "InventoryValid"
    """Every listed device can be read, and has room in the inventory."""
    CREDENTIALS_VALID = "CredentialsValid"
    """Every Secret referred to is there with its keys."""
    TENANT_CONFLICT = "TenantConflict"
    """Another, older RouterFleet has the same name and keeps the tenant."""


class ConditionStatus(StrEnum):
    """As in Kubernetes."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one reconcile found out of one condition. `reason`: one CamelCase word."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str


class StatusModel(BaseModel):
    """camelCase in the resource; fields that a later version wrote are dropped."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )


type _Time = Annotated[
    AwareDatetime,
    PlainSerializer(
        lambda moment: moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), return_type=str
    ),
]


class Condition(StatusModel):
    """One condition, with reason and figures."""

    type: str = Field(max_length=316, min_length=1)
    """Ready: the fleet is polled and its stream is as planned. StreamSized: the live stream has the
    planned limits. ReplayWindowReduced: it reaches back less than wanted. ShardsReady: all wanted
    pollers poll. InventoryValid: every listed device can be read, and has room in the bucket
    fleet-inventory. CredentialsValid: every Secret referred to is there with its keys.
    TenantConflict: an older RouterFleet of the same name, in another namespace, keeps the
    tenant."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    observed_generation: int | None = Field(default=None, ge=0)
    """The metadata.generation that this was found out of."""
    last_transition_time: _Time
    """When `status` last changed."""
    reason: str = Field(min_length=1, max_length=1024, pattern=REASON_PATTERN)
    """Why, in one word."""
    message: str = Field(max_length=MESSAGE_MAX_LENGTH)
    """Why, with figures and what to do."""


class DevicesStatus(StatusModel):
    """How many routers there are and answer."""

    total: int = Field(ge=0)
    """Devices listed that are valid."""
    up: int | None = Field(default=None, ge=0)
    """Devices whose last poll succeeded; absent while nobody knows."""
    down: int | None = Field(default=None, ge=0)
    """Devices whose last poll failed."""
    suspended: int = Field(default=0, ge=0)
    """Devices that are kept but not polled."""
    invalid: int = Field(default=0, ge=0)
    """Entries left out; the condition InventoryValid names them."""


class StreamStatus(StatusModel):
    """The tenant's stream; sizes in bytes. What it holds is shown in steps of 5 % of its limit."""

    name: str
    """Its name in JetStream."""
    max_bytes: int = Field(ge=0)
    """The limit as planned and applied."""
    window_wanted: str
    """How far back it should reach (spec.events.replayWindow)."""
    window_planned: str
    """How far back the planned size reaches at the measured rate; shorter when the budget is."""
    bytes: int | None = Field(default=None, ge=0)
    """What it holds; absent while the broker is away."""
    messages: int | None = Field(default=None, ge=0)
    """Events it holds."""
    window_now: str | None = None
    """How far back it reaches now."""
    summary: str | None = None
    """Bytes held of the limit, for people."""


class ShardsStatus(StatusModel):
    """The poller shards."""

    wanted: int = Field(ge=0)
    """As many as the fleet needs now."""
    replicas: int = Field(default=0, ge=0)
    """Pods there are."""
    ready: int = Field(default=0, ge=0)
    """Pods that poll."""
    summary: str
    """Ready of wanted."""
    selector: str
    """Label selector of the pods, for `kubectl scale` and autoscalers."""


class FleetStatus(StatusModel):
    """What the operator found out; a part is absent while it is unknown."""

    observed_generation: int | None = Field(default=None, ge=0)
    """The metadata.generation that was acted on last."""
    conditions: tuple[Condition, ...] = ()
    """What is well and what is not, with reasons; healthy when all are True but
    ReplayWindowReduced and TenantConflict."""
    devices: DevicesStatus | None = None
    """Routers."""
    stream: StreamStatus | None = None
    """The stream."""
    shards: ShardsStatus | None = None
    """Pollers."""

    def document(self) -> dict[str, object]:
        """As it stands in the resource; what is absent is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def condition(self, type_: ConditionType) -> Condition | None:
        """One of the conditions."""
        return next((one for one in self.conditions if one.type == type_), None)


@dataclass(frozen=True, slots=True)
class Findings:
    """All that one reconcile found out.

    A part that is None is not known this time: what was known stays. Conditions that no
    verdict is given for stay as well.
    """

    generation: int
    verdicts: Sequence[Verdict]
    devices: DevicesStatus | None = None
    stream: StreamStatus | None = None
    shards: ShardsStatus | None = None


def read_status(document: object) -> FleetStatus:
    """The status in a resource; parts of it that cannot be read count as not there."""
    if not isinstance(document, Mapping):
        return FleetStatus()
    parts = cast("Mapping[str, object]", document)
    try:
        return FleetStatus.model_validate(parts)
    except ValidationError as error:
        spoilt = {item["loc"][0] for item in error.errors(include_url=False) if item["loc"]}
        rest = {key: value for key, value in parts.items() if key not in spoilt}
        return FleetStatus.model_validate(rest)


def merge_status(old: object, found: Findings, now: datetime) -> dict[str, object] | None:
    """The status document to write, or None when `old` (the document there) says it already.

    A condition's lastTransitionTime moves only when its status does. A stream's fill keeps
    its old figures while they are right within a twentieth of its size, and not by half.
    """
    before = read_status(old)
    status = FleetStatus(
        observed_generation=found.generation,
        conditions=_merge_conditions(before.conditions, found, now),
        devices=found.devices or before.devices,
        stream=_steady(before.stream, found.stream),
        shards=found.shards or before.shards,
    )
    document = status.document()
    return None if document == old else document


def _merge_conditions(
    before: Sequence[Condition], found: Findings, now: datetime
) -> tuple[Condition, ...]:
    known = {one.type: one for one in before}
    merged = dict(known)
    for verdict in found.verdicts:
        old = known.get(verdict.type)
        same = old is not None and old.status == verdict.status
        merged[verdict.type] = Condition(
            type=verdict.type,
            status=verdict.status.value,
            observed_generation=found.generation,
            last_transition_time=old.last_transition_time if old is not None and same else now,
            reason=verdict.reason,
            message=_bounded(verdict.message),
        )
    return tuple(_in_order(merged.values()))


def _in_order(conditions: Iterable[Condition]) -> list[Condition]:
    places = {type_.value: place for place, type_ in enumerate(ConditionType)}
    return sorted(conditions, key=lambda one: (places.get(one.type, len(places)), one.type))


def _bounded(message: str) -> str:
    if len(message) <= MESSAGE_MAX_LENGTH:
        return message
    return message[: MESSAGE_MAX_LENGTH - 1] + "…"


def _steady(old: StreamStatus | None, new: StreamStatus | None) -> StreamStatus | None:
    """The new stream status; with the old fill while that is right within the share."""
    if new is None:
        return old
    if old is None or old.bytes is None or new.bytes is None:
        return new
    limits = ("name", "max_bytes", "window_wanted", "window_planned")
    if any(getattr(old, name) != getattr(new, name) for name in limits):
        return new
    emptied = (old.bytes == 0) is not (new.bytes == 0)
    # Of a stream that is far from full: what it held at first would be shown for an hour.
    doubled = not old.bytes / 2 < new.bytes < old.bytes * 2 and new.bytes > 0
    if emptied or doubled or abs(new.bytes - old.bytes) > VOLATILE_SHARE * new.max_bytes:
        return new
    return old


def stream_summary(held_bytes: int, max_bytes: int) -> str:
    """`12.3MiB/64.0MiB`, one word for a column."""
    return "/".join(format_size(count).replace(" ", "") for count in (held_bytes, max_bytes))
