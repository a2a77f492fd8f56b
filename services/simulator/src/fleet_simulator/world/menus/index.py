"""All menus by path."""

from types import MappingProxyType
from typing import Final

from fleet_simulator.world.menus import (
    bridging,
    ethernet,
    interfaces,
    registration,
    software,
    system,
)

MENUS: Final = MappingProxyType(
    {
        spec.path: spec
        for module in (
            system,
            software,
            interfaces,
            ethernet,
            bridging,
            registration,
        )
        for spec in module.MENUS
    }
)
