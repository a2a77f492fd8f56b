"""One device polled slot by slot: which failures hold it back, and what ends the wait."""

import random
from pathlib import Path

import pytest

from fleet_common.fleet_spec import CadenceSpec, SecretReference, TlsMode, TlsSpec
from fleet_common.settings import TracingSection
from fleet_common.tracing import start_tracing
from fleet_contracts.gen.fleet.v1.events_pb2 import REACHABILITY_UP, ErrorClass, Status
from fleet_contracts.subjects import Kind
from fleet_poller.breaker import BreakerPolicy
from fleet_poller.clock import SystemClock
from fleet_poller.credentials import SecretStore
from fleet_poller.device import Device, PollContext, PollTimeouts
from fleet_poller.gate import LoginGates
from fleet_poller.metrics import PollerMetrics
from fleet_simulator.certificates import Authority
from fleet_simulator.device import TlsMode as SimulatedTls
from fleet_simulator.faults import Fault, FaultRule
from fleet_simulator.server import Endpoint, Simulator
from support.pollers import SECRET, RecordedEvents, device_record, last_of, write_secret
from support.tls_router import TlsRouter, tls_router

SLOT = 1_800_000_000_000
MINUTE = 60_000


class PolledDevice(Device):
    """A device with its events and its own slots, a minute apart."""

    def __init__(self, secrets: Path, endpoint: Endpoint, **changes: object) -> None:
        self.events = RecordedEvents()
        self.slot_ms = SLOT
        super().__init__(
            device_record(endpoint, **changes),
            PollContext(
                secrets=SecretStore(secrets),
                gates=LoginGates(8),
                timeouts=PollTimeouts(0.5, 0.5),
                breaker=BreakerPolicy(),
                sink=self.events,
                metrics=PollerMetrics(),
                tracing=start_tracing("poller", TracingSection()),
                clock=SystemClock(),
                jitter=random.Random(1),  # noqa: S311 - repeatable, no secret
                held_kinds=frozenset({Kind.STATUS, Kind.HEALTH, Kind.INVENTORY}),
            ),
        )

    async def next_slot(self) -> Status | None:
        """What the poll of the next slot says; None when it is held back."""
        self.slot_ms += MINUTE
        if not self.may_poll(self.slot_ms):
            return None
        await self.poll(self.slot_ms)
        return last_of(self.events.of(self.record.device, Kind.STATUS)).status

    async def polled(self) -> Status:
        """The same of a slot that is not held back."""
        status = await self.next_slot()
        assert status is not None
        return status


async def test_slots_without_a_secret_do_not_lengthen_the_wait_for_the_router(
    simulator: Simulator, tmp_path: Path
) -> None:
    simulator.faults.add(FaultRule(Fault.STALL_BEFORE))
    device = PolledDevice(tmp_path, simulator.endpoint("router-1"))
    for _ in range(20):
        status = await device.polled()
        assert status.error_class == ErrorClass.ERROR_CLASS_CREDENTIALS_MISSING
    write_secret(tmp_path, simulator.endpoint("router-1"))
    status = await device.polled()
    assert status.error_class == ErrorClass.ERROR_CLASS_TIMEOUT
    assert status.consecutive_failures == 21
    assert not device.breaker.open
    simulator.faults.replace([])
    status = await device.polled()
    assert status.reachability == REACHABILITY_UP
    await device.close(0)


async def test_metrics_show_no_reading_in_the_place_of_one_that_was_refused(
    simulator: Simulator, tmp_path: Path
) -> None:
    endpoint = simulator.endpoint("router-1")
    write_secret(tmp_path, endpoint)
    device = PolledDevice(tmp_path, endpoint, cadence=CadenceSpec(inventory=60))
    await device.next_slot()
    assert set(device.held.payloads) == {Kind.STATUS, Kind.HEALTH, Kind.INVENTORY}
    refused = ("/system/health/print", "/system/identity/print")
    simulator.faults.add(FaultRule(Fault.TRAP, commands=refused, message="action timed out"))
    status = await device.polled()
    assert status.reachability == REACHABILITY_UP
    assert set(device.held.payloads) == {Kind.STATUS, Kind.INVENTORY}, "which interfaces it has"
    simulator.faults.replace([])
    await device.next_slot()
    assert Kind.HEALTH in device.held.payloads
    await device.close(0)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets" / "ca"
    folder.mkdir(parents=True)
    return folder.parent


def verified(secrets: Path, router: TlsRouter) -> PolledDevice:
    """The device behind TLS, with the right user and password."""
    endpoint = Endpoint(
        tenant="alpha",
        device="router-1",
        address=router.endpoint.host,
        port=router.endpoint.port,
        username="admin",
        password="secret",
        tls=SimulatedTls.CERTIFICATE,
        fingerprint=router.fingerprint,
    )
    write_secret(secrets, endpoint, SECRET)
    tls = TlsSpec(mode=TlsMode.VERIFY, ca_secret_ref=SecretReference(name="ca"))
    return PolledDevice(secrets, endpoint, tls=tls)


async def test_an_unusable_ca_holds_nothing_back(tmp_path: Path, secrets: Path) -> None:
    async with tls_router(tmp_path, SimulatedTls.CERTIFICATE) as router:
        device = verified(secrets, router)
        (secrets / "ca" / "ca.crt").write_text("not a certificate")
        for _ in range(6):
            status = await device.polled()
            assert status.error_class == ErrorClass.ERROR_CLASS_TLS
            assert "unusable CA file" in status.error_message
        (secrets / "ca" / "ca.crt").write_text(router.ca_file.read_text())
        status = await device.polled()
        assert status.reachability == REACHABILITY_UP
        await device.close(0)


async def test_another_ca_ends_the_wait_for_a_router_that_was_not_trusted(
    tmp_path: Path, secrets: Path
) -> None:
    async with tls_router(tmp_path, SimulatedTls.CERTIFICATE) as router:
        device = verified(secrets, router)
        (secrets / "ca" / "ca.crt").write_text(Authority("another").certificate_pem)
        for _ in range(3):
            status = await device.polled()
            assert "certificate was refused" in status.error_message
        device.slot_ms -= MINUTE - 1
        assert await device.next_slot() is None, "held back"
        (secrets / "ca" / "ca.crt").write_text(router.ca_file.read_text())
        device.slot_ms -= MINUTE - 1
        status = await device.polled()
        assert status.reachability == REACHABILITY_UP
        await device.close(0)
