"""Which wireless package drives a router's radios, by what its menus answer. Pure."""

from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

from fleet_poller import menus
from fleet_poller.memory import DeviceMemory, WirelessSetup
from fleet_poller.readings import Package
from fleet_poller.routeros.wire import Attributes


class Found(NamedTuple):
    """The setup (None: no radios that are known), and whether that needs no other look."""

    setup: WirelessSetup | None
    settled: bool


def find_radios(
    rows: Mapping[str, Sequence[Attributes]], refused: Container[str], memory: DeviceMemory
) -> Found:
    """The first package that has radios; one without any is not read until the next look.

    `rows` are the answers by path, `refused` the paths refused this time for a reason that
    may pass. A menu that does not answer says nothing about its radios: what is known of
    them stays, and as long as nothing is known, nothing is concluded.
    """
    known, settled = memory.wireless, True
    for candidate in menus.WIRELESS:
        radios = rows.get(candidate.radios.path)
        with_caps = bool(radios) and candidate.package is Package.WIFI
        deciding = (menus.REMOTE_CAPS if with_caps else candidate.radios).path
        settled = settled and deciding not in refused
        if known is None and not settled:
            break
        silent = deciding in memory.refusing_since_ms
        kept = known if silent and known is not None and known.menus is candidate else None
        if radios:
            monitor = candidate.monitor and menus.monitor_once(candidate.monitor, radios)
            caps = kept.managed_caps if kept else bool(rows.get(menus.REMOTE_CAPS.path))
            return Found(WirelessSetup(candidate, monitor or None, caps), settled)
        if kept is not None:
            return Found(kept, settled)
    return Found(None, settled)
