"""/interface: every interface with its link and counters."""

from collections.abc import Sequence

from fleet_simulator.tables import Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, date_time, item_id
from fleet_simulator.world.interface import Interface
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
    link = interface.link(now, boot)
    rx, tx = interface.counters(now, boot)
    rx_packet, tx_packet = rx // interface.rx_size, tx // interface.tx_size
    wire = interface.kind != b"bridge"
    row = {b".id": item_id(interface.index), b"name": interface.name}
    if interface.default_name is not None:
        row[b"default-name"] = interface.default_name
    row[b"type"] = interface.kind
    row[b"mtu"] = b"auto" if not wire else b"1500"
    row[b"actual-mtu"] = b"1500"
    row[b"l2mtu"] = b"1600" if interface.kind in _RADIO_KINDS else b"1598"
    if interface.default_name is not None:
        row[b"max-l2mtu"] = b"9578"
    row[b"mac-address"] = interface.mac
    if link.down is not None:
        row[b"last-link-down-time"] = date_time(link.down + offset, major)
    if interface.role is not Role.IDLE:
        row[b"last-link-up-time"] = date_time(link.up + offset, major)
    row[b"link-downs"] = b"%d" % link.downs
    row[b"rx-byte"] = b"%d" % rx
    row[b"tx-byte"] = b"%d" % tx
    row[b"rx-packet"] = b"%d" % rx_packet
    row[b"tx-packet"] = b"%d" % tx_packet
    row[b"rx-drop"] = b"%d" % (rx / _DROP_BYTES)
    row[b"tx-drop"] = b"0"
    row[b"tx-queue-drop"] = b"%d" % (tx / _DROP_BYTES)
    bad = _BAD_ERROR_BYTES if interface.seed % 12 == 0 else _ERROR_BYTES
    row[b"rx-error"] = b"%d" % (rx / bad) if wire else b"0"
    row[b"tx-error"] = b"0"
    row[b"fp-rx-byte"] = b"%d" % (rx * _FAST_PATH)
    row[b"fp-tx-byte"] = b"%d" % (tx * _FAST_PATH)
    row[b"fp-rx-packet"] = b"%d" % (rx_packet * _FAST_PATH)
    row[b"fp-tx-packet"] = b"%d" % (tx_packet * _FAST_PATH)
    row[b"running"] = TRUE if link.running else FALSE
    if interface.master is not None:
        row[b"slave"] = TRUE
    row[b"disabled"] = TRUE if interface.disabled else FALSE
    if interface.comment is not None:
        row[b"comment"] = interface.comment
    return row


_RADIO_KINDS = frozenset({b"wlan", b"wifi", b"cap"})

MENUS = (MenuSpec("/interface", interface_rows),)
