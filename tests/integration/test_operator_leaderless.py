"""A tenant's stream on a server of a cluster that is down: what waits for it, and what does not."""

import asyncio
import time
from pathlib import Path

from nats.aio.client import Client

from fleet_common.broker import stream_config
from fleet_contracts.streams import INVENTORY_BUCKET, tenant_stream
from fleet_contracts.subjects import TenantId
from fleet_operator.broker_side import BrokerSide
from fleet_operator.broker_state import Asked
from fleet_operator.fleets import Fleets, Known
from fleet_operator.kinds import ROUTER_FLEET
from fleet_operator.settings import OperatorSection
from fleet_operator.signs import read_bucket
from fleet_operator.store import Store
from support.nats import add_stream_on, connected, kill_one, nats_cluster
from support.operator_broker import asked, broker_side
from support.operator_fleets import fleet_document
from support.waiting import eventually

NORTH, SOUTH = TenantId("north"), TenantId("south")
LOOK_SECONDS = 1.0


class Fleet:
    """Two RouterFleets; `asked` as the controller asks."""

    def __init__(self) -> None:
        self._store = Store(lambda: None)
        self._fleets = Fleets(self._store)
        for tenant in (NORTH, SOUTH):
            self.put(tenant, devices=2, version=1)

    def put(self, tenant: TenantId, *, devices: int, version: int) -> None:
        document = fleet_document(
            tenant, uid=tenant, devices=devices, version=version, generation=version
        )
        self._store.put(ROUTER_FLEET, document)

    def known(self, tenant: TenantId) -> Known:
        return next(one for one in self._fleets.read() if one.tenant == tenant)

    def asked(self) -> Asked:
        return asked(self._fleets.read())


async def of_inventory(client: Client, tenant: TenantId) -> int:
    return sum(key.startswith(f"{tenant}.") for key in await read_bucket(client, INVENTORY_BUCKET))


def trouble(broker: BrokerSide, known: Known) -> str | None:
    found = broker.state.trouble_of(known.tenant, known.fleet)
    return None if found is None else found[0]


async def test_devices_of_all_tenants_are_recorded_while_one_stream_has_no_leader(
    tmp_path: Path,
) -> None:
    fleet = Fleet()
    with nats_cluster(tmp_path) as servers:
        url = servers[0].url
        section = OperatorSection(
            budget_bytes=128 << 20,
            bucket_replicas=3,
            look_seconds=LOOK_SECONDS,
            measure_seconds=10,
        )
        async with connected(url) as client, broker_side(url, section) as broker:
            for place, tenant in (("0", NORTH), ("2", SOUTH)):
                stream = tenant_stream(tenant, max_bytes=1 << 20, max_age_seconds=3600)
                await add_stream_on(client, place, stream_config(stream))
            await broker.reconcile(fleet.asked())
            assert (broker.state.trouble, broker.state.unled) == (None, None)

            await kill_one(servers[2], client)

            async def found() -> tuple[str | None, TenantId | None]:
                await broker.reconcile(fleet.asked())
                return broker.state.trouble, broker.state.unled

            await eventually(
                found, lambda one: one == (None, SOUTH), deadline_seconds=40, what="no leader"
            )
            # As planned before: nobody has to wait for anything.
            assert trouble(broker, fleet.known(NORTH)) is None
            looks_end = time.monotonic() + 3 * LOOK_SECONDS
            while time.monotonic() < looks_end:
                assert await found() == (None, SOUTH)
                await asyncio.sleep(LOOK_SECONDS / 4)
            fleet.put(NORTH, devices=3, version=2)
            assert await found() == (None, SOUTH)
            assert await of_inventory(client, NORTH) == 3
            assert trouble(broker, fleet.known(SOUTH)) == "NoStreamLeader"
            # What it asks for now is not planned.
            assert trouble(broker, fleet.known(NORTH)) == "NoStreamLeader"

            servers[2].start()
            await eventually(
                found, lambda one: one == (None, None), deadline_seconds=40, what="a leader"
            )
            assert [trouble(broker, fleet.known(one)) for one in (NORTH, SOUTH)] == [None, None]
