"""A process of simulated access points for the poller's bench; ends when its input closes.

    python -m bench.poller_fleet COUNT [NETWORK]

NETWORK (0 to 99) keeps apart the addresses of several such processes. A number on standard
input sets the speed of the simulated time.

Prints one line of JSON: a list of [tenant, device, address, port, username, password].
"""

import asyncio
import json
import sys
import time

import uvloop

from fleet_simulator.clock import VirtualClock
from fleet_simulator.server import Place, running_simulator
from fleet_simulator.world.fleet import build_router
from support.ports import free_port

INTERFACES = 10
TIME_SCALE = 1_000


async def serve(count: int, network: int) -> None:
    """Serve `count` access points with ten interfaces and some clients each."""
    routers = [
        build_router(7, f"ap-{number:04d}", personality="ap-wifi", interfaces=INTERFACES)
        for number in range(count)
    ]
    # One port on many loopback addresses: ports are scarce, addresses are not.
    port = free_port()
    places = [
        Place(f"127.{77 + network}.{number // 250}.{number % 250 + 1}", port)
        for number in range(count)
    ]
    # Polls follow each other without a pause; between two of them passes about the time
    # that would, so that counters, uptimes and clients differ as they do in life.
    clock = VirtualClock(time.time(), scale=TIME_SCALE)
    async with running_simulator(routers, places, clock=clock) as simulator:
        endpoints = [
            [one.tenant, one.device, one.address, one.port, one.username, one.password]
            for one in simulator.endpoints
        ]
        print(json.dumps(endpoints), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            clock.set_scale(float(line))


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int((*sys.argv, "0")[2])))
