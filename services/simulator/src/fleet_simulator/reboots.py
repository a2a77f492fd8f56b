"""Reboots that the world has scheduled: when one comes, the device hangs up and is away.

The world resets uptime and counters by itself, as a function of time; what a client
notices besides is that its connection ends and nobody answers for a while.
"""

import asyncio
import heapq
from collections.abc import Sequence
from typing import Final

from fleet_simulator.clock import VirtualClock
from fleet_simulator.device import Device
from fleet_simulator.world import SimulatedRouter

AWAY_SECONDS: Final = 2.0
"""Real seconds until a restarted device answers again."""
# The clock may be moved or sped up at any time, so a long sleep could oversleep.
_LOOK_SECONDS: Final = 0.5


async def hang_up_at_reboots(
    fleet: Sequence[tuple[SimulatedRouter, Device]], clock: VirtualClock
) -> None:
    """Cut each device's sessions when its scheduled reboot comes; runs until cancelled."""
    now = clock.now()
    # The position keeps routers out of the comparison when two reboot at the same second.
    due = [(router.next_boot(now), position) for position, (router, _) in enumerate(fleet)]
    heapq.heapify(due)
    while due:
        await asyncio.sleep(_LOOK_SECONDS)
        now = clock.now()
        while due[0][0] <= now:
            _, position = due[0]
            router, device = fleet[position]
            device.restarted(AWAY_SECONDS)
            heapq.heapreplace(due, (router.next_boot(now), position))
