"""Free loopback ports below the ephemeral range, so that no outgoing connection takes them."""

import os
import socket
from itertools import count

_FIRST, _LAST = 10_000, 32_000
_attempts = count()


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nothing listens now; each worker process searches from its own place."""
    span = _LAST - _FIRST
    for _ in range(span):
        port = _FIRST + (os.getpid() * 97 + next(_attempts) * 13) % span
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port between {_FIRST} and {_LAST} on {host}")
