"""nats-py's client, made fit for TLS.

nats-py 2.16 speaks TLS when the server's first line asks for it, and only then: somebody between
the two who takes that out of the line would be sent the password in the clear. And after a
handshake that failed it waits for ever for the end of a connection that asyncio has ended
already. Goes through what the pinned version calls `_process_info`, `_process_connect_init` and
`_transport`; the integration tests fail should another not.
"""

from typing import Any, override

from nats.aio.client import Client
from nats.errors import Error as NatsError


class PlainServerError(NatsError):
    """TLS is asked for, and what answers does not speak it. Nothing was sent to it."""

    def __init__(self) -> None:
        super().__init__("nats: the server offers no TLS")


class BrokerClient(Client):
    """A Client; `require_tls` is set before it connects."""

    require_tls: bool = False

    @override
    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self.require_tls and not info.get("tls_required"):
            raise PlainServerError
        await super()._process_info(info, initial_connection)

    @override
    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except BaseException:
            if self._transport is not None:
                self._transport.close()
                self._transport = None
            raise
