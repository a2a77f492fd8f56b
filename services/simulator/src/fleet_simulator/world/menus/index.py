"""All menus by path."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from fleet_simulator.world.device import Device
from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus import (
    addresses,
    bridging,
    capsman,
    cellular,
    dhcp,
    ethernet,
    firewall,
    interfaces,
    network,
    queues,
    radio,
    registration,
    routing,
    software,
    system,
    tools,
)


def _by_path(specs: Iterable[MenuSpec]) -> Mapping[str, tuple[MenuSpec, ...]]:
    found: dict[str, tuple[MenuSpec, ...]] = {}
    for spec in specs:
        found[spec.path] = (*found.get(spec.path, ()), spec)
    below: dict[str, list[MenuSpec]] = {}
    for path, same in found.items():
        for parent in _parents(path):
            below.setdefault(parent, []).extend(same)
    for parent, children in below.items():
        # A directory of menus alone is there when one of them is.
        found.setdefault(parent, (MenuSpec(parent, None, _any_of(children)),))
    return MappingProxyType(found)


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _any_of(children: Sequence[MenuSpec]) -> Callable[[Device], bool]:
    return lambda device: any(child.when(device) for child in children)


MENUS: Final = _by_path(
    (
        *system.MENUS,
        *software.MENUS,
        *interfaces.MENUS,
        *ethernet.MENUS,
        *bridging.MENUS,
        *radio.MENUS,
        *registration.MENUS,
        *capsman.MENUS,
        *cellular.MENUS,
        *addresses.MENUS,
        *network.MENUS,
        *dhcp.MENUS,
        *firewall.MENUS,
        *routing.MENUS,
        *queues.MENUS,
        *tools.MENUS,
    )
)
"""Path to its menus: more than one where generations differ in more than rows."""
