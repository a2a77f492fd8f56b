"""The login of one session: its challenge, the faults that strike it, what the ledger counts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from fleet_simulator.fault_jobs import stricken
from fleet_simulator.faults import Fault, draw
from fleet_simulator.login import Challenged, answer, refusal
from fleet_simulator.replies import done, trap
from fleet_simulator.tables import TrapError

if TYPE_CHECKING:
    from fleet_simulator.command import Command
    from fleet_simulator.device import Device
    from fleet_simulator.jobs import Job

_CHALLENGE_BYTES: Final = 16


class LoginGate:
    """Decides on each `/login` of a session."""

    __slots__ = ("_challenge", "_device")

    def __init__(self, device: Device) -> None:
        self._device = device
        self._challenge: bytes | None = None

    def attempt(self, command: Command, tag: bytes | None) -> tuple[bool, Job]:
        """Whether the client is in from now on, and the job that answers it."""
        device = self._device
        challenge, self._challenge = self._challenge, None
        try:
            self._strike()
            outcome = answer(
                command.arguments,
                device.users,
                device.router.version,
                challenge,
                lambda: os.urandom(_CHALLENGE_BYTES),
            )
        except TrapError as error:
            device.ledger.logins_refused += 1
            return False, self._reply(trap(tag, error) + done(tag), tag)
        if isinstance(outcome, Challenged):
            self._challenge = outcome.challenge
            ret = outcome.challenge.hex().encode("ascii")
            return False, self._reply(done(tag, ret), tag)
        device.ledger.logins += 1
        return True, self._reply(done(tag), tag)

    def _strike(self) -> None:
        """Raises TrapError when a fault refuses this login."""
        device = self._device
        struck = draw(device.login_rules, device.chance)
        for rule in struck:
            device.ledger.faults[rule.kind] += 1
        if struck:
            raise refusal(device.router.version)

    def _reply(self, reply: bytes, tag: bytes | None) -> Job:
        """The reply, late when the line has a latency."""
        job = _one(reply)
        for rule in self._device.command_rules:
            if rule.kind is Fault.LATENCY and self._device.chance.random() < rule.probability:
                job = stricken(job, rule, tag, self._device.chance)
        return job


def _one(data: bytes) -> Job:
    yield data
