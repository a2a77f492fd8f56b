"""All pollers of a soak, and the ways to their routers."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from fleet_cli.soak.link import open_link
from fleet_cli.soak.options import INTERVAL_SECONDS, Mode, SoakOptions, cadence_of
from fleet_cli.soak.padding import Padder
from fleet_cli.soak.polling import Opener, SoakDevice, TenantPoller
from fleet_cli.soak.slots import Due, VirtualClock, slots_between
from fleet_cli.soak.stage import SimulatorStage, Stage
from fleet_common.broker import close, connect
from fleet_common.capacity import Naive
from fleet_common.errors import TransientError
from fleet_common.fleet_spec import load_fleet_file
from fleet_common.inventory import DeviceRecord, device_records
from fleet_common.raw_client import RawClient
from fleet_contracts.subjects import DeviceId, TenantId
from fleet_poller.credentials import SecretStore
from fleet_poller.routeros.session import Endpoint, RouterSession, open_session
from fleet_simulator.command import CommandReader
from fleet_simulator.world import SimulatedRouter, build_fleet

_CONNECT_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.005
_EVENTS_A_POLL: Final = 5


class Crew:
    """Devices in the fleet's order, their tenants' publishers, and what was counted."""

    def __init__(
        self,
        routers: Sequence[SimulatedRouter],
        mode: Mode,
        clients: dict[TenantId, RawClient],
        clock: VirtualClock,
    ) -> None:
        self.routers = routers
        self._clock = clock
        self._clients = clients
        mean = None if mode is Mode.PLANNED else Naive().message_bytes
        self.pollers = {
            tenant: TenantPoller(tenant, client, None if mean is None else Padder(mean))
            for tenant, client in clients.items()
        }
        self._reader = CommandReader()
        cadence = cadence_of(mode)
        self._devices = [
            SoakDevice(TenantId(one.tenant), DeviceId(one.name), cadence, self._link_to(one))
            for one in routers
        ]
        self._names = [one.device for one in self._devices]
        self._way = "direct"
        self.polls: Counter[str] = Counter()
        self.failed_polls = 0

    @property
    def tenants(self) -> list[TenantId]:
        """In the fleet's order."""
        return list(self.pollers)

    def start(self) -> None:
        """Begin to send events."""
        for poller in self.pollers.values():
            poller.start()

    async def stop(self) -> None:
        """End publishers, sessions and connections."""
        for poller in self.pollers.values():
            await poller.stop()
        for device in self._devices:
            await device.use(device.opener)
        for client in self._clients.values():
            await close(client)

    # --- ways to the routers ---------------------------------------------------------

    async def use_wire(self, simulator: SimulatorStage) -> None:
        """From now on over TCP, with a login, to the simulator's process."""
        records = {
            (record.tenant, record.device): record
            for fleet in load_fleet_file(simulator.plan.fleet_file)
            for record in device_records(fleet)
        }
        secrets = SecretStore(simulator.plan.credentials_directory)
        for device in self._devices:
            await device.use(_wire_to(records[device.tenant, device.device], secrets))
        self._way = "wire"

    async def use_links(self) -> None:
        """From now on in this process: the same rows and bytes, no TCP."""
        for device, router in zip(self._devices, self.routers, strict=True):
            await device.use(self._link_to(router))
        self._way = "direct"

    def _link_to(self, router: SimulatedRouter) -> Opener:
        async def opener() -> RouterSession:
            return open_link(router, self._reader, self._clock.seconds)

        return opener

    # --- polling ---------------------------------------------------------------------

    async def poll_slots(self, begin_ms: int, end_ms: int, at_once: int = 1) -> None:
        """Poll and publish every slot in [begin, end), in order.

        With one at a time the clock stands at each slot while it is polled.
        """
        due = slots_between(self._names, round(INTERVAL_SECONDS * 1000), begin_ms, end_ms)
        for first in range(0, len(due), at_once):
            chunk = due[first : first + at_once]
            if at_once == 1:
                self._clock.move_to(chunk[0].slot_ms)
            await asyncio.gather(*(self._poll(one) for one in chunk))

    async def _poll(self, due: Due) -> None:
        device = self._devices[due.device]
        events = await device.poll(due.slot_ms)
        self.polls[self._way] += 1
        self.failed_polls += device.failures > 0
        self.pollers[device.tenant].publish(device.device, due.slot_ms, events)

    async def settle(self, seconds: float, *, healed: bool) -> None:
        """Wait until the broker has taken what was made; not where it refuses.

        After a heal the refusals before it do not count. Raises TransientError when the
        broker neither takes nor refuses for so long.
        """
        before = {tenant: poller.refusals for tenant, poller in self.pollers.items()}
        deadline = time.monotonic() + seconds
        while True:
            for poller in self.pollers.values():
                poller.check()
            open_ones = [
                tenant
                for tenant, poller in self.pollers.items()
                if poller.waiting and (healed or not poller.refusals)
            ]
            if not open_ones:
                return
            if time.monotonic() > deadline:
                if healed and any(self.pollers[one].refusals > before[one] for one in open_ones):
                    return
                raise TransientError(f"the broker does not take events of {', '.join(open_ones)}")
            await asyncio.sleep(_LOOK_SECONDS)

    # --- figures ---------------------------------------------------------------------

    @property
    def refused(self) -> bool:
        """Whether the broker ever refused an event."""
        return any(poller.refusals for poller in self.pollers.values())

    @property
    def made(self) -> int:
        """Events handed to the publishers."""
        return sum(poller.made.total() for poller in self.pollers.values())

    @property
    def acknowledged(self) -> int:
        """Events in the streams."""
        return sum(one.acknowledged - one.duplicates for one in self.pollers.values())

    @property
    def waiting(self) -> int:
        """Events in the publishers' buffers."""
        return sum(poller.waiting for poller in self.pollers.values())

    @property
    def dropped(self) -> int:
        """Events given up."""
        return sum(poller.dropped for poller in self.pollers.values())

    @property
    def events_a_minute(self) -> int:
        """About as many events the fleet makes in a virtual minute."""
        return len(self._devices) * _EVENTS_A_POLL

    def describe(self) -> dict[TenantId, str]:
        """What each tenant's publisher would say."""
        return {
            tenant: (
                f"{poller.waiting} events wait, {poller.dropped} dropped, "
                f"{poller.refusals} refusals; {poller.publisher.why_unwell() or 'well'}"
            )
            for tenant, poller in self.pollers.items()
        }


def _wire_to(record: DeviceRecord, secrets: SecretStore) -> Opener:
    async def opener() -> RouterSession:
        access = secrets.access(record)
        return await open_session(Endpoint(record.address, record.port), access, _CONNECT_SECONDS)

    return opener


async def make_crew(options: SoakOptions, mode: Mode, stage: Stage, clock: VirtualClock) -> Crew:
    """The seed's routers, and a connection to the broker for each tenant's publisher."""
    names = [f"tenant-{number}" for number in range(1, options.tenants + 1)]
    routers = build_fleet(options.seed, names, options.devices, started=clock.seconds())
    clients: dict[TenantId, RawClient] = {}
    for name in names:
        client = clients[TenantId(name)] = RawClient()
        await connect(stage.nats, f"poller-{name}", client)
    return Crew(routers, mode, clients, clock)
