"""The simulator's own metrics, read from the ledgers when Prometheus asks."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, override

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fleet_common.metrics import MetricRow, MetricSet
from fleet_simulator.device import Device
from fleet_simulator.server import Simulator

_COUNTERS: Final[dict[str, tuple[str, Callable[[Device], int]]]] = {
    "fleet_simulator_connections_total": (
        "Connections that clients made.",
        lambda device: device.ledger.connections,
    ),
    "fleet_simulator_connections_refused_total": (
        "Connections turned away: too many sessions, a fault, a reboot.",
        lambda device: device.ledger.connections_refused,
    ),
    "fleet_simulator_logins_total": (
        "Logins that succeeded.",
        lambda device: device.ledger.logins,
    ),
    "fleet_simulator_logins_refused_total": (
        "Logins that were refused.",
        lambda device: device.ledger.logins_refused,
    ),
    "fleet_simulator_commands_total": (
        "Commands that logged-in clients sent.",
        lambda device: device.ledger.commands.total(),
    ),
    "fleet_simulator_polls_total": (
        "Answered prints of /interface.",
        lambda device: device.ledger.polls,
    ),
    "fleet_simulator_reboots_total": (
        "Restarts of devices.",
        lambda device: device.ledger.reboots,
    ),
}
_FAULTS: Final = "fleet_simulator_faults_total"
_GAUGES: Final = {
    "fleet_simulator_devices": "Devices by state: listening or closed.",
    "fleet_simulator_sessions": "Open connections of all devices.",
    "fleet_simulator_virtual_time_seconds": "The simulated time, Unix seconds.",
}


class SimulatorMetrics(MetricSet):
    """All metrics of one simulator; totals over its devices."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__()
        for name, (text, _) in _COUNTERS.items():
            self.table.append(MetricRow(name, "counter", (), text))
        self.table.append(MetricRow(_FAULTS, "counter", ("kind",), "Faults that struck."))
        for name, text in _GAUGES.items():
            labels = ("state",) if name == "fleet_simulator_devices" else ()
            self.table.append(MetricRow(name, "gauge", labels, text))
        self.registry.register(_LedgerCollector(simulator))


class _LedgerCollector(Collector):
    """Adds the ledgers up at each scrape, so that answering clients costs nothing."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    @override
    def collect(self) -> Iterable[Metric]:
        devices = self._simulator.devices
        for name, (text, read) in _COUNTERS.items():
            yield CounterMetricFamily(name, text, value=sum(map(read, devices)))
        kinds = Counter[str]()
        for device in devices:
            kinds.update(device.ledger.faults)
        faults = CounterMetricFamily(_FAULTS, "Faults that struck.", labels=["kind"])
        for kind, count in kinds.items():
            faults.add_metric([kind], count)
        yield faults
        yield from self._gauges(devices)

    def _gauges(self, devices: list[Device]) -> Iterable[Metric]:
        name = "fleet_simulator_devices"
        states = GaugeMetricFamily(name, _GAUGES[name], labels=["state"])
        listening = sum(one.listening for one in self._simulator.listeners.values())
        states.add_metric(["listening"], listening)
        states.add_metric(["closed"], len(devices) - listening)
        yield states
        name = "fleet_simulator_sessions"
        sessions = sum(len(device.sessions) for device in devices)
        yield GaugeMetricFamily(name, _GAUGES[name], value=sessions)
        name = "fleet_simulator_virtual_time_seconds"
        yield GaugeMetricFamily(name, _GAUGES[name], value=self._simulator.clock.now())
