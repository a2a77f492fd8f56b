"""A simulated router: a device and the menus it has."""

from fleet_simulator.tables import Menu
from fleet_simulator.world.device import Device
from fleet_simulator.world.menu import RouterMenu
from fleet_simulator.world.menus.index import MENUS


class SimulatedRouter(Device):
    """What the protocol engine serves: fleet_simulator.tables.Router, and its credentials."""

    __slots__ = ()

    def menu(self, path: str) -> Menu | None:
        """The menu at `path`, or None when this router has no such menu."""
        for spec in MENUS.get(path, ()):
            if spec.when(self):
                return RouterMenu(self, spec)
        return None
