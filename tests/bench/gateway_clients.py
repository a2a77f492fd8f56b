"""Many SSE clients in one process, cheap enough not to be what is measured.

    python -m bench.gateway_clients PORT COUNT QUERY EVENTS

Prints `ready` once every client has its snapshot. After EVENTS live events for each client it
prints how many arrived in all and, for one client in fifty, each event's delay in seconds:
from `slot_unix_ms`, which the bench sets to the time of publishing. EVENTS 0 stays connected
until killed.
"""

import re
import selectors
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import cast

# Once in each event, and in nothing that the gateway says itself (heartbeats).
_SLOT_FIELD = b'"slot_unix_ms":'
_SLOT = re.compile(_SLOT_FIELD + rb"(\d+)")
_MEASURED_EVERY = 50
_DEADLINE_SECONDS = 300.0


class BenchClient:
    """One connection; counts events, also those that two reads share."""

    def __init__(self, port: int, query: str, *, measured: bool) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.sock.sendall(f"GET /api/v1/events{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        self.sock.setblocking(False)
        self.live = False
        self.events = 0
        self.delays: list[float] = []
        self._measured = measured
        self._tail = b""

    def read(self) -> None:
        data = self.sock.recv(1 << 18)
        if not data:
            raise ConnectionError(f"closed after {self.events} events")
        text = self._tail + data
        if not self.live:
            _, found, text = text.partition(b"snapshot-end\ndata: ")
            if not found:
                self._tail = data[-32:]
                return
            self.live = True
        if self._measured:
            self._measure(text)
        else:
            self._tail = text[-(len(_SLOT_FIELD) - 1) :]
            self.events += text.count(_SLOT_FIELD)

    def _measure(self, text: bytes) -> None:
        now = time.time()
        whole, _, self._tail = text.rpartition(b"\n\n")
        for slot in _SLOT.findall(whole):
            self.events += 1
            self.delays.append(now - int(slot) / 1000)


def main() -> None:
    """Connect, say so, read until all have their events."""
    port, count, query, until = (
        int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].removeprefix("-"), int(sys.argv[4]),
    )  # fmt: skip
    selector = selectors.DefaultSelector()
    clients: list[BenchClient] = []
    for number in range(count):
        client = BenchClient(port, query, measured=number % _MEASURED_EVERY == 0)
        clients.append(client)
        selector.register(client.sock, selectors.EVENT_READ, client)
    _read(selector, clients, lambda: all(client.live for client in clients))
    print("ready", flush=True)
    _read(
        selector,
        clients,
        lambda: bool(until) and all(client.events >= until for client in clients),
        forever=not until,
    )
    print(sum(client.events for client in clients))
    for client in clients:
        for delay in client.delays:
            print(f"{delay:.4f}")


def _read(
    selector: selectors.BaseSelector,
    clients: Sequence[BenchClient],
    done: Callable[[], bool],
    *,
    forever: bool = False,
) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not done():
        if not forever and time.monotonic() > deadline:
            slowest = min(client.events for client in clients)
            raise TimeoutError(f"the slowest client has {slowest} events")
        for key, _ in selector.select(timeout=0.5):
            cast("BenchClient", key.data).read()


if __name__ == "__main__":
    main()
