"""One API connection: login, commands running side by side, back-pressure.

Commands are jobs (see jobs.py) that take turns: each gives one step, at most a chunk of rows,
before the next tag has its turn, so a long table holds nobody up. No task is made per
connection or command: thousands of sessions cost their state and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from fleet_simulator.egress import Egress
from fleet_simulator.fault_jobs import padded, stricken
from fleet_simulator.faults import Fault, FaultRule, draw
from fleet_simulator.gate import LoginGate
from fleet_simulator.jobs import Close, Context, Job, Sleep, Stall, run
from fleet_simulator.replies import done, fatal, trap
from fleet_simulator.tables import TrapError
from fleet_simulator.wire import SentenceDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet_simulator.command import Command
    from fleet_simulator.device import Device
    from fleet_simulator.tables import Row

BEFORE_LOGIN_BYTES: Final = 4096
"""The longest sentence before login; the manual says there is a limit, not which."""
AFTER_LOGIN_BYTES: Final = 4 << 20
"""The longest sentence after login."""
LOGIN_SECONDS: Final = 60.0
"""A connection that has not logged in by then is closed."""

_MAX_RUNNING: Final = 128
_MAX_ENDLESS: Final = 64
_BURST_BYTES: Final = 64 << 10
_REBOOT_SECONDS: Final = 2.0
_RESET: Final = struct.pack("ii", 1, 0)

_log = logging.getLogger(__name__)


class _Running:
    """A command under way."""

    __slots__ = ("command", "endless", "job", "tag", "timer", "wakeable")

    def __init__(self, command: Command, tag: bytes | None, job: Job) -> None:
        self.command = command
        self.tag = tag
        self.job = job
        self.endless = command.follows or (
            command.name.startswith("monitor") and b"once" not in command.arguments
        )
        self.timer: asyncio.TimerHandle | None = None
        self.wakeable = False


class Session(asyncio.Protocol):
    """The server side of one connection to one device."""

    __slots__ = (
        "_backlog",
        "_decoder",
        "_device",
        "_egress",
        "_gate",
        "_held",
        "_logged_in",
        "_login_timer",
        "_loop",
        "_ready",
        "_running",
        "_scheduled",
        "_transport",
        "_trickle_rate",
    )

    _transport: asyncio.Transport
    _egress: Egress

    def __init__(self, device: Device, loop: asyncio.AbstractEventLoop) -> None:
        self._device = device
        self._loop = loop
        self._decoder = SentenceDecoder(BEFORE_LOGIN_BYTES)
        self._logged_in = False
        self._gate = LoginGate(device)
        self._ready: deque[_Running] = deque()
        self._running: dict[_Running, None] = {}
        self._backlog: list[list[bytes]] = []
        self._held: _Running | None = None
        self._scheduled = False
        self._trickle_rate: float | None = None
        self._login_timer: asyncio.TimerHandle | None = None

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or turn it away with a reset."""
        self._transport = cast("asyncio.Transport", transport)
        self._egress = Egress(self._transport, self._loop, self._pump)
        if self._device.turns_away():
            self._reset()
            return
        self._device.sessions.add(self)
        self._login_timer = self._loop.call_later(LOGIN_SECONDS, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """Forget everything about the connection."""
        self._device.sessions.discard(self)
        self._egress.close()
        self._stop_login_timer()
        for running in self._running:
            self._stop(running)
        self._running.clear()
        self._ready.clear()
        self._backlog.clear()

    def pause_writing(self) -> None:
        """The client reads more slowly than the replies come."""
        self._egress.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._egress.resume()

    def data_received(self, data: bytes) -> None:
        """Take in sentences and answer what can be answered at once."""
        sentences = self._decoder.feed(data)
        if self._backlog:
            self._backlog += sentences
        else:
            self._admit(sentences)
        if self._decoder.failure is not None:
            _log.debug(
                "unreadable bytes",
                extra={"device": self._device.name, "reason": str(self._decoder.failure)},
            )
            self._transport.close()
            return
        self._pump()

    # The device's side

    @property
    def unsent_bytes(self) -> int:
        """Bytes of replies that the client has not taken yet; bounded by one burst."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """End the connection at once, dropping what was not sent."""
        self._transport.abort()

    def wake_followers(self) -> None:
        """A table of this device was written."""
        for running in self._running:
            if running.wakeable and running.timer is not None:
                running.timer.cancel()
                running.timer = self._loop.call_later(0, self._wake, running)

    # Sentences

    def _admit(self, sentences: list[list[bytes]]) -> None:
        """Begin commands while there is room; the rest waits and reading pauses."""
        for index, words in enumerate(sentences):
            if len(self._running) >= _MAX_RUNNING:
                self._backlog = sentences[index:]
                self._transport.pause_reading()
                return
            if self._transport.is_closing():
                break
            self._sentence(words)
        self._backlog = []

    def _sentence(self, words: list[bytes]) -> None:
        command, tag = self._device.reader.read(words)
        if not command.path and command.name == "login":
            self._begin(command, tag, self._login(command, tag))
        elif not self._logged_in:
            self._begin(command, tag, _closing(fatal("not logged in")))
        elif not command.path and command.name == "quit":
            self._begin(command, tag, _closing(fatal("session terminated on request")))
        elif not command.path and command.name == "cancel":
            self._begin(command, tag, _one(self._cancel(command, tag)))
        else:
            self._command(command, tag)

    def _begin(self, command: Command, tag: bytes | None, job: Job) -> None:
        running = _Running(command, tag, job)
        self._running[running] = None
        self._ready.append(running)

    def _command(self, command: Command, tag: bytes | None) -> None:
        device = self._device
        device.note_command(command)
        pad: int | None = None
        struck: list[FaultRule] = []
        if device.command_rules:
            struck = draw(
                [r for r in device.command_rules if r.concerns_command(command.full_name)],
                device.chance,
            )
            pad = self._note_faults(struck)
        if command.path == "/system" and command.name == "reboot":
            job = self._reboot(tag)
        else:
            job = run(command, tag, self._context(pad))
        for rule in struck:
            job = stricken(job, rule, tag, device.chance)
        running = _Running(command, tag, job)
        if running.endless and sum(other.endless for other in self._running) >= _MAX_ENDLESS:
            refused = trap(tag, TrapError("too many commands", category=5)) + done(tag)
            running = _Running(command, tag, _one(refused))
        self._running[running] = None
        self._ready.append(running)

    def _note_faults(self, struck: Sequence[FaultRule]) -> int | None:
        """Count what struck and do what concerns the session; gives the rows of huge tables."""
        rows: int | None = None
        self._trickle_rate = None
        for rule in struck:
            self._device.ledger.faults[rule.kind] += 1
            if rule.kind is Fault.HUGE:
                rows = rule.rows
            elif rule.kind is Fault.TRICKLE:
                self._trickle_rate = rule.rate
            elif rule.kind is Fault.REBOOT:
                self._loop.call_soon(self._device.reboot, rule.delay or 0.0)
        return rows

    def _context(self, pad: int | None) -> Context:
        plain = self._device.context
        if pad is None:
            return plain
        wanted = pad

        def enlarge(rows: Sequence[Row]) -> Sequence[Row]:
            return padded(rows, wanted)

        return replace(plain, pad=enlarge)

    def _reboot(self, tag: bytes | None) -> Job:
        self._loop.call_soon(self._device.reboot, _REBOOT_SECONDS)
        yield Close(done(tag))

    def _login(self, command: Command, tag: bytes | None) -> Job:
        accepted, job = self._gate.attempt(command, tag)
        if accepted:
            self._logged_in = True
            self._decoder.max_sentence = AFTER_LOGIN_BYTES
            self._stop_login_timer()
        return job

    def _cancel(self, command: Command, tag: bytes | None) -> bytes:
        """The replies of `/cancel`, in the manual's order: traps, its own done, the others'."""
        wanted = command.arguments.get(b"tag")
        victims = [
            running
            for running in self._running
            if running is not self._held and (wanted is None or running.tag == wanted)
        ]
        interrupted = TrapError("interrupted", category=2)
        for running in victims:
            self._stop(running)
            del self._running[running]
        self._ready = deque(running for running in self._ready if running in self._running)
        traps = [trap(running.tag, interrupted) for running in victims]
        return b"".join([*traps, done(tag), *[done(running.tag) for running in victims]])

    # Turns

    def _pump(self) -> None:
        """Ask the ready jobs for steps in turn, until none is ready or the client is full."""
        self._scheduled = False
        ready = self._ready
        parts: list[bytes] = []
        size = 0
        try:
            while ready and size < _BURST_BYTES and not self._egress.blocked:
                running = ready.popleft()
                step = next(running.job, None)
                if type(step) is bytes:
                    parts.append(step)
                    size += len(step)
                    ready.append(running)
                elif step is None:
                    self._finish(running)
                    ready = self._ready
                elif not self._special(running, cast("Sleep | Stall | Close", step), parts):
                    return
        except Exception:  # noqa: BLE001 - logged with its traceback, and the session ends
            # A fault of the simulated world must not take the other devices along.
            _log.exception("a command failed", extra={"device": self._device.name})
            self.abort()
            return
        self._send(parts)
        if ready and not self._egress.blocked and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._pump)

    def _special(self, running: _Running, step: Sleep | Stall | Close, parts: list[bytes]) -> bool:
        """Follow a step that is not bytes; False when the connection is closing."""
        if isinstance(step, Sleep):
            running.wakeable = step.wake_on_change
            running.timer = self._loop.call_later(step.seconds, self._wake, running)
            return True
        parts.append(step.before)
        self._send(parts)
        parts.clear()
        if isinstance(step, Close):
            self._transport.close()
            return False
        self._egress.stall(step.seconds)
        self._held = running
        self._ready.appendleft(running)
        return True

    def _send(self, parts: list[bytes]) -> None:
        if not parts:
            return
        data = b"".join(parts)
        if self._trickle_rate is None:
            self._egress.write(data)
        else:
            self._egress.trickle(data, self._trickle_rate)

    def _wake(self, running: _Running) -> None:
        running.timer = None
        self._ready.append(running)
        self._pump()

    def _finish(self, running: _Running) -> None:
        self._running.pop(running, None)
        if running is self._held:
            self._held = None
        command = running.command
        if command.path == "/interface" and command.is_print and not command.counts_only:
            self._device.ledger.polls += 1
        if self._backlog and len(self._running) < _MAX_RUNNING:
            self._admit(self._backlog)
            if not self._backlog and not self._transport.is_closing():
                self._transport.resume_reading()

    # Endings

    @staticmethod
    def _stop(running: _Running) -> None:
        if running.timer is not None:
            running.timer.cancel()
            running.timer = None

    def _stop_login_timer(self) -> None:
        if self._login_timer is not None:
            self._login_timer.cancel()
            self._login_timer = None

    def _reset(self) -> None:
        """Close so that the client sees a reset, not an orderly end."""
        raw = cast("socket.socket | None", self._transport.get_extra_info("socket"))
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()


def _one(data: bytes) -> Job:
    yield data


def _closing(data: bytes) -> Job:
    yield Close(data)
