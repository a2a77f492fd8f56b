"""What the demo's own client of the event stream counts, and what a reset told it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from fleet_cli.sse_client import SseClient, ToldGap

URL = "http://gateway.invalid/api/v1/events"


def block(event: str, data: str, position: str | None = None) -> str:
    identifier = "" if position is None else f"id: {position}\n"
    return f"{identifier}event: {event}\ndata: {data}\n\n"


def status(sequence: int) -> str:
    data = f'{{"tenant":"north","device":"edge-1","kind":"status","slot_unix_ms":{sequence}}}'
    return block("status", data, f"north:{sequence}:e")


def snapshot(position: str, *tenants: str) -> str:
    names = ",".join(f'"{one}"' for one in tenants)
    return block("snapshot-end", f'{{"tenants":[{names}],"devices":1}}', position)


def reset(reason: str) -> str:
    return block("reset", f'{{"tenant":"north","reason":"{reason}","message":"…"}}')


class Connections(httpx.AsyncBaseTransport):
    """Answers each connection with the next text; refuses the last for ever."""

    def __init__(self, *texts: str) -> None:
        self._texts = list(texts)
        self.asked: list[str | None] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.headers.get("last-event-id"))
        if not self._texts:
            raise StopFollowingError
        return httpx.Response(200, stream=Body(self._texts.pop(0)))


class Body(httpx.AsyncByteStream):
    def __init__(self, text: str) -> None:
        self._text = text

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._text.encode()


class StopFollowingError(Exception):
    """Ends a client that follows for ever."""


async def follow(*texts: str) -> tuple[SseClient, Connections]:
    connections = Connections(*texts)
    client = SseClient(URL, transport=connections, reconnect_seconds=0.0)
    with pytest.raises(StopFollowingError):
        await client.run()
    return client, connections


async def test_a_reset_tells_of_what_lies_between_position_and_snapshot() -> None:
    client, connections = await follow(
        snapshot("north:10:e", "north") + status(11) + status(12),
        reset("discarded") + snapshot("north:40:e", "north") + status(41),
    )
    counts = client.counts
    assert counts.told == [ToldGap("north", "discarded", 13, 40)]
    assert counts.live_after == {"north": 10}
    assert [n for n in range(11, 42) if not counts.was_told("north", n)] == [11, 12, 41]
    assert not counts.was_told("south", 20)
    assert connections.asked == [None, "north:12:e", "north:41:e"]


async def test_a_heartbeat_moves_the_position_and_is_no_event() -> None:
    heartbeat = block("heartbeat", '{"every_seconds":15.0}', "north:19:e")
    client, connections = await follow(snapshot("north:10:e", "north") + status(11) + heartbeat)
    assert (client.counts.events, client.counts.seen) == (1, {"north": 19})
    assert connections.asked == [None, "north:19:e"]


async def test_a_snapshot_without_a_reset_tells_of_nothing() -> None:
    client, _ = await follow(
        snapshot("north:10:e", "north"), snapshot("north:40:e", "north") + status(41)
    )
    assert client.counts.told == []


async def test_a_reset_whose_snapshot_was_cut_off_tells_of_nothing() -> None:
    client, _ = await follow(
        snapshot("north:10:e", "north"),
        reset("discarded"),
        snapshot("north:40:e", "north"),
    )
    assert client.counts.resets == 1
    assert client.counts.told == []


async def test_of_a_stream_made_anew_everything_up_to_the_snapshot_is_told() -> None:
    client, _ = await follow(
        snapshot("north:90:e", "north"), reset("recreated") + snapshot("north:5:f", "north")
    )
    assert client.counts.told == [ToldGap("north", "recreated", 1, 5)]
