"""/ip/firewall: rules with their counters, and the connection table."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from fleet_simulator.tables import Row
from fleet_simulator.world.device import Device
from fleet_simulator.world.formats import FALSE, TRUE, boolean, duration, item_id, number
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus.conditions import has_ipv6
from fleet_simulator.world.noise import mix

_CONNECTIONS_MOST = 400


class Rule(NamedTuple):
    """A rule: what it says, and how many bytes a second it matches on average."""

    values: dict[bytes, bytes]
    rate: float
    packet: int = 600


_FILTER = (
    Rule({b"chain": b"forward", b"action": b"fasttrack-connection",
          b"connection-state": b"established,related", b"hw-offload": b"true",
          b"comment": b"defconf: fasttrack"}, 120_000.0, 900),
    Rule({b"chain": b"input", b"action": b"accept",
          b"connection-state": b"established,related,untracked"}, 900.0, 180),
    Rule({b"chain": b"input", b"action": b"drop", b"connection-state": b"invalid"}, 4.0, 60),
    Rule({b"chain": b"input", b"action": b"accept", b"protocol": b"icmp"}, 12.0, 84),
    Rule({b"chain": b"input", b"action": b"accept", b"src-address-list": b"management",
          b"protocol": b"tcp", b"dst-port": b"22,8291,8728,8729"}, 40.0, 120),
    Rule({b"chain": b"input", b"action": b"drop", b"in-interface-list": b"!LAN",
          b"log": b"true", b"log-prefix": "zahozeno p\u0159i vstupu".encode("cp1250")}, 35.0, 52),
    Rule({b"chain": b"forward", b"action": b"accept",
          b"connection-state": b"established,related,untracked"}, 90_000.0, 800),
    Rule({b"chain": b"forward", b"action": b"drop", b"connection-state": b"invalid",
          b"comment": b"defconf: drop invalid"}, 6.0, 60),
    Rule({b"chain": b"forward", b"action": b"drop", b"src-address-list": b"bogons",
          b"comment": b"drop bogons"}, 0.6, 52),
)  # fmt: skip
_NAT = (
    Rule({b"chain": b"srcnat", b"action": b"masquerade", b"out-interface-list": b"WAN",
          b"ipsec-policy": b"out,none", b"comment": b"defconf: masquerade"}, 700.0, 70),
    Rule({b"chain": b"dstnat", b"action": b"dst-nat", b"protocol": b"tcp", b"dst-port": b"8443",
          b"to-addresses": b"192.168.88.100", b"to-ports": b"443",
          b"comment": "caméra".encode("latin-1")}, 20.0, 60),
)  # fmt: skip
_MANGLE = (
    Rule({b"chain": b"forward", b"action": b"change-mss", b"new-mss": b"clamp-to-pmtu",
          b"passthrough": b"true", b"protocol": b"tcp", b"tcp-flags": b"syn"}, 60.0, 60),
)  # fmt: skip
_RAW = (
    Rule({b"chain": b"prerouting", b"action": b"drop", b"src-address-list": b"bogons"}, 0.8, 52),
)  # fmt: skip


def _reader(rules: tuple[Rule, ...]) -> Callable[[Device, float], Sequence[Row]]:
    def rows(device: Device, now: float) -> Sequence[Row]:
        if not device.personality.firewall:
            return []
        found: list[Row] = []
        for place, rule in enumerate(rules, start=1):
            values = dict(rule.values)
            comment = values.pop(b"comment", None)
            count = device.grown(now, rule.rate * (0.3 + mix(device.seed, place) % 100 / 40))
            row = {b".id": item_id(place), **values}
            row.setdefault(b"log", FALSE)
            row |= {
                b"bytes": number(count),
                b"packets": number(count // rule.packet),
                b"invalid": FALSE,
                b"dynamic": FALSE,
                b"disabled": FALSE,
            }
            if comment is not None:
                row[b"comment"] = comment
            found.append(row)
        return found

    return rows


def connection_rows(device: Device, now: float) -> Sequence[Row]:
    """Tracked connections: more of them when the site is busy; they change every half minute."""
    if not device.personality.firewall:
        return []
    rows: list[Row] = []
    for place in range(_connections(device, now)):
        # Each slot of the table is used anew every 30 to 150 seconds.
        life = 30 + mix(device.seed, place) % 120
        epoch = int(now / life)
        bits = mix(mix(device.seed, place), epoch)
        tcp = bits & 7 != 0
        sent = 200 + (bits >> 8 & 0xFFFFF) * (now % life) / life
        row = {
            b".id": item_id(bits & 0xFFFFF),
            b"protocol": b"tcp" if tcp else b"udp",
            b"src-address": b"192.168.88.%d:%d" % (20 + bits % 30, 1024 + (bits >> 20) % 64_000),
            b"dst-address": b"198.51.100.%d:%d" % (bits >> 36 & 0xFF, 443 if tcp else 53),
            b"reply-src-address": b"198.51.100.%d:%d" % (bits >> 36 & 0xFF, 443 if tcp else 53),
            b"timeout": duration(life - now % life + 1),
            b"orig-packets": number(sent // 300),
            b"orig-bytes": number(sent),
            b"repl-packets": number(sent // 120),
            b"repl-bytes": number(sent * 8),
            b"assured": boolean(tcp),
            b"confirmed": TRUE,
            b"dying": FALSE,
            b"fasttrack": boolean(tcp and bits & 32 == 0),
            b"seen-reply": TRUE,
            b"srcnat": TRUE,
            b"dstnat": FALSE,
        }
        if tcp:
            row[b"tcp-state"] = b"established"
        rows.append(row)
    return rows


def _connections(device: Device, now: float) -> int:
    share = 0.05 + 0.5 * device.load.calm(now)
    return min(int(_CONNECTIONS_MOST * share), _CONNECTIONS_MOST)


def tracking_rows(device: Device, now: float) -> Sequence[Row]:
    """Settings of the connection table and how full it is."""
    most = min(device.board.memory // 1024, 1_048_576)
    return [
        {
            b"enabled": b"auto",
            b"active-ipv4": boolean(device.personality.firewall),
            b"active-ipv6": boolean(has_ipv6(device)),
            b"tcp-syn-sent-timeout": b"5s",
            b"tcp-established-timeout": b"1d",
            b"tcp-close-timeout": b"10s",
            b"udp-timeout": b"10s",
            b"udp-stream-timeout": b"3m",
            b"icmp-timeout": b"10s",
            b"generic-timeout": b"10m",
            b"max-entries": number(most),
            b"total-entries": number(
                _connections(device, now) if device.personality.firewall else 0
            ),
        }
    ]


def empty_rows(_device: Device, _now: float) -> Sequence[Row]:
    """A table nothing was added to."""
    return []


MENUS = (
    MenuSpec("/ip/firewall/filter", _reader(_FILTER)),
    MenuSpec("/ip/firewall/nat", _reader(_NAT)),
    MenuSpec("/ip/firewall/mangle", _reader(_MANGLE)),
    MenuSpec("/ip/firewall/raw", _reader(_RAW)),
    MenuSpec("/ip/firewall/connection", connection_rows),
    MenuSpec("/ip/firewall/connection/tracking", tracking_rows),
    MenuSpec("/ipv6/firewall/filter", empty_rows, has_ipv6),
    MenuSpec("/ipv6/firewall/nat", empty_rows, has_ipv6),
    MenuSpec("/ipv6/firewall/mangle", empty_rows, has_ipv6),
    MenuSpec("/ipv6/firewall/raw", empty_rows, has_ipv6),
    MenuSpec("/ipv6/firewall/address-list", empty_rows, has_ipv6),
    MenuSpec("/ipv6/firewall/connection", empty_rows, has_ipv6),
)
