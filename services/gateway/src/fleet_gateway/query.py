"""Query parameters to a selection; what cannot be is refused with field, value and choices."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from fleet_contracts.subjects import BadNameError, DeviceId, Kind, TenantId, device_id, tenant_id
from fleet_gateway.errors import ApiError, bad_value
from fleet_gateway.hub import Hub
from fleet_gateway.selection import Selection
from fleet_gateway.tokens import Grant

MIN_WINDOW_SECONDS: Final = 0.05
MAX_WINDOW_SECONDS: Final = 10.0
_WINDOW: Final = re.compile(r"([0-9]{1,5})(ms|s)")
_MAX_VALUES: Final = 200
_MAX_SHOWN: Final = 20
_DIGITS: Final = 9

type Query = Mapping[str, Sequence[str]]


def parse_query(text: str, known: Sequence[str]) -> Query:
    """Values by name; raises ApiError for a name that is not `known` or too many values."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in known:
            raise ApiError(
                400, "unknown_parameter", f"{name!r} is no parameter of this address",
                field=name, allowed=known,
            )  # fmt: skip
        values.setdefault(name, []).append(value)
        if len(values[name]) > _MAX_VALUES:
            raise bad_value(name, f"{_MAX_VALUES + 1} values", "are too many", ["up to 200"])
    return values


def parse_selection(query: Query, grant: Grant, hub: Hub, *, resuming: bool = False) -> Selection:
    """The filter; raises ApiError 400 for an unknown value, 403 for another's tenant.

    Raises ApiError 503, too, while nothing of what it covers has been read. A client that
    resumes may name a device that is not known now: it was once.
    """
    tenants = _tenants(query.get("tenant", ()), grant, hub)
    selection = Selection(tenants, _kinds(query.get("kind", ())))
    refuse_unread(selection, hub)
    devices = _devices(query.get("device", ()), selection, hub, resuming=resuming)
    return Selection(tenants, selection.kinds, devices)


def _tenants(values: Sequence[str], grant: Grant, hub: Hub) -> frozenset[TenantId] | None:
    if not values:
        return grant.tenants
    known = sorted(hub.logs)
    tenants: set[TenantId] = set()
    for value in values:
        try:
            tenant = tenant_id(value)
        except BadNameError as error:
            raise bad_value("tenant", value, "is no tenant id", known) from error
        if not grant.allows(tenant):
            raise forbidden_tenant(tenant, grant)
        if grant.tenants is None and tenant not in hub.logs and tenant not in hub.unread:
            raise bad_value("tenant", value, "has no fleet here", known)
        tenants.add(tenant)
    return frozenset(tenants)


def refuse_unread(selection: Selection, hub: Hub) -> None:
    """Raises ApiError 503 where all that is covered is still unread: no fleet is not an empty one.

    Beside fleets that are known the others are left out, and come when they have been read.
    """
    if next(hub.covered(selection), None) is None:
        _refuse_any_unread(selection, hub)


def _refuse_any_unread(selection: Selection, hub: Hub) -> None:
    unread = [tenant for tenant in sorted(hub.unread) if selection.covers(tenant)]
    if unread:
        raise ApiError(
            503, "unread_stream",
            f"the stream of tenant {unread[0]!r} could not be read so far; try again in a moment",
            field="tenant", headers={"Retry-After": "5"},
        )  # fmt: skip


def forbidden_tenant(tenant: TenantId, grant: Grant) -> ApiError:
    """A token for another tenant."""
    return ApiError(
        403,
        "forbidden_tenant",
        f"the token {grant.name!r} does not cover tenant {tenant!r}",
        field="tenant",
        allowed=sorted(grant.tenants or ()),
    )


def _kinds(values: Sequence[str]) -> frozenset[Kind] | None:
    if not values:
        return None
    names = [kind.value for kind in Kind]
    for value in values:
        if value not in names:
            raise bad_value("kind", value, "is no kind of event", names)
    return frozenset(Kind(value) for value in values)


def _devices(
    values: Sequence[str], selection: Selection, hub: Hub, *, resuming: bool
) -> frozenset[DeviceId] | None:
    if not values:
        return None
    devices: set[DeviceId] = set()
    for value in values:
        try:
            device = device_id(value)
        except BadNameError as error:
            raise bad_value("device", value, "is no device id", []) from error
        states = [log.state for log in hub.covered(selection)]
        if not resuming and not any(state.device(device) for state in states):
            _refuse_any_unread(selection, hub)  # it may be one of theirs
            names = (name for state in states for name, _ in state)
            raise bad_value("device", value, "is no device here", nearest(value, names))
        devices.add(device)
    return frozenset(devices)


def nearest(value: str, names: Iterable[str]) -> list[str]:
    """Names like `value`, else the first ones: a fleet's list is too long to print."""
    everything = sorted(set(names))
    close = difflib.get_close_matches(value, everything, n=_MAX_SHOWN, cutoff=0.5)
    return close or everything[:_MAX_SHOWN]


def parse_window(query: Query) -> float:
    """`coalesce=250ms` or `2s` in seconds; 0 without it."""
    values = query.get("coalesce")
    if not values:
        return 0.0
    match = _WINDOW.fullmatch(values[-1])
    seconds = 0.0 if match is None else int(match[1]) / (1000 if match[2] == "ms" else 1)
    if not MIN_WINDOW_SECONDS <= seconds <= MAX_WINDOW_SECONDS:
        raise bad_value("coalesce", values[-1], "is no window", ["50ms to 10s, as in 250ms or 2s"])
    return seconds


def parse_count(query: Query, name: str, default: int, most: int) -> int:
    """A number from 1 to `most`."""
    values = query.get(name)
    if not values:
        return default
    text = values[-1]
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and 1 <= int(text) <= most):
        raise bad_value(name, text, "is no such number", [f"1 to {most}"])
    return int(text)
