"""The API server goes and comes, watches expire or fall deaf, writes conflict: all is found."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.kube_recorder import KubeRecorder, kube_recorder
from support.operator_cluster import OperatorSite, operator_at
from support.operator_fleets import applicable, routers_secret


@dataclass
class Troubled:
    """An operator whose way to the API server can be made bad."""

    site: OperatorSite
    proxy: KubeRecorder

    def devices(self, name: str, *devices: str) -> None:
        self.site.patch(
            "rf", name, {"spec": {"devices": [{"name": one, "address": "h"} for one in devices]}}
        )

    async def until_devices(self, name: str, *devices: str, seconds: float = 45.0) -> None:
        await self.site.until(
            lambda: asyncio.run(self.site.keys("fleet-inventory", name)),
            lambda keys: keys == sorted(devices),
            what=f"devices {devices}",
            seconds=seconds,
        )

    async def healthy(self) -> bool:
        answer = await self.site.service.get("/healthz")
        return answer is not None and answer.status_code == 200


@pytest.fixture
async def troubled(kubeconfig: Path, namespace: str, tmp_path: Path) -> AsyncGenerator[Troubled]:
    async with kube_recorder(kubeconfig, tmp_path) as proxy:
        settings = {"KUBECONFIG": str(proxy.kubeconfig)}
        with operator_at([namespace], tmp_path, settings) as site:
            await asyncio.to_thread(site.apply, routers_secret())
            yield Troubled(site, proxy)
            proxy.away = proxy.deaf = False
            await asyncio.to_thread(site.delete_fleets)


async def test_an_api_server_that_was_away_is_taken_up_again(troubled: Troubled) -> None:
    troubled.site.apply(applicable("cut"))
    await troubled.until_devices("cut", "r0", "r1")
    troubled.proxy.cut()
    troubled.devices("cut", "later")
    passes = await troubled.site.passed()
    await troubled.site.passes(8)
    assert await troubled.site.keys("fleet-inventory", "cut") == ["r0", "r1"]
    assert await troubled.healthy()
    assert await troubled.site.passed() > passes
    troubled.proxy.away = False
    await troubled.until_devices("cut", "later")


async def test_watches_that_expire_are_begun_anew(troubled: Troubled) -> None:
    troubled.site.apply(applicable("expires"))
    await troubled.until_devices("expires", "r0", "r1")
    troubled.proxy.expired = 6
    troubled.proxy.cut()
    troubled.proxy.away = False
    await troubled.site.until(
        lambda: troubled.proxy.expired, lambda left: left == 0, what="expired watches"
    )
    troubled.devices("expires", "later")
    await troubled.until_devices("expires", "later")


async def test_what_deaf_watches_do_not_tell_is_found_and_they_are_begun_anew(
    troubled: Troubled,
) -> None:
    troubled.site.apply(applicable("deaf"))
    await troubled.until_devices("deaf", "r0", "r1")
    troubled.proxy.deaf = True
    for round_ in range(8):
        troubled.devices("deaf", f"n{round_}")
        await troubled.until_devices("deaf", f"n{round_}", seconds=20)
        if await troubled.site.service.metric("fleet_operator_watch_restarts_total"):
            break
    assert await troubled.site.service.metric("fleet_operator_watch_restarts_total") >= 1
    assert await troubled.site.service.metric("fleet_operator_missed_changes_total") >= 3


async def test_writes_that_conflict_are_tried_again(troubled: Troubled) -> None:
    troubled.proxy.conflicts = 4
    troubled.site.apply(applicable("conflict"))
    await troubled.site.until_condition("conflict", "Ready", "True")
    assert troubled.proxy.conflicts == 0


async def test_a_burst_of_other_objects_holds_no_change_up(namespace: str, tmp_path: Path) -> None:
    settings = {"FLEET_OPERATOR__RESYNC_SECONDS": "600"}
    with operator_at([namespace], tmp_path, settings) as site:
        source = [{"configMapRef": {"name": "rows"}}]
        rows = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rows"}}
        site.apply(
            routers_secret(),
            {**rows, "data": {"rows.yaml": "- {name: first, address: h}"}},
            applicable("prompt", devices=[], devicesFrom=source),
        )
        await site.until_condition("prompt", "Ready", "True")
        others = [{**rows, "metadata": {"name": f"other-{number}"}} for number in range(200)]
        await asyncio.to_thread(site.apply, *others)
        site.apply({**rows, "data": {"rows.yaml": "- {name: later, address: h}"}})
        await site.until(
            lambda: asyncio.run(site.keys("fleet-inventory", "prompt")),
            lambda keys: keys == ["later"],
            what="the change",
            seconds=10,
        )
