"""Names on the broker: subjects, message ids, streams and buckets.

Tenant and device names are DNS-1123 labels, so each is one safe subject token,
a safe part of a Kubernetes name and a safe file name.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NewType

TenantId = NewType("TenantId", str)
DeviceId = NewType("DeviceId", str)

SUBJECT_ROOT = "fleet"
LABEL_MAX_LENGTH = 63
_STREAM_PREFIX = "FLEET_"
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


class Kind(StrEnum):
    """The kinds of events; the last token of a subject."""

    STATUS = "status"
    HEALTH = "health"
    INTERFACES = "interfaces"
    WIRELESS = "wireless"
    FIRMWARE = "firmware"
    INVENTORY = "inventory"
    FIRMWARE_ADVICE = "firmware-advice"
    TRIM = "trim"


# One letter a kind: a message id travels with every message and every byte of it is stored.
_ID_LETTER = {
    Kind.STATUS: "s",
    Kind.HEALTH: "h",
    Kind.INTERFACES: "i",
    Kind.WIRELESS: "w",
    Kind.FIRMWARE: "f",
    Kind.INVENTORY: "v",
    Kind.FIRMWARE_ADVICE: "a",
    Kind.TRIM: "t",
}
STREAM_DEVICE = DeviceId("routerfleet")
"""In the place of a device where an event is about the tenant's stream; no router's name."""
DEVICE_KINDS = tuple(kind for kind in Kind if kind is not Kind.TRIM)
"""The kinds that are about a device."""

_KIND_BY_TOKEN = {kind.value: kind for kind in Kind}


class BadNameError(ValueError):
    """A name or subject outside the contract; the message names the value and the rule."""


@dataclass(frozen=True, slots=True)
class EventSubject:
    """The three facts a subject carries."""

    tenant: TenantId
    device: DeviceId
    kind: Kind

    def __str__(self) -> str:
        return f"{SUBJECT_ROOT}.{self.tenant}.{self.device}.{self.kind.value}"


def check_label(value: str, field: str) -> str:
    """Return `value` when it is a DNS-1123 label, else raise BadNameError naming `field`."""
    if _LABEL.fullmatch(value) is None:
        raise BadNameError(
            f"{field}: {value!r} is not a DNS-1123 label "
            f"(1 to {LABEL_MAX_LENGTH} of a-z, 0-9 and '-', not at either end)"
        )
    return value


def tenant_id(value: str) -> TenantId:
    """A checked tenant id."""
    return TenantId(check_label(value, "tenant"))


def device_id(value: str) -> DeviceId:
    """A checked device id."""
    return DeviceId(check_label(value, "device"))


@lru_cache(maxsize=65_536)
def parse_subject(subject: str) -> EventSubject:
    """Split an event's subject; raises BadNameError when it is not one.

    Cached: a reader sees each of a fleet's subjects with every poll.
    """
    tokens = subject.split(".")
    if len(tokens) != 4 or tokens[0] != SUBJECT_ROOT:  # noqa: PLR2004 - root, tenant, device, kind
        raise BadNameError(f"subject: {subject!r} is not fleet.<tenant>.<device>.<kind>")
    kind = _KIND_BY_TOKEN.get(tokens[3])
    if kind is None:
        raise BadNameError(f"subject: {subject!r} has no known kind (one of {', '.join(Kind)})")
    if (kind is Kind.TRIM) is not (tokens[2] == STREAM_DEVICE):
        raise BadNameError(f"device: {tokens[2]!r} does not go with kind {kind.value}")
    return EventSubject(tenant_id(tokens[1]), device_id(tokens[2]), kind)


def tenant_subjects(tenant: TenantId) -> str:
    """The subject filter of everything a tenant's stream holds."""
    return f"{SUBJECT_ROOT}.{tenant}.>"


def kind_subjects(tenant: TenantId, kind: Kind) -> str:
    """The subject filter of one kind of all of a tenant's devices."""
    return f"{SUBJECT_ROOT}.{tenant}.*.{kind.value}"


def stream_name(tenant: TenantId) -> str:
    """The tenant's stream."""
    return f"{_STREAM_PREFIX}{tenant}"


def tenant_of_stream(stream: str) -> TenantId | None:
    """Whose stream has this name; None for a bucket's and a stranger's."""
    tenant = stream.removeprefix(_STREAM_PREFIX)
    if tenant == stream or _LABEL.fullmatch(tenant) is None:
        return None
    return TenantId(tenant)


def message_id(device: DeviceId, kind: Kind, slot_unix_ms: int) -> str:
    """The broker's de-duplication id: (device, kind, slot), unique within a tenant's stream.

    A letter for the kind, the slot in base 36, a hyphen, the device. The slot part
    holds no hyphen, so the first one splits the id.
    """
    return f"{_ID_LETTER[kind]}{_base36(slot_unix_ms)}-{device}"


@lru_cache(maxsize=256)
def _base36(number: int) -> str:
    """Cached: all events of a poll have one slot."""
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 36)
        digits.append(_BASE36[digit])
    return "".join(reversed(digits))
