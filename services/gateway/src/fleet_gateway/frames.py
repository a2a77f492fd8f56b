"""SSE frames as bytes, built once and shared by every client that gets them.

Format: WHATWG HTML, "Server-sent events". Each block is an event by name: a kind (`status`, …)
with a live event, and of the gateway's own

    snapshot       a device's latest events
    snapshot-end   the snapshots before it are all; from its id on come live events
    reset          what follows takes the place of events that cannot be had any more
    gone           a device left its fleet
    heartbeat      nothing else to say; {"every_seconds"} tells when to expect the next one
    bye            the gateway ends the connection, and why

An id stands with live events, `snapshot-end` and `heartbeat`: a browser sends the last one it saw
as Last-Event-ID. A heartbeat is an event and no comment: EventSource shows comments to nobody,
and a page must be able to tell a quiet stream from a dead one.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from fleet_contracts.subjects import Kind

_PREFIX: Final = {kind: b"event: " + kind.value.encode() + b"\ndata: " for kind in Kind}
_SNAPSHOT: Final = b"event: snapshot\ndata: "


def event_frame(kind: Kind, data: bytes) -> bytes:
    """A live event without its id line; `data` is JSON on one line."""
    return _PREFIX[kind] + data + b"\n\n"


def frame_data(kind: Kind, frame: bytes) -> bytes:
    """The JSON inside a frame of `event_frame`."""
    return frame[len(_PREFIX[kind]) : -2]


def control_frame(name: str, body: Mapping[str, Any], id_line: bytes = b"") -> bytes:
    """`snapshot-end`, `reset`, `heartbeat`, `bye`: what the gateway itself says."""
    return id_line + b"event: " + name.encode() + b"\ndata: " + orjson.dumps(body) + b"\n\n"


def snapshot_frame(data: bytes) -> bytes:
    """One device's latest events, without an id: only `snapshot-end` moves the position."""
    return _SNAPSHOT + data + b"\n\n"


def snapshot_data(frame: bytes) -> bytes:
    """The JSON inside a frame of `snapshot_frame`."""
    return frame[len(_SNAPSHOT) : -2]


def retry_frame(milliseconds: int) -> bytes:
    """How long a client waits before it connects again."""
    return f"retry: {milliseconds}\n\n".encode()


def heartbeat_frame(every_seconds: float, id_line: bytes) -> bytes:
    """Keeps proxies from closing the connection, and tells the position so far."""
    return control_frame("heartbeat", {"every_seconds": every_seconds}, id_line)


def http_chunk(payload: bytes) -> bytes:
    """`payload` as one chunk of HTTP/1.1 chunked encoding (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)
