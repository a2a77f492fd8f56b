"""`routerfleet demo` end to end: the routers' protocol, NATS, PostgreSQL, all services."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from fleet_cli.database import read_model
from fleet_cli.folder import Running
from support.demo import demo, routerfleet
from support.nats import connected

pytestmark = pytest.mark.timeout(240)

DEVICES, TENANTS = 12, 2
SMALL = ("--devices", str(DEVICES), "--tenants", str(TENANTS), "--interval", "1s", "--json")
SUMMARY_KEYS = {
    "devices_total",
    "devices_up",
    "tenants",
    "polls",
    "events",
    "rows",
    "stream_bytes",
    "sse_events",
    "unaccounted",
    "duplicates",
}


def assert_all_accounted_for(summary: dict[str, Any]) -> None:
    assert summary["problems"] == []
    assert (summary["unaccounted"], summary["duplicates"]) == (0, 0)
    assert summary["events"] > 0
    backlog = sum(account["backlog"] for account in summary["accounts"].values())
    dealt_with = summary["events_stored"] + summary["rejected"] + summary["lost"]
    assert dealt_with == summary["events"] + backlog


async def test_every_event_of_two_runs_is_accounted_for_although_the_writer_is_killed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    first = await _first_run(folder)
    async with demo(folder, *SMALL, "--seconds", "8", "--budget", "4MB") as run:
        await run.running()
        await run.said("measuring for")
        os.kill(run.pid_of("writer"), signal.SIGKILL)
        code, summary = await run.end()
    assert code == 0, run.progress()
    assert_all_accounted_for(summary)
    assert summary["restarts"] == 1
    assert "writer ended (signal 9)" in run.progress()
    assert summary["warm_start"] is True
    assert summary["first_device_seconds"] < 15
    # Rows of the first run are still there, and the streams are the same ones.
    assert summary["rows"] > first["rows"]
    assert summary["accounts"].keys() == first["accounts"].keys()
    assert all(account["published"] > 0 for account in summary["accounts"].values())
    # The plan follows the smaller budget, on the streams that hold the first run's events.
    assert summary["stream_max_bytes"] <= 4_000_000


async def _first_run(folder: Path) -> dict[str, Any]:
    """Ten seconds in a fresh folder, at a poll a second."""
    async with demo(folder, *SMALL, "--seconds", "10") as run:
        running = await run.running()
        secrets = {running.nats_token, running.database_url.split(":")[2].split("@")[0]}
        lines = [" ".join(psutil.Process(one.pid).cmdline()) for one in run.note_processes()]
        code, summary = await run.end()
        assert run.left_over() == []
    assert [line for line in lines if any(secret in line for secret in secrets)] == []
    assert code == 0, run.progress()
    assert summary.keys() >= SUMMARY_KEYS
    assert_all_accounted_for(summary)
    assert (summary["devices_total"], summary["devices_up"]) == (DEVICES, DEVICES)
    assert summary["tenants"] == TENANTS
    assert summary["polls"] >= 10 * DEVICES
    # What the routers say they answered, counted by themselves.
    assert summary["polls_answered"] == summary["polls"]
    assert summary["sse_events"] >= summary["polls"]
    assert summary["warm_start"] is False
    assert run.folder.started_processes() == ()
    assert run.folder.running() is None
    return summary


async def test_nothing_outlives_a_runner_that_is_killed_and_the_next_one_goes_on(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    async with demo(folder, *SMALL) as run:
        await run.running()
        await run.everybody_up(DEVICES)
        assert len(run.note_processes()) == 6 + TENANTS
        second, _, complaint = await routerfleet("demo", "--data-dir", str(folder))
        run.process.kill()
        await run.process.wait()
    # demo() waits for the end of all of its processes, and fails when one stays.
    assert run.left_over() == []
    assert second == 2
    assert "already uses" in complaint
    assert "--data-dir" in complaint
    code, _, errors = await routerfleet("events", "tail", "--data-dir", str(folder))
    assert code == 1
    assert "no demo runs" in errors
    async with demo(folder, *SMALL) as run:
        await run.everybody_up(DEVICES)
        code, summary = await run.interrupt()
    assert code == 0, run.progress()
    assert_all_accounted_for(summary)


async def test_two_signals_of_one_moment_are_one_request_and_a_later_one_ends_at_once(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    async with demo(folder, *SMALL) as run:
        await run.running()
        await run.everybody_up(DEVICES)
        run.process.send_signal(signal.SIGTERM)
        code, summary = await run.interrupt()
    assert code == 0, run.progress()
    assert_all_accounted_for(summary)
    async with demo(folder, *SMALL) as run:
        await run.running()
        await run.everybody_up(DEVICES)
        # What is stopped cannot end in order: the demo waits for it.
        os.kill(run.pid_of("writer"), signal.SIGSTOP)
        run.process.send_signal(signal.SIGINT)
        await run.said("stopping")
        hurried = "not waiting any longer"
        async with asyncio.timeout(20):
            while hurried not in run.progress():
                run.process.send_signal(signal.SIGINT)
                await asyncio.sleep(0.1)
        code, summary = await run.end()
    assert (code, summary) == (1, {}), run.progress()
    assert "ended at once, without accounts; data is kept" in run.progress()


async def test_a_running_demo_can_be_looked_at_and_ends_cleanly_at_ctrl_c(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    async with demo(folder, *SMALL) as run:
        running = await run.running()
        await run.everybody_up(DEVICES)
        await _publish_garbage(running, "fleet.tenant-1.nobody.status", b"\xff\xff\xff")
        events, tail, health = await asyncio.gather(
            _tail(folder, "--limit", "20", "--kind", "health", "--tenant", "tenant-2"),
            _tail(folder, "--limit", "1", "--device", "nobody"),
            routerfleet("doctor", "--json", "--data-dir", str(folder)),
        )
        devices = await _reachable(running)
        code, summary = await run.interrupt()
    assert code == 0, run.progress()
    assert [event["tenant"] for event in events] == ["tenant-2"] * 20
    assert all("health" in event for event in events)
    (rejected,) = tail
    assert rejected["subject"] == "fleet.tenant-1.nobody.status"
    assert "not a fleet.v1.Event" in rejected["rejected"]
    assert health[0] == 0, health[1]
    checks = {check["name"]: check["grade"] for check in json.loads(health[1])["checks"]}
    assert checks.keys() >= {"nats", "jetstream file storage", "postgresql", "migrations"}
    assert "fail" not in checks.values()
    assert devices == DEVICES
    assert summary["rejected"] == 1
    assert_all_accounted_for(summary)


async def _tail(folder: Path, *options: str) -> list[dict[str, Any]]:
    code, output, errors = await routerfleet(
        "events", "tail", "--since", "30s", "--json", "--data-dir", str(folder), *options
    )
    assert code == 0, errors
    return [json.loads(line) for line in output.splitlines()]


async def _publish_garbage(running: Running, subject: str, payload: bytes) -> None:
    async with connected(running.nats_url, token=running.nats_token) as client:
        await client.jetstream().publish(subject, payload)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely


async def _reachable(running: Running) -> int:
    async with read_model(running.database_url) as model:
        states = await model.devices(running.tenants)
    return sum(1 for state in states if state.reachable)


async def test_the_first_ctrl_c_counts_even_while_everything_starts(tmp_path: Path) -> None:
    async with demo(tmp_path / "data", *SMALL) as run:
        await run.said("making the database")
        code, _ = await run.interrupt()
    assert code == 0, run.progress()
    assert run.left_over() == []
