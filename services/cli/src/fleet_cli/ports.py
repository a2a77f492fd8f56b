"""Ports that stay the same from run to run, below those of outgoing connections."""

import socket
import zlib
from collections.abc import Collection, Iterator, Mapping

from fleet_common.errors import ConfigurationError

FIRST_PORT = 10_000
LAST_PORT = 31_999
"""From 32768 on the system gives ports to outgoing connections."""
LOOPBACK = "127.0.0.1"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        # Connections of the last run in TIME_WAIT do not count: servers ignore them too.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose_port(name: str, salt: str, kept: Mapping[str, int], taken: Collection[int]) -> int:
    """The kept port of `name`, or a free one that depends on name and salt only.

    `salt` (the folder's path) keeps two folders apart. Raises ConfigurationError when
    nothing is free.
    """
    wanted = kept.get(name)
    if wanted is not None and wanted not in taken and is_free(wanted):
        return wanted
    for port in _candidates(f"{salt}:{name}"):
        if port not in taken and is_free(port):
            return port
    raise ConfigurationError(f"no free port on {LOOPBACK} between {FIRST_PORT} and {LAST_PORT}")


def choose_range(
    name: str, salt: str, count: int, kept: Mapping[str, int], taken: Collection[int]
) -> int:
    """The first of `count` free ports in a row; the kept one where it still is free."""
    wanted = kept.get(name)
    if wanted is not None and _range_is_free(wanted, count, taken):
        return wanted
    for first in _candidates(f"{salt}:{name}"):
        if _range_is_free(first, count, taken):
            return first
    raise ConfigurationError(
        f"no {count} free ports in a row on {LOOPBACK} between {FIRST_PORT} and {LAST_PORT}; "
        "use fewer --devices"
    )


def _range_is_free(first: int, count: int, taken: Collection[int]) -> bool:
    ports = range(first, first + count)
    return ports[-1] <= LAST_PORT and all(port not in taken and is_free(port) for port in ports)


def _candidates(text: str) -> Iterator[int]:
    span = LAST_PORT - FIRST_PORT + 1
    start = zlib.crc32(text.encode()) % span
    for step in range(span):
        yield FIRST_PORT + (start + step) % span
