"""The simulated world: personalities, their menus, and metrics as pure functions of time."""

from fleet_simulator.world.catalogue import FLEET_MIX, PERSONALITIES, VERSIONS
from fleet_simulator.world.fleet import build_fleet, build_router
from fleet_simulator.world.router import SimulatedRouter

__all__ = [
    "FLEET_MIX",
    "PERSONALITIES",
    "VERSIONS",
    "SimulatedRouter",
    "build_fleet",
    "build_router",
]
