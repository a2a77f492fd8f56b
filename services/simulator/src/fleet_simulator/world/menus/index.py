"""All menus by path."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from fleet_simulator.world.menu import MenuSpec
from fleet_simulator.world.menus import (
    bridging,
    capsman,
    cellular,
    ethernet,
    interfaces,
    radio,
    registration,
    software,
    system,
)


def _by_path(specs: Iterable[MenuSpec]) -> Mapping[str, tuple[MenuSpec, ...]]:
    found: dict[str, tuple[MenuSpec, ...]] = {}
    for spec in specs:
        found[spec.path] = (*found.get(spec.path, ()), spec)
    return MappingProxyType(found)


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
    )
)
"""Path to its menus: more than one where generations differ in more than rows."""
