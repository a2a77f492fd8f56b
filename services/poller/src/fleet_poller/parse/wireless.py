"""Radios and registration tables of all wireless packages."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from fleet_poller.parse.scalars import (
    boolean,
    duration_seconds,
    mac_address,
    pair,
    rate_bits_per_second,
    signal_dbm,
    text,
    unsigned32,
)
from fleet_poller.readings import Package, Radio, WirelessClient, WirelessReading
from fleet_poller.routeros.wire import Attributes

MAX_CLIENTS: Final = 2_000
"""Clients in one event; the stream takes 512 KiB a message."""

CLIENT_ATTRIBUTES: Final = (
    "mac-address",
    "interface",
    "ssid",
    "signal",
    "signal-strength",
    "rx-signal",
    "signal-to-noise",
    "tx-rate",
    "rx-rate",
    "tx-ccq",
    "rx-ccq",
    "uptime",
    "bytes",
    "packets",
)
"""The union over all packages; a router leaves out what its package does not have."""

_CHANNEL_EXTENSION = re.compile(rb"(?:(\d{1,4})-)?([CeXx]{1,16})")
_DEFAULT_CHANNEL_WIDTH_MHZ: Final = 20


def parse_wireless(
    package: Package,
    radios: Sequence[Attributes],
    monitored: Mapping[bytes, Attributes],
    clients: Sequence[Attributes],
) -> WirelessReading:
    """One reading. `radios` are the interfaces' own rows; `monitored` is by interface name."""
    known = [client for row in clients if (client := _client(row)) is not None]
    return WirelessReading(
        package,
        tuple(_radio(row, monitored.get(row.get(b"name", b""), {})) for row in radios),
        tuple(known[:MAX_CLIENTS]),
        max(0, len(known) - MAX_CLIENTS),
    )


def _client(row: Attributes) -> WirelessClient | None:
    """A client, or None without the MAC address that identifies it."""
    get = row.get
    mac = mac_address(get(b"mac-address"))
    if mac is None:
        return None
    tx_bytes, rx_bytes = pair(get(b"bytes"))
    tx_packets, rx_packets = pair(get(b"packets"))
    return WirelessClient(
        mac,
        text(get(b"interface")),
        signal_dbm(get(b"signal") or get(b"signal-strength") or get(b"rx-signal")),
        unsigned32(get(b"signal-to-noise")),
        rate_bits_per_second(get(b"tx-rate")),
        rate_bits_per_second(get(b"rx-rate")),
        unsigned32(get(b"tx-ccq")),
        unsigned32(get(b"rx-ccq")),
        duration_seconds(get(b"uptime")),
        tx_bytes,
        rx_bytes,
        tx_packets,
        rx_packets,
        text(get(b"ssid")),
    )


def _radio(row: Attributes, monitor: Attributes) -> Radio:
    """What the monitor saw wins over what is configured; a running radio's is the truth."""
    seen = monitor.get(b"channel") or row.get(b"current-channel")
    frequency, width = channel(seen)
    return Radio(
        text(row.get(b"name")),
        frequency or unsigned32(row.get(b"frequency") or row.get(b"channel.frequency")),
        width or _configured_width(row.get(b"channel-width")),
        signal_dbm(monitor.get(b"noise-floor")),
        _clients_count(row, monitor),
        boolean(row.get(b"running")),
        text(row.get(b"ssid") or row.get(b"configuration.ssid")),
        text(row.get(b"band") or row.get(b"channel.band")),
        signal_dbm(monitor.get(b"tx-power") or _channel_power(seen)),
    )


def _clients_count(row: Attributes, monitor: Attributes) -> int | None:
    for source, key in (
        (monitor, b"registered-peers"),
        (monitor, b"registered-clients"),
        (row, b"current-registered-clients"),
    ):
        count = unsigned32(source.get(key))
        if count is not None:
            return count
    return None


@lru_cache(1_024)
def channel(value: bytes | None) -> tuple[int | None, int | None]:
    """Frequency and width in MHz of `5180/20-Ceee/ac(28dBm)`, `2412/ax`, `5180/ax/Ceee`.

    One letter of the extension is one 20 MHz channel (of the width before the hyphen,
    where there is one).
    """
    if not value:
        return None, None
    first, *rest = value.partition(b"(")[0].split(b"/")
    frequency = unsigned32(first)
    if frequency is None:
        return None, None
    for part in rest:
        if part.isdigit():
            return frequency, unsigned32(part)
        match = _CHANNEL_EXTENSION.fullmatch(part)
        if match is not None:
            base = int(match[1]) if match[1] else _DEFAULT_CHANNEL_WIDTH_MHZ
            return frequency, base * len(match[2])
    return frequency, _DEFAULT_CHANNEL_WIDTH_MHZ


def _channel_power(seen: bytes | None) -> bytes | None:
    """`17dBm` of `5180/20-Ceee/ac(17dBm)`."""
    return seen.partition(b"(")[2].rstrip(b")") if seen else None


def _configured_width(value: bytes | None) -> int | None:
    """The one width of `20mhz`; None where several are allowed (`20/40mhz-Ce`)."""
    return unsigned32(value.removesuffix(b"mhz")) if value else None
