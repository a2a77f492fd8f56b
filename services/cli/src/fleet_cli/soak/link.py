"""A router without a socket: the poller's connection on one side, the simulated one on the other.

The bytes are those of the RouterOS protocol: the poller writes its sentences, the
simulator's command engine answers them from the same rows, the poller's decoder reads the
answer. What is left out is TCP, the login and the faults of a network.
"""

import asyncio
from collections.abc import Callable
from typing import override

from fleet_poller.routeros.protocol import RouterProtocol
from fleet_poller.routeros.session import RouterSession
from fleet_simulator.command import CommandReader
from fleet_simulator.jobs import Context, run
from fleet_simulator.session import AFTER_LOGIN_BYTES
from fleet_simulator.tables import Router
from fleet_simulator.wire import SentenceDecoder


class RouterLink(asyncio.Transport):
    """What the poller's protocol takes for its connection."""

    def __init__(
        self, protocol: RouterProtocol, router: Router, reader: CommandReader, context: Context
    ) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._name = router.name
        self._reader = reader
        self._context = context
        self._decoder = SentenceDecoder(AFTER_LOGIN_BYTES)
        self._closing = False

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        answer: list[bytes] = []
        for words in self._decoder.feed(bytes(data)):
            command, tag = self._reader.read(words)
            for step in run(command, tag, self._context):
                if not isinstance(step, bytes):
                    raise TypeError(f"{self._name}: {command.full_name} does not end by itself")
                answer.append(step)
        # Not at once: the poller begins to wait after it has written.
        self._loop.call_soon(self._protocol.data_received, b"".join(answer))

    @override
    def abort(self) -> None:
        self._closing = True

    @override
    def is_closing(self) -> bool:
        return self._closing


def open_link(router: Router, reader: CommandReader, now: Callable[[], float]) -> RouterSession:
    """A session with a simulated router, logged in. `now` gives Unix seconds."""
    protocol = RouterProtocol(asyncio.get_running_loop())
    context = Context(router, now, changed=lambda: None, refused=lambda _command: None)
    protocol.connection_made(RouterLink(protocol, router, reader, context))
    protocol.end_untagged()
    return protocol
