"""What a service that asks the broker in rounds says of it: /healthz and /livez (see health)."""

from nats.aio.client import Client

from fleet_common.broker import HUNG_SECONDS, hangs
from fleet_common.health import Health


class BrokerHealth:
    """The checks `broker` (it answers) and `connection` (ours does not hang, see `hangs`)."""

    def __init__(
        self, client: Client, health: Health, *, silent_seconds: float, rounds_seconds: float
    ) -> None:
        """`silent_seconds`: how long without an answer until `broker` is red.

        `rounds_seconds`: what some rounds take; a connection gets it on top of HUNG_SECONDS.
        """
        self._client = client
        self._answering = health.progress("broker", silent_seconds, elsewhere=True)
        self._connection = health.progress("connection", HUNG_SECONDS + rounds_seconds)

    def answered(self) -> None:
        """A round went well."""
        self._answering.beat()
        self._connection.beat()

    async def failed(self) -> None:
        """A round failed. Takes a moment: it sees whether the connection is the reason."""
        if not await hangs(self._client):
            self._connection.beat()
