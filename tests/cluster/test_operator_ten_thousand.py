"""One fleet of 10,000 devices out of ConfigMaps: how long, how much, and what is written."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from nats.js.errors import NotFoundError

from e2e.commands import kubectl
from support.operator_cluster import AS_INSTALLED, Document, OperatorSite, operator_at
from support.operator_fleets import applicable, routers_secret
from support.waiting import eventually

DEVICES = 10_000
CONFIG_MAPS = 5
EACH = DEVICES // CONFIG_MAPS
WRONG = 4_321
CHANGED = 7_777
TENANT = "huge"
INVENTORY = "KV_fleet-inventory"
TARGET_SECONDS = 60.0
MOST_STATUS_BYTES = 16_384


def _device(number: int) -> Document:
    return {
        "name": f"router-{number:05}",
        "address": f"10.{number // 62_500}.{number // 250 % 250}.{number % 250}",
        "labels": {"site": f"building {number // 100}, floor {number // 10 % 10}, room {number}"},
    }


def _config_map(which: int, rows: list[Document]) -> Document:
    text = json.dumps(rows)
    assert len(text) < 1 << 20, "no ConfigMap holds more"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"routers-{which}"},
        "data": {"devices.json": text},
    }


@dataclass
class Huge:
    """The fleet, and what the broker and the API server have of it."""

    site: OperatorSite
    rows: list[Document]

    def put(self, which: int) -> None:
        """Write one of the ConfigMaps; too large for the annotation of a client-side apply."""
        part = self.rows[which * EACH : (which + 1) * EACH]
        document = _config_map(which, part)
        kubectl(
            *("-n", self.site.namespace, "apply", "--server-side", "-f", "-"),
            stdin=json.dumps(document),
        )

    async def inventory(self) -> tuple[int, int]:
        """Records, and the sequence of the last write."""
        async with self.site.jetstream() as js:
            try:
                state = (await js.stream_info(INVENTORY)).state
            except NotFoundError:
                return 0, 0
            return state.messages, state.last_seq

    async def record(self, device: str) -> dict[str, Any]:
        async with self.site.jetstream() as js:
            bucket = await js.key_value(INVENTORY.removeprefix("KV_"))
            return json.loads((await bucket.get(f"{TENANT}.{device}")).value or b"{}")

    async def until_records(self, count: int) -> None:
        await eventually(
            self.inventory,
            lambda seen: seen[0] == count,
            deadline_seconds=3 * TARGET_SECONDS,
            every_seconds=0.25,
            what=f"{count} records",
        )

    async def until_written(self, after: int) -> None:
        await eventually(
            self.inventory,
            lambda seen: seen[1] > after,
            deadline_seconds=TARGET_SECONDS,
            every_seconds=0.25,
            what="a written record",
        )

    def status(self) -> dict[str, Any]:
        return self.site.get("rf", TENANT).get("status", {})

    async def writes(self) -> tuple[object, ...]:
        """Everything that tells of a write, wherever."""
        kubernetes = await self.site.service.metric("fleet_operator_kubernetes_writes_total")
        version = self.site.get("rf", TENANT)["metadata"]["resourceVersion"]
        return kubernetes, version, await self.inventory()


@pytest.mark.timeout(420)
async def test_ten_thousand_devices_are_there_within_a_minute_and_cost_only_what_changes(
    namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [_device(number) for number in range(DEVICES)]
    right = rows[WRONG]
    rows[WRONG] = {"name": right["name"], "adress": right["address"]}
    source = [{"configMapRef": {"name": f"routers-{which}"}} for which in range(CONFIG_MAPS)]
    with operator_at([namespace], tmp_path, AS_INSTALLED) as site:
        huge = Huge(site, rows)
        site.apply(routers_secret())
        for which in range(CONFIG_MAPS):
            huge.put(which)
        await site.passes(1)
        process = psutil.Process(site.service.pid)
        cpu_before, began = sum(process.cpu_times()[:2]), time.monotonic()
        site.apply(applicable(TENANT, devices=[], devicesFrom=source))
        await huge.until_records(DEVICES - 1)
        records_after = time.monotonic() - began
        status = await site.until(
            huge.status,
            lambda seen: seen.get("devices", {}).get("total") == DEVICES - 1,
            what="a status that counts them",
        )
        status_after = time.monotonic() - began
        cpu_start = sum(process.cpu_times()[:2]) - cpu_before

        # One wrong row is named; the others stand.
        found = await site.until_condition(TENANT, "InventoryValid", "False", text=right["name"])
        assert found["reason"] == "MalformedDevice"
        assert f"row {WRONG % EACH + 1}" in found["message"]
        assert status["devices"]["invalid"] == 1
        await site.until_condition(TENANT, "Ready", "True")

        # Nothing is written while nothing changes; figures come some time after the rest.
        await site.until(
            huge.status,
            lambda seen: seen["devices"].get("up") is not None,
            what="the first count of devices",
        )
        await _settle(huge)
        before, at, cpu_before = (
            await huge.writes(),
            time.monotonic(),
            sum(process.cpu_times()[:2]),
        )
        await site.passes_for(45)
        used = (sum(process.cpu_times()[:2]) - cpu_before) / (time.monotonic() - at)
        assert await huge.writes() == before

        # One device of one ConfigMap is one write.
        _, sequence = await huge.inventory()
        rows[CHANGED] = {**rows[CHANGED], "address": "192.0.2.1"}
        changed_at = time.monotonic()
        huge.put(CHANGED // EACH)
        await huge.until_written(sequence)
        change_after = time.monotonic() - changed_at
        await site.passes(2)
        assert await huge.inventory() == (DEVICES - 1, sequence + 1)
        assert (await huge.record(rows[CHANGED]["name"]))["address"] == "192.0.2.1"

        # And the row that is put right is one more.
        rows[WRONG] = right
        huge.put(WRONG // EACH)
        await site.until_condition(TENANT, "InventoryValid", "True")
        await huge.until_records(DEVICES)
        assert await huge.inventory() == (DEVICES, sequence + 2)
        size = len(json.dumps(huge.status()))
        resident = process.memory_info().rss
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what this test is for
            f"\n{DEVICES} devices in {CONFIG_MAPS} ConfigMaps: inventory after "
            f"{records_after:.1f} s, status after {status_after:.1f} s (target "
            f"{TARGET_SECONDS:.0f} s) with {cpu_start:.1f} s of CPU; status of {size} bytes "
            f"(target {MOST_STATUS_BYTES}); at rest {used:.2%} of a core and no write; one device "
            f"changed: one write after {change_after:.1f} s; {resident / 1e6:.0f} MB resident"
        )
    assert status_after < TARGET_SECONDS
    assert size < MOST_STATUS_BYTES


async def _settle(huge: Huge) -> None:
    """Until two looks, some passes apart, see nothing written: the start is over."""
    last: tuple[object, ...] = ()
    for _ in range(10):
        await huge.site.passes(2)
        before, last = last, await huge.writes()
        if before == last:
            return
    raise AssertionError(f"it goes on writing: {last}")
