"""A real API server that is stopped, killed and compacted under the operator's feet."""

import asyncio
import signal
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.conftest import CRDS
from e2e.commands import kubectl
from support.api_server import BINARIES, ApiServer, api_server, find_binary
from support.operator_cluster import OperatorSite, operator_at
from support.operator_fleets import applicable, routers_secret

_MISSING = [name for name in BINARIES if find_binary(name) is None]
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=f"needs {' and '.join(_MISSING)}")

_AWAY_SECONDS = 6.0
_SOON_SECONDS = 15.0
_MOST_WRITES = 12
_FLEETS = "/apis/routerfleet.io/v1alpha1/namespaces/fleets/routerfleets"
_WRITES = "fleet_operator_kubernetes_writes_total"


@dataclass
class OwnCluster:
    """An API server of the test's own, and an operator at work there."""

    server: ApiServer
    site: OperatorSite

    async def devices(self, fleet: str, *names: str, seconds: float = _SOON_SECONDS) -> float:
        """Wait until these are the fleet's devices in NATS; seconds that it took."""
        began = time.monotonic()
        await self.site.until(
            lambda: asyncio.run(self.site.keys("fleet-inventory", fleet)),
            lambda keys: keys == sorted(names),
            what=f"devices {names}",
            seconds=seconds,
        )
        return time.monotonic() - began

    def change(self, device: str) -> None:
        """Make it the only device."""
        spec = {"devices": [{"name": device, "address": "h"}]}
        self.site.patch("rf", "alpha", {"spec": spec})

    def change_elsewhere(self, device: str) -> None:
        """The same while this API server is away."""
        self.server.change_spec(
            "/registry/routerfleet.io/routerfleets/fleets/alpha",
            {"devices": [{"name": device, "address": "h"}]},
        )

    async def stays_well(self, seconds: float) -> None:
        """The process lives, says so, and passes on over its fleets, all the time."""
        passes = await self.site.passed()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = await self.site.service.get("/healthz")
            assert answer is not None
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.5)
        assert await self.site.passed() > passes

    async def writes(self) -> float:
        return await self.site.service.metric(_WRITES)


@pytest.fixture
async def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[OwnCluster]:
    with api_server(tmp_path / "cluster") as server:
        await server.start()
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        kubectl("create", "-f", str(CRDS))
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
        kubectl("create", "namespace", "fleets")
        with operator_at(["fleets"], tmp_path) as site:
            site.apply(routers_secret(), applicable("alpha"))
            await site.until_condition("alpha", "Ready", "True")
            yield OwnCluster(server, site)
            if "kube-apiserver" not in server.processes:
                await server.start()


async def test_the_operator_outlives_an_api_server_that_ends(own: OwnCluster) -> None:
    writes = await own.writes()
    own.server.stop(signal.SIGTERM)
    await own.stays_well(_AWAY_SECONDS)
    own.change_elsewhere("after-its-end")
    await own.server.start(watch_cache=False)
    await own.devices("alpha", "after-its-end")
    own.change("afterwards")
    await own.devices("alpha", "afterwards")

    seen = own.site.get("rf", "alpha")["metadata"]["resourceVersion"]
    own.server.stop(signal.SIGKILL)
    await own.stays_well(_AWAY_SECONDS)
    own.change_elsewhere("after-its-death")
    own.server.compact()
    await own.server.start(watch_cache=False)
    assert own.server.expired(_FLEETS, seen)
    await own.devices("alpha", "after-its-death")
    own.change("at-last")
    await own.devices("alpha", "at-last")

    await own.site.until_condition("alpha", "InventoryValid", "True", text="1 device")
    # Four changes, each in the status; the fleet's objects were as they should be all the time.
    assert await own.writes() - writes <= _MOST_WRITES
    assert "Traceback" not in own.site.service.log_text()
