"""The simulator as a process: what it prints and writes, how it serves and how it ends."""

import asyncio
import json
import signal
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from fleet_common.fleet_spec import DeviceSpec, TlsMode, load_fleet_file
from fleet_simulator.device import TlsMode as DeviceTls
from fleet_simulator.server import Endpoint
from support.ports import free_port
from support.rawapi import RawApi, raw_api

DEADLINE_SECONDS = 30.0


async def start(directory: Path, *options: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fleet_simulator"),
        *options,
        cwd=directory,
        stdout=PIPE,
        stderr=PIPE,
    )


@asynccontextmanager
async def running(directory: Path, *options: str) -> AsyncGenerator[tuple[Process, list[str]]]:
    """The process and the lines it printed up to the one that names the ledger."""
    process = await start(directory, *options)
    assert process.stdout is not None
    assert process.stderr is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not lines or not lines[-1].startswith("ledger"):
                line = await process.stdout.readline()
                assert line, (lines, (await process.stderr.read()).decode())
                lines.append(line.decode().rstrip())
        yield process, lines
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def finished(process: Process) -> tuple[int, str]:
    async with asyncio.timeout(DEADLINE_SECONDS):
        _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode()


def own_addresses() -> list[str]:
    """Options that give each device a loopback address, on a port nobody else uses there."""
    return ["--address-mode", "address", "--device-port", str(free_port())]


def secret(directory: Path, name: str, key: str) -> str:
    return (directory / "credentials" / name / key).read_text()


def context_for(device: DeviceSpec, directory: Path) -> ssl.SSLContext | None:
    mode = TlsMode.PLAIN if device.tls is None else device.tls.mode
    if mode is TlsMode.PLAIN:
        return None
    if mode is TlsMode.VERIFY:
        return ssl.create_default_context(cadata=secret(directory, "simulator-ca", "ca.crt"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if mode is TlsMode.ANONYMOUS:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ADH:@SECLEVEL=0")
    return context


@asynccontextmanager
async def session(directory: Path, tenant: str, device: DeviceSpec) -> AsyncGenerator[RawApi]:
    name = f"{tenant}-routers"
    endpoint = Endpoint(
        tenant,
        device.name,
        device.address,
        device.port or 0,
        secret(directory, name, "username"),
        secret(directory, name, "password"),
        DeviceTls.NONE,
    )
    async with raw_api(endpoint, tls=context_for(device, directory)) as api:
        yield api


async def test_fleet_is_served_as_the_fleet_file_says_and_ends_on_a_signal(tmp_path: Path) -> None:
    admin = free_port()
    options = ["--devices", "12", "--tenants", "3", "--tls", "mixed", *own_addresses()]
    options += ["--admin-port", str(admin), "--time-scale", "60", "--seed", "5"]
    async with running(tmp_path, *options) as (process, lines):
        fleets = load_fleet_file(tmp_path / "fleet.yaml")
        for fleet in fleets:
            for device in fleet.spec.devices:
                async with session(tmp_path, fleet.tenant, device) as api:
                    assert len(await api.rows("/interface/print", "=.proplist=name")) > 0
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{admin}") as http:
            health = await http.get("/healthz")
            ledger = (await http.get("/ledger")).json()
            clock = (await http.get("/clock")).json()
        process.send_signal(signal.SIGTERM)
        code, errors = await finished(process)

    assert lines[0] == "12 devices of 3 tenants, seed 5"
    assert sum(len(fleet.spec.devices) for fleet in fleets) == 12
    modes = {device.tls.mode for fleet in fleets for device in fleet.spec.devices if device.tls}
    assert modes == {TlsMode.VERIFY, TlsMode.PINNED, TlsMode.ANONYMOUS}
    assert health.status_code == 200
    assert ledger["totals"]["polls"] == 12
    assert clock["scale"] == 60
    assert code == 0, errors
    assert json.loads(errors.splitlines()[-1])["message"] == "stopped"


async def test_long_table_and_slow_reader_over_the_command_lines_event_loop(
    tmp_path: Path,
) -> None:
    options = ["--devices", "1", "--tenants", "1", "--base-port", str(free_port())]
    options += ["--admin-port", str(free_port()), "--faults", "huge=1", "--kind", "router"]
    async with running(tmp_path, *options) as (process, _):
        [fleet] = load_fleet_file(tmp_path / "fleet.yaml")
        async with session(tmp_path, fleet.tenant, fleet.spec.devices[0]) as api:
            api.send("/interface/print", ".tag=long")
            api.send("/system/identity/print", ".tag=short")
            first = [await api.sentence() for _ in range(2000)]
            rest = await api.until_done()
        process.send_signal(signal.SIGINT)
        code, errors = await finished(process)

    assert [b"!done", b".tag=short"] in first
    assert len(first) + len(rest) == 10_000 + 1 + 2
    assert code == 0, errors


@pytest.mark.parametrize("taken", ["device", "admin"])
async def test_taken_port_is_named(tmp_path: Path, taken: str) -> None:
    holder = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", free_port())
    port = holder.sockets[0].getsockname()[1]
    base, admin = (port, free_port()) if taken == "device" else (free_port(), port)
    options = ["--devices", "1", "--base-port", str(base), "--admin-port", str(admin)]
    async with holder:
        code, errors = await finished(await start(tmp_path, *options))

    assert code == 2, errors
    assert f":{port}" in errors
    assert "Traceback" not in errors


async def test_same_seed_and_start_give_the_same_fleet(tmp_path: Path) -> None:
    texts: list[str] = []
    places = own_addresses()
    for turn in range(2):
        directory = tmp_path / str(turn)
        directory.mkdir()
        options = ["--devices", "5", "--seed", "9", "--start", "2026-10-01T00:00:00"]
        options += [*places, "--admin-port", str(free_port())]
        async with running(directory, *options):
            texts.append((directory / "fleet.yaml").read_text())

    assert texts[0] == texts[1]
