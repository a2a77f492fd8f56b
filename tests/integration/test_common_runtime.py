"""The life of a service process: how it starts, stops and fails."""

import asyncio
import signal
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from fleet_common.runtime import unless_stopped
from support.ports import free_port
from support.processes import ServiceProcess, service_process
from support.waiting import eventually

TESTS = Path(__file__).resolve().parents[1]


@contextmanager
def sample(directory: Path, behaviour: str = "wait", **settings: str) -> Generator[ServiceProcess]:
    environment = {"PYTHONPATH": str(TESTS), "FLEET_SAMPLE__BEHAVIOUR": behaviour, **settings}
    with service_process("support.sample_service", environment, directory) as service:
        yield service


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_service_well(tmp_path: Path, number: signal.Signals) -> None:
    with sample(tmp_path) as service:
        await service.ready()
        service.signal(number)
        assert await service.exit_code(8) == 0
    messages = [record["message"] for record in service.log_records()]
    assert messages[0] == "settings"
    assert messages[-2:] == ["stopping", "stopped"]
    assert "hunter2" not in service.log_text()


async def test_metrics_health_and_readiness_are_served(tmp_path: Path) -> None:
    with sample(tmp_path) as service:
        await service.ready()
        health = await service.get("/healthz")
        assert health is not None
        assert health.status_code == 200
        assert health.json() == {"well": True, "failing": {}, "passing": ["told"]}
        alive = await service.get("/livez")
        assert alive is not None
        assert (alive.status_code, alive.json()) == (200, health.json())
        assert await service.metric("fleet_sample_starts_total") == 1
        assert await service.stop() == 0


async def test_the_date_of_an_answer_goes_on(tmp_path: Path) -> None:
    with sample(tmp_path) as service:
        await service.ready()

        async def seconds_behind() -> float:
            answer = await service.get("/readyz")
            assert answer is not None
            return time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp()

        first = time.time()
        while time.time() - first < 2.5:
            assert -1 < await seconds_behind() < 2.5
            await asyncio.sleep(0.2)
        assert await service.stop() == 0


async def test_a_failing_check_makes_health_red_with_its_reason(tmp_path: Path) -> None:
    with sample(tmp_path, FLEET_SAMPLE__COUNT="0") as service:
        await service.ready()
        health = await service.get("/healthz")
        assert health is not None
        assert health.status_code == 503
        assert health.json()["failing"] == {"told": "the count is nothing"}
        alive = await service.get("/livez")
        assert alive is not None
        assert (alive.status_code, alive.json()) == (503, health.json())


async def test_a_service_that_is_done_ends_well_by_itself(tmp_path: Path) -> None:
    with sample(tmp_path, "return") as service:
        assert await service.exit_code() == 0


@pytest.mark.parametrize(
    ("behaviour", "bug"),
    [
        ("raise", "RuntimeError: a bug in the service"),
        ("task-raises", "ValueError: a bug in a task"),
    ],
)
async def test_a_bug_ends_the_process_for_its_supervisor_to_start_anew(
    tmp_path: Path, behaviour: str, bug: str
) -> None:
    with sample(tmp_path, behaviour) as service:
        assert await service.exit_code() == 1
    failure = next(record for record in service.log_records() if record["level"] == "ERROR")
    assert bug in failure["exc_info"]


async def test_a_setting_found_wrong_while_starting_is_said_without_a_traceback(
    tmp_path: Path,
) -> None:
    with sample(tmp_path, "refuse") as service:
        assert await service.exit_code() == 2
    failure = next(record for record in service.log_records() if record["level"] == "ERROR")
    assert failure["reason"] == "FLEET_SAMPLE__COUNT: cannot be used"
    assert "Traceback" not in service.log_text()


async def test_bad_settings_are_said_in_plain_text(tmp_path: Path) -> None:
    with sample(tmp_path, FLEET_SAMPLE__COUNT="many", FLEET_SAMPLE__PASSWRD="hunter3") as service:
        assert await service.exit_code() == 2
    text = service.log_text()
    assert text.startswith("settings are wrong:\n")
    assert "FLEET_SAMPLE__COUNT: Input should be a valid integer" in text
    assert "it is 'many'" in text
    assert "FLEET_SAMPLE__PASSWRD: no such setting" in text
    assert "hunter" not in text
    assert "Traceback" not in text


async def test_a_taken_admin_port_names_the_setting(tmp_path: Path) -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)),
        sample(tmp_path, FLEET_ADMIN__PORT=str(port)) as service,
    ):
        assert await service.exit_code() == 2
    failure = next(r for r in service.log_records() if r["message"] == "cannot start")
    assert f"FLEET_ADMIN__PORT: cannot listen on 127.0.0.1:{port}" in failure["reason"]


async def test_port_0_turns_the_endpoint_off(tmp_path: Path) -> None:
    with sample(tmp_path, FLEET_ADMIN__PORT="0") as service:
        await eventually(
            service.log_text, lambda text: "settings" in text, what="start of the sample"
        )
        assert await service.stop() in {0, -signal.SIGTERM}
        assert await service.get("/healthz") is None


@pytest.mark.parametrize("behaviour", ["ignore-stop", "block"])
async def test_what_does_not_stop_is_ended_at_the_deadline(tmp_path: Path, behaviour: str) -> None:
    with sample(tmp_path, behaviour, FLEET_RUNTIME__GRACE_SECONDS="1") as service:
        await service.ready()
        if behaviour == "block":
            await eventually(
                lambda: service.get("/readyz"),
                lambda answer: answer is None,
                deadline_seconds=20,
                what="event loop blocked",
            )
        started = time.monotonic()
        service.signal(signal.SIGTERM)
        assert await service.exit_code(8) == 1
        assert time.monotonic() - started >= 0.9
    assert "did not stop within its grace period" in service.log_text()


async def test_a_broker_that_was_never_there_does_not_keep_it_from_stopping(
    tmp_path: Path,
) -> None:
    broker = f"nats://127.0.0.1:{free_port()}"
    with sample(tmp_path, "connect", FLEET_NATS__URL=broker) as service:
        await eventually(
            lambda: service.get("/healthz"), lambda answer: answer is not None, what="start"
        )
        assert await service.stop(8) == 0


async def test_a_trace_collector_that_is_away_does_not_keep_it_from_stopping(
    tmp_path: Path,
) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}/v1/traces"
    with sample(tmp_path, FLEET_TRACING__ENDPOINT=endpoint) as service:
        await service.ready()
        assert await service.stop(8) == 0


async def test_work_is_given_up_when_the_stop_comes_first() -> None:
    stop = asyncio.Event()
    ended = asyncio.Event()

    async def endless() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 1

    asyncio.get_running_loop().call_later(0.05, stop.set)
    async with asyncio.timeout(5):
        assert await unless_stopped(stop, endless()) is None
    assert ended.is_set()


async def test_work_that_ends_first_gives_its_result_or_its_error() -> None:
    async def result() -> int:
        return 7

    async def failure() -> int:
        raise ValueError("why")

    assert await unless_stopped(asyncio.Event(), result()) == 7
    with pytest.raises(ValueError, match="why"):
        await unless_stopped(asyncio.Event(), failure())
