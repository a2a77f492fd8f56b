"""From a RouterFleet as the API server has it to the fleet that is planned and polled.

Pure: the caller reads the ConfigMaps and the key names of Secrets that `references` and
`secret_needs` ask for. Nothing of a Secret but the names of its keys comes in here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic import ValidationError

from fleet_common.fleet_spec import (
    ConfigMaps,
    DevicesFrom,
    Problem,
    ProblemKind,
    RouterFleet,
    TlsMode,
    collect_devices,
    explain,
    with_devices,
)
from fleet_common.inventory import device_records

LOGIN_KEYS: Final = ("username", "password")
CA_KEY: Final = "ca.crt"
_DEVICES_SHOWN: Final = 3

type Body = Mapping[str, Any]
"""A RouterFleet as JSON."""
type SecretKeys = Mapping[str, frozenset[str] | None]
"""Key names by Secret; None or absent: there is no such Secret."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """A fleet with all devices that can be polled, and what is wrong with the rest.

    `fleet` is None when the spec itself is not valid; `problems` says why. Its devices are all
    inline. `invalid`: entries left out. `origins`: where a device is listed, by its name.
    `unread`: sources that are missing or cannot be read; devices that came from them before
    are unknown now, not gone.
    """

    fleet: RouterFleet | None
    problems: tuple[Problem, ...] = ()
    origins: Mapping[str, str] | None = None
    unread: tuple[str, ...] = ()

    @property
    def invalid(self) -> int:
        """Entries that are listed and left out."""
        kinds = {ProblemKind.MALFORMED_DEVICE, ProblemKind.DUPLICATE_DEVICE}
        return sum(problem.kind in kinds for problem in self.problems)


@dataclass(frozen=True, slots=True)
class SecretNeed:
    """What devices need of one Secret: key names, and the devices that do, in order."""

    keys: frozenset[str]
    devices: tuple[str, ...]


def config_map_names(body: Body) -> frozenset[str]:
    """The ConfigMaps to read before `resolve`; an entry that cannot be read names none."""
    names: set[str] = set()
    for entry in _list(_spec(body).get("devicesFrom")):
        try:
            names.add(DevicesFrom.model_validate(entry).config_map_ref.name)
        except ValidationError:
            continue  # resolve names it
    return frozenset(names)


def resolve(body: Body, config_maps: ConfigMaps) -> Resolution:
    """The fleet with every device that can be read, wherever it is listed."""
    spec = _spec(body)
    inline: object = spec.get("devices")
    metadata = cast("Mapping[str, Any]", body.get("metadata") or {})
    document = {
        "apiVersion": body.get("apiVersion"),
        "kind": body.get("kind"),
        "metadata": {key: metadata[key] for key in ("name", "namespace") if key in metadata},
        "spec": {key: value for key, value in spec.items() if key != "devices"},
    }
    try:
        fleet = RouterFleet.model_validate(document)
    except ValidationError as error:
        return Resolution(None, tuple(_spec_problems(explain(error, RouterFleet))))
    if not (inline is None or isinstance(inline, list)):
        return Resolution(None, tuple(_spec_problems(["spec.devices: must be a list"])))
    inventory = collect_devices(_list(spec.get("devices")), fleet.spec.devices_from, config_maps)
    return Resolution(
        with_devices(fleet, inventory.devices),
        inventory.problems,
        inventory.origins,
        inventory.unread,
    )


def secret_needs(fleet: RouterFleet) -> dict[str, SecretNeed]:
    """The Secrets that polled devices of a resolved fleet need, by name."""
    keys: dict[str, set[str]] = {}
    devices: dict[str, dict[str, None]] = {}

    def need(secret: str, device: str, *names: str) -> None:
        keys.setdefault(secret, set()).update(names)
        devices.setdefault(secret, {})[device] = None

    for record in device_records(fleet):
        if record.suspend:
            continue
        need(record.credentials_secret, record.device, *LOGIN_KEYS)
        if record.tls.mode is TlsMode.VERIFY and record.tls.ca_secret_ref is not None:
            need(record.tls.ca_secret_ref.name, record.device, CA_KEY)
    return {
        name: SecretNeed(frozenset(keys[name]), tuple(devices[name])) for name in sorted(devices)
    }


def secret_problems(
    needs: Mapping[str, SecretNeed], secrets: SecretKeys, bad_cas: Collection[str] = ()
) -> tuple[Problem, ...]:
    """A problem for each Secret that is missing or lacks a key, naming devices it concerns.

    `bad_cas`: Secrets whose `ca.crt` no TLS library takes.
    """
    problems: list[Problem] = []
    for name, need in needs.items():
        there = secrets.get(name)
        concerned = _named(need.devices)
        if there is None:
            wanted = ", ".join(_ordered(need.keys))
            message = f"does not exist; needed with {wanted} by {concerned}"
            problems.append(Problem(ProblemKind.SECRET_MISSING, f"Secret {name}", message))
        elif lacking := need.keys - there:
            message = f"has no {', '.join(_ordered(lacking))}; needed by {concerned}"
            problems.append(Problem(ProblemKind.SECRET_KEY_MISSING, f"Secret {name}", message))
        elif CA_KEY in need.keys and name in bad_cas:
            message = f"{CA_KEY} holds no certificate in PEM; needed by {concerned}"
            problems.append(Problem(ProblemKind.SECRET_KEY_UNUSABLE, f"Secret {name}", message))
    return tuple(problems)


def _ordered(keys: frozenset[str]) -> list[str]:
    return [key for key in (*LOGIN_KEYS, CA_KEY) if key in keys]


def _named(devices: Sequence[str]) -> str:
    if len(devices) == 1:
        return devices[0]
    shown = ", ".join(devices[:_DEVICES_SHOWN])
    more = len(devices) - _DEVICES_SHOWN
    return f"{len(devices)} devices ({shown}{', …' if more > 0 else ''})"


def _spec_problems(lines: Sequence[str]) -> list[Problem]:
    return [
        Problem(ProblemKind.INVALID_SPEC, where, message)
        for where, _, message in (line.partition(": ") for line in lines)
    ]


def _spec(body: Body) -> Mapping[str, Any]:
    spec = body.get("spec")
    return cast("Mapping[str, Any]", spec) if isinstance(spec, Mapping) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
