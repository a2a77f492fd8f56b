"""Writing to a client's socket without a task switch.

A raw ASGI `send` for each client and write costs a task wake-up each. Behind an event that
goes to everyone the same bytes go to every socket, so the hub writes them to the transports
itself; ASGI carries the response's start and end and everything that must wait.
"""

import socket
from collections.abc import Callable
from typing import Any, Final, cast, override

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION: Final = "fleet_gateway.outlet"
"""The key of the scope's `extensions` that holds the Outlet."""

# A kernel grows this to megabytes by itself, in which a client can fall behind unseen.
_SOCKET_BUFFER_BYTES: Final = 256 * 1024


class Outlet(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol; it puts itself into the scope of each request."""

    on_lost: Callable[[], None] | None = None

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = {EXTENSION: self}

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()
            self.on_lost = None

    def bound_kernel_buffer(self) -> None:
        """Keep the kernel's send buffer small enough that a slow client shows."""
        sock = cast("socket.socket | None", self.transport.get_extra_info("socket"))
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER_BYTES)

    def write(self, chunk: bytes) -> None:
        """Write an HTTP chunk; to a closed connection it does nothing."""
        if not self.transport.is_closing():
            self.transport.write(chunk)

    def buffered(self) -> int:
        """Bytes that the client has not taken yet, beyond the kernel's buffer."""
        return self.transport.get_write_buffer_size()

    def abort(self) -> None:
        """Close now and drop what is buffered."""
        self.transport.abort()
