"""`/interface` and `/interface/ethernet/monitor`."""

from collections.abc import Mapping, Sequence
from typing import Final

from fleet_poller.parse.scalars import (
    boolean,
    mac_address,
    rate_bits_per_second,
    record_id,
    router_time,
    text,
    unsigned,
    unsigned32,
)
from fleet_poller.readings import Counters, InterfaceDescription, LinkTimes
from fleet_poller.routeros.wire import Attributes

COUNTER_ATTRIBUTES: Final = (
    "rx-byte",
    "tx-byte",
    "rx-packet",
    "tx-packet",
    "rx-error",
    "tx-error",
    "rx-drop",
    "tx-drop",
    "tx-queue-drop",
    "link-downs",
)
"""RouterOS' names, parallel to fleet_contracts.codec.COUNTER_COLUMNS."""

LINK_ATTRIBUTES: Final = ("last-link-up-time", "last-link-down-time")
READING_ATTRIBUTES: Final = (
    ".id",
    "name",
    "running",
    "disabled",
    *COUNTER_ATTRIBUTES,
    *LINK_ATTRIBUTES,
)
DESCRIPTION_ATTRIBUTES: Final = (
    ".id",
    "name",
    "default-name",
    "type",
    "mac-address",
    "mtu",
    "actual-mtu",
    "l2mtu",
    "comment",
    "slave",
    *LINK_ATTRIBUTES,
)

_COUNTER_KEYS: Final = tuple(name.encode() for name in COUNTER_ATTRIBUTES)
MAX_COUNTER: Final = (1 << 64) - 2
"""It travels plus one, in 64 bits."""


def parse_counters(rows: Sequence[Attributes], ids: Sequence[int]) -> Counters:
    """The columns of `rows`, whose `.id`s are `ids`, in the same order."""
    return Counters(
        ids,
        [row.get(b"running") == b"true" for row in rows],
        [row.get(b"disabled") == b"true" for row in rows],
        [_column(rows, key) for key in _COUNTER_KEYS],
    )


def _column(rows: Sequence[Attributes], key: bytes) -> list[int]:
    """Each row's counter plus one; 0 where there is none, or none that fits 64 bits."""
    numbers = [unsigned(row.get(key), MAX_COUNTER + 1) for row in rows]
    return [0 if number is None else number + 1 for number in numbers]


def identify(rows: Sequence[Attributes]) -> tuple[list[Attributes], list[int]]:
    """The rows that have a usable `.id`, and those ids; of two with the same, the first."""
    known: dict[int, Attributes] = {}
    for row in rows:
        number = record_id(row.get(b".id"))
        if number is not None:
            known.setdefault(number, row)
    return list(known.values()), list(known)


def raw_links(row: Attributes) -> tuple[bytes | None, bytes | None]:
    """When the link of this row last went up and down, as the router says it."""
    return row.get(b"last-link-up-time"), row.get(b"last-link-down-time")


def link_times(raw: tuple[bytes | None, bytes | None]) -> LinkTimes:
    """When a link last went up and down."""
    return LinkTimes(router_time(raw[0]), router_time(raw[1]))


def parse_descriptions(
    rows: Sequence[Attributes], monitored: Mapping[str, Attributes]
) -> tuple[InterfaceDescription, ...]:
    """What `/interface` says; `monitored` is `/interface/ethernet/monitor` by interface name."""
    rows, ids = identify(rows)
    return tuple(
        _describe(id_, row, monitored.get(text(row.get(b"name")), {}))
        for id_, row in zip(ids, rows, strict=True)
    )


def _describe(id_: int, row: Attributes, monitor: Attributes) -> InterfaceDescription:
    get = row.get
    up = monitor.get(b"status") == b"link-ok"
    return InterfaceDescription(
        id=id_,
        name=text(get(b"name")),
        default_name=text(get(b"default-name")),
        type=text(get(b"type")),
        mac_address=mac_address(get(b"mac-address")),
        mtu=unsigned32(get(b"mtu")),  # `auto` on bridges and tunnels: see actual_mtu
        actual_mtu=unsigned32(get(b"actual-mtu")),
        l2mtu=unsigned32(get(b"l2mtu")),
        comment=text(get(b"comment")),
        slave=boolean(get(b"slave")),
        link_rate_bits_per_second=rate_bits_per_second(monitor.get(b"rate")) if up else None,
        full_duplex=boolean(monitor.get(b"full-duplex")) if up else None,
        link_times=link_times(raw_links(row)),
    )
