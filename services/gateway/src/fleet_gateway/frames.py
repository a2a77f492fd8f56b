"""SSE frames as bytes, built once and shared by every client that gets them.

Format: WHATWG HTML, "Server-sent events". A block with an id and no data moves the
client's Last-Event-ID without an event; heartbeats use that.
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
    """`snapshot-end`, `reset`, `bye`: what the gateway itself says."""
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


def heartbeat_frame(id_line: bytes) -> bytes:
    """A comment that keeps proxies from closing the connection, and the position so far."""
    return b": heartbeat\n" + id_line + b"\n"


def http_chunk(payload: bytes) -> bytes:
    """`payload` as one chunk of HTTP/1.1 chunked encoding (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)
