"""`kubectl port-forward`, made anew when the pod behind it is."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Generator

from support.ports import free_port

_OPEN_SECONDS = 30.0


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def forwarded(namespace: str, target: str, remote_port: int) -> Generator[int]:
    """A loopback port that leads to `svc/NAME`, `deploy/NAME` or `pod/NAME` for a block."""
    deadline = time.monotonic() + _OPEN_SECONDS
    said = ""
    while time.monotonic() < deadline:
        port = free_port()
        process = subprocess.Popen(  # noqa: S603 - kubectl with our own arguments
            ["kubectl", "-n", namespace, "port-forward", target, f"{port}:{remote_port}"],  # noqa: S607 - the one on PATH
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while process.poll() is None and time.monotonic() < deadline:
                if _listens(port):
                    yield port
                    return
                time.sleep(0.1)
        finally:
            process.terminate()
            _, said = process.communicate(timeout=10)
        time.sleep(0.5)
    raise AssertionError(f"no way to {target}:{remote_port} in {namespace}: {said}")
