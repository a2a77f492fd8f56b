"""Readings of /system/health: temperatures, fans, voltages, currents and power supplies."""

from fleet_simulator.world.formats import number, tenths
from fleet_simulator.world.noise import smooth, unit
from fleet_simulator.world.personality import Sensor

_FAILED_SUPPLIES = 0.04
_WANDER_SECONDS = 240.0


def reading(seed: int, sensor: Sensor, heat: float, now: float) -> bytes:
    """One sensor's value at `heat` (0 to 1, already lagging the load) as RouterOS prints it."""
    own = seed ^ (sensor.id * 0x9E37_79B1)
    if not sensor.unit:
        # The first supply works in every router; a spare may be unplugged.
        spare = not sensor.name.startswith("psu1")
        return b"fail" if spare and unit(own, 0) < _FAILED_SUPPLIES else b"ok"
    wander = smooth(own, now, _WANDER_SECONDS) - 0.5
    value = sensor.idle + sensor.span * heat
    match sensor.unit:
        case "C":
            # A room a little warmer or colder than another, and draughts.
            value += 8.0 * (unit(own, 1) - 0.4) + 1.6 * wander
        case "RPM":
            value += 90.0 * wander + 60.0 * unit(own, 2)
        case "V":
            value *= 1.0 + 0.004 * wander
        case _:
            value *= 1.0 + 0.06 * wander
    return tenths(value) if sensor.places else number(value)
