"""A PostgreSQL that hangs in a shutdown is ended and started again; one that starts is not."""

import asyncio
import os
import signal
from pathlib import Path

import asyncpg

from fleet_cli.database import is_shutting_down, server_version
from fleet_cli.folder import open_folder
from fleet_cli.postgres_process import NAME, PostgresPlan, prepare_postgres, wait_for_postgres
from fleet_cli.postgres_watch import PostgresWatch
from fleet_cli.restarts import RestartPolicy
from fleet_cli.supervisor import Supervisor
from fleet_common.errors import TransientError
from support.ports import free_port
from support.waiting import eventually


async def _answers(url: str) -> bool:
    try:
        await server_version(url)
    except TransientError:
        return False
    return True


async def test_a_postgres_that_stays_in_a_shutdown_is_started_again(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "demo")
    plan = PostgresPlan(free_port(), "a-password")
    warnings: list[str] = []
    supervisor = Supervisor(folder, warnings.append, RestartPolicy(first_delay=0.05))
    await supervisor.start(await prepare_postgres(folder, plan))
    watch = PostgresWatch(supervisor, plan.url, warnings.append, limit_seconds=1.0)
    watching = asyncio.create_task(watch.run())
    try:
        await wait_for_postgres(folder, plan)
        first = supervisor.pid(NAME)
        assert first is not None
        assert not await is_shutting_down(plan.url)

        # A smart shutdown waits for its clients, and this one does not leave.
        client = await asyncpg.connect(plan.url)
        os.kill(first, signal.SIGTERM)
        await eventually(lambda: is_shutting_down(plan.url), bool, what="refusing as shutting down")
        await eventually(
            lambda: supervisor.pid(NAME),
            lambda pid: pid not in {None, first},
            deadline_seconds=30,
            what="another process",
        )
        await eventually(lambda: _answers(plan.url), bool, deadline_seconds=30, what="an answer")
        client.terminate()
        second = supervisor.pid(NAME)
        await asyncio.sleep(1.5)  # longer than the limit: a well server is left alone
        assert supervisor.pid(NAME) == second
        assert any("has been shutting down for 1 s" in line for line in warnings)
    finally:
        watching.cancel()
        await supervisor.kill_all()
