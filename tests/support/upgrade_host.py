"""MikroTik's upgrade host, simulated: fixture `host`."""

from collections.abc import AsyncIterator

import pytest_asyncio

from fleet_simulator.upgrade_host import UpgradeHost, running_upgrade_host
from support.ports import free_port


@pytest_asyncio.fixture
async def host() -> AsyncIterator[UpgradeHost]:
    """One of this test's own."""
    async with running_upgrade_host(free_port()) as running:
        yield running
