"""The simulator's figures: memory of 2,000 devices, polls it answers per CPU second.

A process of its own, started by its command line; every device has a session, and each poll is
five tagged prints sent at once. Memory is the resident set after every device was polled.
"""

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from urllib.request import urlopen

from fleet_common.fleet_spec import load_fleet_file
from fleet_simulator.wire import encode_sentence
from support.ports import free_port

_DEVICES = 2_000
_POLLED_DEVICES = 100
_POLLS = 4_000
_DEADLINE_SECONDS = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")

_PRINTS: Sequence[tuple[bytes, bytes]] = (
    (
        b"/system/resource/print",
        (
            b"uptime,version,cpu-load,free-memory,total-memory,free-hdd-space,total-hdd-space,"
            b"board-name,architecture-name"
        ),
    ),
    (b"/system/health/print", b"name,value,type"),
    (
        b"/interface/print",
        (
            b"name,type,mac-address,running,disabled,rx-byte,tx-byte,rx-packet,tx-packet,rx-error,"
            b"rx-drop,link-downs"
        ),
    ),
    (
        b"/interface/wifi/registration-table/print",
        b"mac-address,interface,signal,tx-rate,rx-rate,uptime,bytes",
    ),
    (b"/system/routerboard/print", b"current-firmware,upgrade-firmware,model,serial-number"),
)
POLL = b"".join(
    encode_sentence(path, b"=.proplist=" + names, b".tag=%d" % tag)
    for tag, (path, names) in enumerate(_PRINTS)
)
ENDS = [encode_sentence(b"!done", b".tag=%d" % tag) for tag in range(len(_PRINTS))]


def run(runs: int) -> dict[str, float]:
    """The median of `runs` measurements of each figure."""
    memory: list[float] = []
    rates: list[float] = []
    for _ in range(runs):
        with _process(_DEVICES) as (pid, folder, _), contextlib.ExitStack() as stack:
            for session in _sessions(folder, stack):
                _poll(session)
            memory.append(_resident_megabytes(pid))
        options = ("--interfaces", "10", "--kind", "ap-wifi")
        with _process(_POLLED_DEVICES, *options) as (pid, folder, ledger):
            rates.append(_rate(pid, folder, ledger))
    return {
        "simulator_mb_2000_devices": statistics.median(memory),
        "simulator_polls_per_core": statistics.median(rates),
    }


def _rate(pid: int, folder: Path, ledger: str) -> float:
    with contextlib.ExitStack() as stack:
        sessions = _sessions(folder, stack)
        before, cpu = _polls(ledger), _cpu_seconds(pid)
        for turn in range(_POLLS):
            _poll(sessions[turn % len(sessions)])
        spent = _cpu_seconds(pid) - cpu
        return (_polls(ledger) - before) / spent


@contextlib.contextmanager
def _process(devices: int, *options: str) -> Generator[tuple[int, Path, str]]:
    """A simulator on loopback addresses of its own: its pid, its folder, its ledger's URL."""
    with tempfile.TemporaryDirectory() as folder:
        admin = free_port()
        command = [sys.executable, "-m", "fleet_simulator", "--devices", str(devices)]
        command += ["--address-mode", "address", "--device-port", str(free_port())]
        command += ["--admin-port", str(admin), *options]
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, cwd=folder, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("ledger"):
                    break
            yield process.pid, Path(folder), f"http://127.0.0.1:{admin}/ledger"
        finally:
            process.terminate()
            process.wait(timeout=_DEADLINE_SECONDS)
            assert process.returncode == 0, process.returncode


def _sessions(folder: Path, stack: contextlib.ExitStack) -> list[socket.socket]:
    """A logged-in connection to each device of the fleet file."""
    sessions: list[socket.socket] = []
    for fleet in load_fleet_file(folder / "fleet.yaml"):
        secret = folder / "credentials" / fleet.spec.credentials.secret_ref.name
        name, password = ((secret / key).read_bytes() for key in ("username", "password"))
        login = encode_sentence(b"/login", b"=name=" + name, b"=password=" + password)
        for device in fleet.spec.devices:
            place = (device.address, device.port or 0)
            session = stack.enter_context(socket.create_connection(place, _DEADLINE_SECONDS))
            session.sendall(login)
            answer = session.recv(100)
            assert answer == encode_sentence(b"!done"), (device.name, answer)
            sessions.append(session)
    return sessions


def _poll(session: socket.socket) -> None:
    session.sendall(POLL)
    received = b""
    while not all(end in received for end in ENDS):
        piece = session.recv(65536)
        assert piece, received[-200:]
        received += piece


def _polls(ledger: str) -> int:
    """Polls answered, by the simulator's own count; it lags behind no reply."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    with urlopen(ledger, timeout=deadline - time.monotonic()) as answer:  # noqa: S310 - loopback
        return int(json.load(answer)["totals"]["polls"])


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _resident_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")
