"""Loopback ports that lead to pods of fixed names, made anew whenever a pod is."""

import subprocess
import threading
from types import TracebackType
from typing import Self

from support.ports import free_port

_AGAIN_SECONDS = 0.3


class PodWay:
    """`kubectl port-forward` to one pod for as long as the block lasts, however often it ends."""

    def __init__(self, namespace: str, pod: str, remote_port: int) -> None:
        self.port = free_port()
        self._command = ["kubectl", "-n", namespace, "port-forward", f"pod/{pod}"]
        self._command.append(f"{self.port}:{remote_port}")
        self._over = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._process is not None:
            self._process.terminate()
        self._thread.join(timeout=10)

    def _keep(self) -> None:
        while not self._over.is_set():
            with subprocess.Popen(  # noqa: S603 - kubectl with our own arguments
                self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            ) as process:
                self._process = process
                # Whatever it complains of, the pod behind it is another one or none.
                if process.stderr is not None:
                    process.stderr.readline()
                process.terminate()
            self._over.wait(_AGAIN_SECONDS)
