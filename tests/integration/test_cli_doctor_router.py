"""The doctor at a router: every step against one that speaks the real protocol."""

import asyncio
import json
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, StreamConfig

from fleet_cli.doctor.broker import check_nats
from fleet_cli.doctor.postgres import check_database
from fleet_cli.doctor.result import Grade, Result
from fleet_cli.doctor.router import RouterTarget, check_router
from fleet_cli.nats_process import server_binary
from fleet_common.fleet_spec import TlsMode
from fleet_common.settings import NatsSection
from fleet_poller.routeros.session import Credentials
from fleet_poller.routeros.tls import Tls
from fleet_simulator.faults import Fault, FaultRule
from fleet_simulator.server import Endpoint
from support.demo import routerfleet
from support.nats import NatsServer
from support.ports import free_port
from support.routers import fixed_router
from support.simulator import simulate


def target(endpoint: Endpoint, password: str | None = None) -> RouterTarget:
    credentials = Credentials(endpoint.username, password or endpoint.password)
    return RouterTarget(endpoint.address, endpoint.port, Tls(TlsMode.PLAIN), credentials)


def grades(results: list[Result]) -> list[tuple[str, Grade]]:
    return [(result.name, result.grade) for result in results]


@pytest.mark.parametrize("version", [(7, 20, 1), (6, 40, 9)])
async def test_a_well_router_passes_every_step(version: tuple[int, int, int]) -> None:
    async with simulate(fixed_router("core-1", version=version)) as simulator:
        results = await check_router(target(simulator.endpoint("core-1")))
    assert grades(results)[:3] == [
        ("router tcp", Grade.OK),
        ("router login", Grade.OK),
        ("router read", Grade.OK),
    ]
    assert "RB5009" in results[2].seen
    assert ".".join(map(str, version)) in results[2].seen


async def test_a_wrong_password_stops_at_the_login() -> None:
    async with simulate(fixed_router("core-1")) as simulator:
        results = await check_router(target(simulator.endpoint("core-1"), "wrong-password"))
    assert grades(results) == [("router tcp", Grade.OK), ("router login", Grade.FAIL)]
    assert "user and password" in results[1].advice


async def test_a_closed_port_stops_at_tcp() -> None:
    place = RouterTarget("127.0.0.1", free_port(), Tls(), Credentials("admin", "x"))
    results = await check_router(place)
    assert grades(results) == [("router tcp", Grade.FAIL)]
    assert "/ip/service/enable api" in results[0].advice


@pytest.mark.parametrize("host", ["router..lan", f"{'r' * 64}.lan"])
async def test_a_name_that_is_none_stops_at_tcp(host: str) -> None:
    (result,) = await check_router(RouterTarget(host, 8728, Tls(), Credentials("admin", "x")))
    assert (result.name, result.grade) == ("router tcp", Grade.FAIL)
    assert host in result.seen


async def test_a_router_that_ends_the_session_fails_the_read() -> None:
    fault = FaultRule(Fault.CUT, devices=("core-1",))
    async with simulate(fixed_router("core-1"), faults=[fault]) as simulator:
        results = await check_router(target(simulator.endpoint("core-1")))
    assert results[-1].grade is Grade.FAIL


async def test_the_command_prints_json_and_exits_with_1_when_a_check_fails(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    await asyncio.to_thread(secret.write_text, "nobody-has-this\n")
    async with simulate(fixed_router("core-1")) as simulator:
        place = simulator.endpoint("core-1")
        code, output, errors = await routerfleet(
            "doctor",
            "--json",
            "--router",
            f"{place.address}:{place.port}",
            "--password-file",
            str(secret),
            "--data-dir",
            str(tmp_path / "data"),
        )
    assert code == 1, errors
    document = json.loads(output)
    assert document["ok"] is False
    failed = [check["name"] for check in document["checks"] if check["grade"] == "fail"]
    assert failed == ["router login"]


async def test_a_broker_is_described_and_one_that_is_away_fails(nats_server: NatsServer) -> None:
    results = await check_nats(NatsSection(url=nats_server.url))
    assert results[0].grade is Grade.OK
    assert ("jetstream streams", Grade.WARN) in grades(results)
    nats_server.stop()
    (away,) = await check_nats(NatsSection(url=nats_server.url, connect_timeout_seconds=0.5))
    assert away.grade is Grade.FAIL
    assert "no NATS server at" in away.seen
    assert "Connect call failed" in away.seen


@pytest.mark.parametrize("url", ["nats://127.0.0.1:99999", ""])
async def test_an_address_that_is_none_fails(url: str) -> None:
    (result,) = await check_nats(NatsSection(url=url))
    assert (result.name, result.grade) == ("nats", Grade.FAIL)
    assert "invalid" in result.seen


async def test_a_broker_without_jetstream_is_told_to_turn_it_on(nats_server: NatsServer) -> None:
    config = nats_server.directory / "nats.conf"
    nats_server.stop()
    await asyncio.to_thread(config.write_text, f"host: 127.0.0.1\nport: {nats_server.port}\n")
    process = await asyncio.create_subprocess_exec(
        *nats_command(config), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        results = await check_nats(NatsSection(url=nats_server.url, request_timeout_seconds=1))
    finally:
        process.kill()
        await process.wait()
    assert grades(results) == [("nats", Grade.OK), ("jetstream", Grade.FAIL)]


async def test_broker_settings_that_are_wrong_fail_beside_the_other_checks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLEET_NATS__CONNECT_TIMEOUT_SECONDS", "soon")
    code, output, errors = await routerfleet(
        "doctor", "--json", "--nats", "nats://127.0.0.1:4222", "--data-dir", str(tmp_path / "data")
    )
    assert code == 1, errors
    failed = [check for check in json.loads(output)["checks"] if check["grade"] == "fail"]
    assert [check["name"] for check in failed] == ["nats"]
    assert "FLEET_NATS__CONNECT_TIMEOUT_SECONDS" in failed[0]["seen"]


async def test_events_tail_says_in_a_line_what_the_broker_refuses(
    nats_server: NatsServer, nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    js = nats_client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    await js.add_stream(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        StreamConfig(
            name="FLEET_south", subjects=["fleet.south.*.*"], max_bytes=1 << 20, max_consumers=1
        )
    )
    await js.add_consumer("FLEET_south", ConsumerConfig(durable_name="the-only-one"))  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    for name in ("TOKEN", "USER", "PASSWORD"):
        monkeypatch.delenv(f"FLEET_NATS__{name}", raising=False)
    tail = ("events", "tail", "--nats", nats_server.url, "--limit", "1")
    code, output, errors = await routerfleet(*tail)
    assert (code, output) == (1, "")
    assert "maximum consumers limit reached" in errors
    assert "Traceback" not in errors
    code, output, errors = await routerfleet(*tail, "--tenant", "north")
    assert (code, output) == (2, "")
    assert "it has: south" in errors


def nats_command(config: Path) -> list[str]:
    return [str(server_binary()), "-c", str(config)]


async def test_a_database_that_is_away_fails_with_what_to_check() -> None:
    (result,) = await check_database(f"postgresql://fleet@127.0.0.1:{free_port()}/fleet")
    assert result.grade is Grade.FAIL
    assert "pg_hba.conf" in result.advice
