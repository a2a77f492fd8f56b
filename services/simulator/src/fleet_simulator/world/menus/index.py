"""All menus by path."""

from types import MappingProxyType
from typing import Final

from fleet_simulator.world.menus import interfaces, registration, system

MENUS: Final = MappingProxyType(
    {spec.path: spec for module in (system, interfaces, registration) for spec in module.MENUS}
)
