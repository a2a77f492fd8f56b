"""nats-py's client with a short way for the messages of a pull consumer.

Per message nats-py makes an object, parses its headers into a dictionary, queues it and
wakes a task: a third of the writer's time, though of the headers only `traceparent` is
wanted and only of sampled messages. A subscription registered here gets the raw parts
at once, from the read loop. The client's pinned version (nats-py 2.16.0) dispatches
through `_process_msg`; the writer's integration tests fail should another one not.
"""

from collections.abc import Callable
from typing import override

from nats.aio.client import Client
from nats.aio.subscription import Subscription

type Receiver = Callable[[bytes, bytes, bytes, bytes | None], None]
"""Takes subject, reply subject, payload and raw headers; must not block or raise."""


class DirectClient(Client):
    """A Client; `deliver_directly` changes nothing for other subscriptions."""

    def __init__(self) -> None:
        super().__init__()
        self._receivers: dict[int, Receiver] = {}

    def deliver_directly(self, subscription: Subscription, receiver: Receiver) -> None:
        """Hand the subscription's messages to `receiver` from now on."""
        self._receivers[subscription._id] = receiver  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above

    def deliver_as_usual(self, subscription: Subscription) -> None:
        """Undo `deliver_directly`."""
        self._receivers.pop(subscription._id, None)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above

    @override
    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        receiver = self._receivers.get(sid)
        if receiver is None:
            await super()._process_msg(sid, subject, reply, data, headers)  # type: ignore[arg-type]
        else:
            receiver(subject, reply, data, headers)
