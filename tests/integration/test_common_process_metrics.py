"""What each service tells of its own process."""

import asyncio

import httpx
from starlette.applications import Starlette

from fleet_cli.scrape import parse_metrics
from fleet_common.admin import admin_routes
from fleet_common.health import Health
from fleet_common.metrics import MetricSet
from fleet_common.process_metrics import TASKS, TaskCollector


async def test_tasks_that_begin_and_end_are_counted_beside_files_and_memory() -> None:
    app = Starlette(routes=admin_routes(Health(), MetricSet()))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:

        async def read() -> dict[str, float]:
            answer = await client.get("/metrics")
            return {name: value for (name, _), value in parse_metrics(answer.text).items()}

        before = await read()
        end = asyncio.Event()
        waiting = [asyncio.create_task(end.wait()) for _ in range(7)]
        during = await read()
        end.set()
        await asyncio.gather(*waiting)
        after = await read()
    assert during[TASKS] == before[TASKS] + 7
    assert after[TASKS] == before[TASKS]
    assert before["process_open_fds"] > 0
    assert before["process_resident_memory_bytes"] > 1_000_000


def test_without_an_event_loop_there_is_nothing_to_count() -> None:
    assert list(TaskCollector().collect()) == []
