"""Events published and read all the time while something happens to the servers.

async with traffic(writer_js, reader_js, "fleet.alpha.r1.status", "FLEET_alpha") as flow:
    ...
flow.longest_pause()
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from itertools import pairwise

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from support.waiting import eventually

_EVERY_SECONDS = 0.02
_ANSWER_SECONDS = 2.0
_SETTLE_SECONDS = 45.0


@dataclass
class Flow:
    """What was acknowledged to the publisher, with the time of it, and what was read.

    `read`: by the stream's sequence. What was on its way while the consumer's leader changed comes
    a second time after the consumer's 30 s, and then later than what was published after it.
    """

    acknowledged: list[float] = field(default_factory=list[float])
    read: dict[int, int] = field(default_factory=dict[int, int])
    retries: int = 0

    def between(self, start: float, end: float) -> int:
        """Messages acknowledged in a span of monotonic time."""
        return sum(start <= one <= end for one in self.acknowledged)

    def longest_pause(self) -> float:
        """Seconds without an acknowledgement."""
        return max(after - before for before, after in pairwise(self.acknowledged))


@contextlib.asynccontextmanager
async def traffic(
    writer: JetStreamContext, reader: JetStreamContext, subject: str, stream: str
) -> AsyncGenerator[Flow]:
    """At the end everything that was acknowledged must be in the stream, once and in its order."""
    flow = Flow()
    ending = asyncio.Event()
    begin = time.monotonic_ns()
    consumer = f"reader-{begin}"
    # From the stream's first message on: what is of another flow is passed over.
    await reader.add_consumer(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        stream,
        ConsumerConfig(
            durable_name=consumer, ack_policy=AckPolicy.EXPLICIT, filter_subject=subject
        ),
    )
    tasks = [
        asyncio.create_task(_publish(writer, subject, flow, ending, begin)),
        asyncio.create_task(_read(reader, stream, consumer, flow, begin)),
    ]
    try:
        yield flow
        ending.set()
        await tasks[0]
        await eventually(
            lambda: len(set(flow.read.values())),
            lambda seen: seen == len(flow.acknowledged),
            deadline_seconds=_SETTLE_SECONDS,
            what=f"reading of {len(flow.acknowledged)} acknowledged messages",
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
    in_order = [flow.read[sequence] for sequence in sorted(flow.read)]
    assert in_order == list(range(len(flow.acknowledged)))


async def _publish(
    js: JetStreamContext, subject: str, flow: Flow, ending: asyncio.Event, begin: int
) -> None:
    number = 0
    while not ending.is_set():
        try:
            await js.publish(
                subject,
                b"%d" % number,
                timeout=_ANSWER_SECONDS,
                headers={"Nats-Msg-Id": f"{begin}-{number}"},
            )
        except (NatsError, TimeoutError, OSError):
            # As a poller does: again, under the same id, until it is acknowledged.
            flow.retries += 1
            await asyncio.sleep(_EVERY_SECONDS)
            continue
        flow.acknowledged.append(time.monotonic())
        number += 1
        await asyncio.sleep(_EVERY_SECONDS)


async def _read(js: JetStreamContext, stream: str, consumer: str, flow: Flow, begin: int) -> None:
    subscription = await js.pull_subscribe_bind(consumer, stream=stream)
    while True:
        try:
            for message in await subscription.fetch(50, timeout=1):
                own, _, number = (message.headers or {})["Nats-Msg-Id"].partition("-")
                if own == str(begin):
                    flow.read[message.metadata.sequence.stream] = int(number)
                await message.ack()
        except (NatsError, TimeoutError, OSError):
            await asyncio.sleep(_EVERY_SECONDS)
