"""An API server and an etcd of one's own, on loopback: to be stopped, killed and compacted.

No controllers and no nodes: objects are stored, watched and checked, and nothing becomes of
them. Binaries are those on PATH or in the folder that KUBEBUILDER_ASSETS names.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2e.commands import run
from support.ports import free_port
from support.waiting import eventually

BINARIES: Final = ("kube-apiserver", "etcd")
_TOKEN: Final = "loopback"
_READY_SECONDS: Final = 40.0
_STOP_SECONDS: Final = 20.0


def find_binary(name: str) -> str | None:
    """Where it is; None when this machine has none."""
    folder = os.environ.get("KUBEBUILDER_ASSETS")  # noqa: TID251 - as envtest has it
    return shutil.which(name, path=folder) if folder else shutil.which(name)


@dataclass
class ApiServer:
    """Both servers' processes. `kubeconfig` is an administrator's."""

    directory: Path
    port: int = field(default_factory=free_port)
    etcd_port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(
        default_factory=dict[str, "subprocess.Popen[bytes]"]
    )

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    def prepare(self) -> None:
        """Keys and files; etcd runs from then on."""
        self.directory.mkdir(parents=True)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        (self.directory / "accounts.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        tokens = self.directory / "tokens.csv"
        tokens.write_text(f"{_TOKEN},admin,admin,system:masters\n", encoding="utf-8")
        self.kubeconfig.write_text(yaml.safe_dump(self._access()), encoding="utf-8")
        peer = f"http://127.0.0.1:{free_port()}"
        self._start(
            "etcd",
            *("--data-dir", str(self.directory / "etcd"), "--unsafe-no-fsync"),
            *("--listen-client-urls", self._etcd, "--advertise-client-urls", self._etcd),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
        )

    async def start(self, *, watch_cache: bool = True) -> None:
        """The API server, ready for requests.

        Without a watch cache etcd itself is watched: a watch from a revision that it has
        compacted is expired.
        """
        folder = self.directory
        keys = str(folder / "accounts.key")
        self._start(
            "kube-apiserver",
            *("--etcd-servers", self._etcd, f"--watch-cache={str(watch_cache).lower()}"),
            *("--bind-address", "127.0.0.1", "--secure-port", str(self.port)),
            *("--cert-dir", str(folder / "certificates")),
            *("--token-auth-file", str(folder / "tokens.csv"), "--authorization-mode", "RBAC"),
            *("--service-account-issuer", "https://loopback.invalid"),
            *("--service-account-key-file", keys, "--service-account-signing-key-file", keys),
            *("--service-cluster-ip-range", "10.96.0.0/16"),
            # Told to stop, it ends the watches; else it would wait for them for a minute.
            *("--shutdown-watch-termination-grace-period", "1s"),
        )
        await eventually(
            self._ready,
            bool,
            deadline_seconds=_READY_SECONDS,
            every_seconds=0.2,
            what=f"the API server ready\n{self.log_text()[-2000:]}",
        )

    def stop(self, number: signal.Signals) -> None:
        """End the API server with this signal; returns when it has ended."""
        _end(self.processes.pop("kube-apiserver"), number)

    def compact(self) -> int:
        """Let etcd forget everything but what is there now; returns the revision.

        First another one is made: what was watched up to now is not the newest any more.
        """
        made = self._etcd_call("kv/put", {"key": _text("elsewhere"), "value": _text("x")})
        revision = int(made["header"]["revision"])
        self._etcd_call("kv/compaction", {"revision": str(revision), "physical": True})
        return revision

    def expired(self, path: str, version: str) -> bool:
        """Whether a watch of a collection from this resource version is refused with 410."""
        watch = f"{path}?watch=true&timeoutSeconds=1&resourceVersion={version}"
        said = run((*self._kubectl, "get", "--raw", watch), seconds=10, check=False)
        return '"code":410' in said.stdout + said.stderr or "too old" in said.stderr

    def change_spec(self, key: str, change: Mapping[str, object]) -> None:
        """Change a custom resource where it is stored, as another API server would have it."""
        found = self._etcd_call("kv/range", {"key": _text(key)})
        document = json.loads(base64.b64decode(found["kvs"][0]["value"]))
        document["spec"].update(change)
        document["metadata"]["generation"] += 1
        self._etcd_call("kv/put", {"key": _text(key), "value": _text(json.dumps(document))})

    def close(self) -> None:
        for process in reversed(self.processes.values()):
            _end(process, signal.SIGKILL)
        self.processes.clear()

    def log_text(self) -> str:
        log = self.directory / "kube-apiserver.log"
        return log.read_text(encoding="utf-8", errors="replace")

    @property
    def _kubectl(self) -> tuple[str, ...]:
        return "kubectl", "--kubeconfig", str(self.kubeconfig)

    @property
    def _etcd(self) -> str:
        return f"http://127.0.0.1:{self.etcd_port}"

    def _start(self, name: str, *options: str) -> None:
        binary = find_binary(name)
        assert binary is not None, name
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(  # noqa: S603 - a server of the test's own
                [binary, *options], stdout=log, stderr=log
            )

    def _ready(self) -> bool:
        said = run((*self._kubectl, "get", "--raw", "/readyz"), seconds=10, check=False)
        return said.stdout == "ok"

    def _access(self) -> dict[str, Any]:
        cluster = {
            "server": f"https://127.0.0.1:{self.port}",
            # Made by the server itself at its first start.
            "certificate-authority": str(self.directory / "certificates/apiserver.crt"),
        }
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "own",
            "clusters": [{"name": "own", "cluster": cluster}],
            "users": [{"name": "own", "user": {"token": _TOKEN}}],
            "contexts": [{"name": "own", "context": {"cluster": "own", "user": "own"}}],
        }

    def _etcd_call(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - a server of the test's own
            f"{self._etcd}/v3/{path}", json.dumps(body).encode(), method="POST"
        )
        with contextlib.closing(_opener.open(request, timeout=10)) as answer:
            return json.loads(answer.read())


_opener: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    process.send_signal(number)
    try:
        process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=5)


@contextlib.contextmanager
def api_server(directory: Path) -> Generator[ApiServer]:
    """etcd runs, the API server is started by `start`; both end in any case."""
    server = ApiServer(directory)
    server.prepare()
    try:
        yield server
    finally:
        server.close()
