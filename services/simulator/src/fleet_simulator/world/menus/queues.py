"""Queues: simple ones write upload and download as `up/down`, trees one direction."""

from collections.abc import Sequence

from fleet_simulator.tables import Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, item_id, number
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.bridging import bridge_of
from fleet_simulator.world.noise import mix

_SIMPLE = (
    (b"guests", b"192.168.89.0/24", 2_500.0, 40_000.0),
    (b"office", b"192.168.88.0/24", 30_000.0, 240_000.0),
    ("vedení".encode("cp1250"), b"192.168.88.20/32", 900.0, 7_000.0),
)
_TREE = ((b"download", b"no-mark", 200_000.0), (b"voice", b"voip", 6_000.0))


def simple_rows(device: Device, now: float) -> Sequence[Row]:
    """Simple queues of the routers that shape their clients."""
    if device.personality.kind not in {"rtr", "lte"}:
        return []
    rows: list[Row] = []
    level = device.activity.level(now)
    for place, (name, target, up, down) in enumerate(_SIMPLE, start=1):
        share = 0.4 + mix(device.seed, 0x40E + place) % 100 / 80
        sent, received = device.grown(now, up * share), device.grown(now, down * share)
        rows.append(
            {
                b".id": item_id(place),
                b"name": name,
                b"target": target,
                b"parent": b"none",
                b"packet-marks": b"",
                b"priority": b"8/8",
                b"queue": b"default-small/default-small",
                b"limit-at": b"0/0",
                b"max-limit": b"10000000/50000000",
                b"burst-limit": b"0/0",
                b"bytes": b"%d/%d" % (sent, received),
                b"packets": b"%d/%d" % (sent // 320, received // 980),
                b"dropped": b"%d/%d" % (sent // 9_000_000, received // 4_000_000),
                b"rate": b"%d/%d" % (8 * up * share * level, 8 * down * share * level),
                b"packet-rate": b"%d/%d" % (up * share * level / 320, down * share * level / 980),
                b"queued-packets": b"0/0",
                b"queued-bytes": b"0/0",
                b"total-bytes": number(sent + received),
                b"invalid": FALSE,
                b"dynamic": FALSE,
                b"disabled": FALSE,
            }
        )
    return rows


def tree_rows(device: Device, now: float) -> Sequence[Row]:
    """Queue trees of core routers."""
    if device.personality.kind != "core":
        return []
    rows: list[Row] = []
    level = device.activity.level(now)
    for place, (name, mark, rate) in enumerate(_TREE, start=1):
        count = device.grown(now, rate)
        rows.append(
            {
                b".id": item_id(0x100_0000 + place),
                b"name": name,
                b"parent": bridge_of(device).name,
                b"packet-mark": mark,
                b"limit-at": b"0",
                b"queue": b"default-small",
                b"priority": b"8",
                b"max-limit": b"100000000",
                b"burst-limit": b"0",
                b"burst-threshold": b"0",
                b"burst-time": b"0s",
                b"bytes": number(count),
                b"packets": number(count // 700),
                b"dropped": number(count // 40_000_000),
                b"rate": number(8 * rate * level),
                b"packet-rate": number(rate * level / 700),
                b"queued-packets": b"0",
                b"queued-bytes": b"0",
                b"invalid": FALSE,
                b"disabled": FALSE,
            }
        )
    return rows


MENUS = (
    MenuSpec("/queue/simple", simple_rows),
    MenuSpec("/queue/tree", tree_rows),
)
