"""What stands between FastStream and nats-py."""

import time
from typing import cast

import pytest
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.errors import ServiceUnavailableError

from fleet_firmware.consumers import PacedSubscription


class FailingSubscription:
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def fetch(self, batch: int, timeout: float | None) -> list[Msg]:  # noqa: ASYNC109 - nats-py's signature
        del batch, timeout
        raise self.error


@pytest.mark.parametrize(
    ("error", "pauses"), [(ServiceUnavailableError(), True), (NatsTimeoutError(), False)]
)
async def test_a_consumer_that_is_gone_is_asked_with_pauses(
    *, error: Exception, pauses: bool
) -> None:
    inner = cast("JetStreamContext.PullSubscription", FailingSubscription(error))
    started = time.monotonic()
    with pytest.raises(type(error)):
        await PacedSubscription(inner).fetch(1, 5)
    assert (time.monotonic() - started > 0.9) is pauses


async def test_a_plain_time_out_is_nothing_there_and_ends_no_task() -> None:
    inner = cast("JetStreamContext.PullSubscription", FailingSubscription(TimeoutError()))
    with pytest.raises(NatsTimeoutError):
        await PacedSubscription(inner).fetch(1, 5)
