"""/interface: every interface with its link and counters."""

from collections.abc import Sequence

from fleet_simulator.tables import Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, date_time, item_id
from fleet_simulator.world.interface import Interface, Printed
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.personality import Role

_FAST_PATH = 0.96
_ERROR_BYTES, _BAD_ERROR_BYTES = 4e11, 3e8
_DROP_BYTES = 9e10


def interface_rows(device: Device, now: float) -> Sequence[Row]:
    """All interfaces, in order."""
    boot = device.booted(now)
    offset, major = device.site.utc_offset, device.release.triple[0]
    return [interface_row(interface, now, boot, offset, major) for interface in device.interfaces]


def interface_row(
    interface: Interface, now: float, boot: float, offset: int, major: int
) -> dict[bytes, bytes]:
    """One row of /interface. Errors and drops grow with the traffic; packets fit the bytes."""
    running, downs, down, up = interface.link(now, boot)
    rx, tx = interface.counters(now, boot)
    rx_packet, tx_packet = rx // interface.rx_size, tx // interface.tx_size
    kind = interface.kind
    row = {b".id": item_id(interface.index), b"name": interface.name}
    if interface.default_name is not None:
        row[b"default-name"] = interface.default_name
    row[b"type"] = kind
    row[b"mtu"] = b"auto" if kind == b"bridge" else b"1500"
    row[b"actual-mtu"] = b"1500"
    row[b"l2mtu"] = b"1600" if kind in _RADIO_KINDS else b"1598"
    if interface.default_name is not None:
        row[b"max-l2mtu"] = b"9578"
    row[b"mac-address"] = interface.mac
    if down is not None:
        printed = interface.went_down
        if printed is None or printed.moment != down:
            printed = interface.went_down = Printed(down, date_time(down + offset, major))
        row[b"last-link-down-time"] = printed.text
    if interface.role is not Role.IDLE:
        printed = interface.went_up
        if printed is None or printed.moment != up:
            printed = interface.went_up = Printed(up, date_time(up + offset, major))
        row[b"last-link-up-time"] = printed.text
    bad = _BAD_ERROR_BYTES if interface.seed % 12 == 0 else _ERROR_BYTES
    row |= zip(
        _COUNTERS,
        (
            _FORMAT
            % (
                downs, rx, tx, rx_packet, tx_packet, rx / _DROP_BYTES, tx / _DROP_BYTES, rx / bad,
                rx * _FAST_PATH, tx * _FAST_PATH, rx_packet * _FAST_PATH, tx_packet * _FAST_PATH,
            )
        ).split(),
        strict=True,
    )  # fmt: skip
    row[b"running"] = TRUE if running else FALSE
    if interface.master is not None:
        row[b"slave"] = TRUE
    row[b"disabled"] = TRUE if interface.disabled else FALSE
    if interface.comment is not None:
        row[b"comment"] = interface.comment
    return row


_COUNTERS = (
    b"link-downs", b"rx-byte", b"tx-byte", b"rx-packet", b"tx-packet", b"rx-drop", b"tx-drop",
    b"tx-queue-drop", b"rx-error", b"tx-error",
    b"fp-rx-byte", b"fp-tx-byte", b"fp-rx-packet", b"fp-tx-packet",
)  # fmt: skip
_FORMAT = b"%d %d %d %d %d %d 0 %d %d 0 %d %d %d %d"
"""One formatting and one split cost less than twelve formattings."""

_RADIO_KINDS = frozenset({b"wlan", b"wifi", b"cap"})

MENUS = (MenuSpec("/interface", interface_rows),)
