"""The devices of a fleet from everywhere they are listed: inline, then ConfigMap by ConfigMap.

Pure. One wrong row is named and left out; all others are devices of the fleet.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, cast

from pydantic import ValidationError

from fleet_common.fleet_spec.device import DeviceSpec
from fleet_common.fleet_spec.model import MAX_DEVICES, ConfigMapReference, DevicesFrom
from fleet_common.fleet_spec.rows import Row, UnreadableTextError, read_rows
from fleet_common.fleet_spec.wording import explain

_MESSAGE_LENGTH: Final = 500

type ConfigMaps = Mapping[str, Mapping[str, str | None] | None]
"""Texts by key by ConfigMap name. None or absent: there is no such ConfigMap. A text that is
None: the key holds bytes that are no text (`binaryData`)."""


class ProblemKind(StrEnum):
    """What is wrong; reads as the reason of a condition."""

    INVALID_SPEC = "InvalidSpec"
    CONFIG_MAP_MISSING = "ConfigMapMissing"
    CONFIG_MAP_KEY_MISSING = "ConfigMapKeyMissing"
    CONFIG_MAP_UNREADABLE = "ConfigMapUnreadable"
    MALFORMED_DEVICE = "MalformedDevice"
    DUPLICATE_DEVICE = "DuplicateDevice"
    TOO_MANY_DEVICES = "TooManyDevices"
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, not a secret
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105 - a reason, not a secret
    SECRET_KEY_UNUSABLE = "SecretKeyUnusable"  # noqa: S105 - a reason, not a secret


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where (object, key, row) and what (field, value, allowed)."""

    kind: ProblemKind
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """All devices that can be polled, in the order listed, and what is wrong with the rest.

    `origins`: where each device is listed, by name. `unread`: the sources (`ConfigMap x` or
    `ConfigMap x, key y`) whose devices are unknown now, which is not the same as gone.
    """

    devices: tuple[DeviceSpec, ...]
    problems: tuple[Problem, ...]
    origins: Mapping[str, str]
    unread: tuple[str, ...]


@dataclass(slots=True)
class _Collected:
    devices: list[DeviceSpec] = field(default_factory=list[DeviceSpec])
    problems: list[Problem] = field(default_factory=list[Problem])
    origins: dict[str, str] = field(default_factory=dict[str, str])
    unread: list[str] = field(default_factory=list[str])
    left_out: int = 0


def collect_devices(
    inline: Sequence[object], references: Iterable[DevicesFrom], config_maps: ConfigMaps
) -> Inventory:
    """The devices listed inline (raw entries) and in the ConfigMaps that are referred to.

    Of two devices of one name the first stays; of more than 10,000 the first 10,000 stay.
    """
    found = _Collected()
    for index, value in enumerate(inline):
        _add(found, f"spec.devices[{index}]", Row(index + 1, value))
    for reference in references:
        _add_config_map(found, reference.config_map_ref, config_maps)
    if found.left_out:
        found.problems.append(
            Problem(
                ProblemKind.TOO_MANY_DEVICES,
                "devices",
                f"a fleet holds at most {MAX_DEVICES}; {found.left_out} after these are left out",
            )
        )
    return Inventory(
        tuple(found.devices), tuple(found.problems), found.origins, tuple(found.unread)
    )


def _add_config_map(
    found: _Collected, reference: ConfigMapReference, config_maps: ConfigMaps
) -> None:
    source = f"ConfigMap {reference.name}"
    data = config_maps.get(reference.name)
    if data is None:
        if not reference.optional:
            _unread(found, ProblemKind.CONFIG_MAP_MISSING, source, "does not exist")
        return
    if reference.key is not None and reference.key not in data:
        if not reference.optional:
            held = ", ".join(sorted(data)[:10]) or "no key"
            message = f"does not exist; the ConfigMap holds {held}"
            where = f"{source}, key {reference.key}"
            _unread(found, ProblemKind.CONFIG_MAP_KEY_MISSING, where, message)
        return
    if not data and not reference.optional:
        _unread(found, ProblemKind.CONFIG_MAP_KEY_MISSING, source, "holds no key")
    for key in [reference.key] if reference.key is not None else sorted(data):
        where = f"{source}, key {key}"
        text = data[key]
        if text is None:
            message = "is not text in UTF-8 (kubectl made it binaryData)"
            _unread(found, ProblemKind.CONFIG_MAP_UNREADABLE, where, message)
            continue
        try:
            rows = read_rows(text)
        except UnreadableTextError as error:
            _unread(found, ProblemKind.CONFIG_MAP_UNREADABLE, where, str(error))
            continue
        for row in rows:
            _add(found, f"{where}, row {row.number}", row)


def _unread(found: _Collected, kind: ProblemKind, where: str, message: str) -> None:
    found.problems.append(Problem(kind, where, message))
    found.unread.append(where)


def _add(found: _Collected, where: str, row: Row) -> None:
    where += _named(row.value)
    if row.error is not None:
        found.problems.append(Problem(ProblemKind.MALFORMED_DEVICE, where, row.error))
        return
    try:
        device = DeviceSpec.model_validate(row.value)
    except ValidationError as error:
        message = _short("; ".join(_field_lines(error)))
        found.problems.append(Problem(ProblemKind.MALFORMED_DEVICE, where, message))
        return
    first = found.origins.get(device.name)
    if first is not None:
        message = f"the name is taken by {first}; this one is left out"
        found.problems.append(Problem(ProblemKind.DUPLICATE_DEVICE, where, message))
    elif len(found.devices) >= MAX_DEVICES:
        found.left_out += 1
    else:
        found.origins[device.name] = where
        found.devices.append(device)


def _field_lines(error: ValidationError) -> Iterator[str]:
    for line in explain(error, DeviceSpec):
        yield f"field {line}" if not line.startswith("document:") else line.partition(": ")[2]


def _short(message: str) -> str:
    """A wrong value may be as long as a ConfigMap; a condition holds several messages."""
    return message if len(message) <= _MESSAGE_LENGTH else f"{message[: _MESSAGE_LENGTH - 1]}…"


def _named(value: object) -> str:
    if isinstance(value, DeviceSpec):
        return f" ({value.name})"
    if isinstance(value, Mapping):
        name = cast("Mapping[Any, Any]", value).get("name")
        if isinstance(name, str) and name:
            return f" ({name[:63]})"
    return ""


def summarize(problems: Sequence[Problem], most: int = 5) -> str:
    """The first `most` problems and how many more there are; for a condition's message."""
    shown = "; ".join(str(problem) for problem in problems[:most])
    more = len(problems) - most
    return f"{shown}; and {more} more" if more > 0 else shown
