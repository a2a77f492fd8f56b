"""The numbers that sensors have in the database."""

from collections.abc import Mapping

from fleet_contracts.gen.fleet.v1.events_pb2 import Health
from fleet_contracts.view import sensor_name
from fleet_writer.words import sensor_unit_word

type SensorKey = tuple[str, str]
"""Name and unit."""
type _WireSensorKey = tuple[int, str, int]


class UnknownSensorError(Exception):
    """A sensor has no key in the database yet; the caller makes one and tries again."""


class SensorIds:
    """Surrogate keys of sensors, looked up by what travels."""

    def __init__(self) -> None:
        self._by_wire: dict[_WireSensorKey, int] = {}
        self._by_key: dict[SensorKey, int] = {}

    def learn(self, ids: Mapping[SensorKey, int]) -> None:
        """Add keys read from the database."""
        self._by_key.update(ids)

    def ids_of(self, body: Health) -> list[int]:
        """The keys of a message's sensors; raises UnknownSensorError when one has none yet."""
        try:
            return [self._by_wire[one.known_name, one.name, one.unit] for one in body.sensors]
        except KeyError:
            if self.unknown(body):
                raise UnknownSensorError from None
            return self.ids_of(body)

    def unknown(self, body: Health) -> list[SensorKey]:
        """The sensors of a message that have no key yet."""
        missing: list[SensorKey] = []
        for sensor in body.sensors:
            key = (sensor_name(sensor), sensor_unit_word(sensor.unit))
            if key in self._by_key:
                wire = (sensor.known_name, sensor.name, sensor.unit)
                self._by_wire[wire] = self._by_key[key]
            else:
                missing.append(key)
        return missing
