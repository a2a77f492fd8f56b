"""Menus: a path, when a router has it, how its rows are made, what else it can do."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from fleet_simulator.tables import CommandResult, Row, TrapError
from fleet_simulator.world.device import Device

type Read = Callable[[Device, float], Sequence[Row]]
type Action = Callable[[Device, Mapping[bytes, bytes], float], CommandResult]

_NO_ACTIONS: Final[Mapping[str, Action]] = MappingProxyType({})
_PRINT: Final = frozenset({"print", "getall", "listen"})


def _always(_device: Device) -> bool:
    return True


class MenuSpec:
    """One menu of the world, shared by all routers. `read` is None where nothing is printed."""

    __slots__ = ("actions", "commands", "path", "read", "when")

    def __init__(
        self,
        path: str,
        read: Read | None,
        when: Callable[[Device], bool] = _always,
        actions: Mapping[str, Action] = _NO_ACTIONS,
    ) -> None:
        self.path = path
        self.read = read
        self.when = when
        self.actions = actions
        self.commands = frozenset(actions) | (_PRINT if read else frozenset[str]())


class RouterMenu:
    """A menu of one router: what the protocol engine talks to. Holds no rows."""

    __slots__ = ("_device", "_spec")

    def __init__(self, device: Device, spec: MenuSpec) -> None:
        self._device = device
        self._spec = spec

    @property
    def commands(self) -> frozenset[str]:
        """The commands of this menu."""
        return self._spec.commands

    def rows(self, now: float) -> Sequence[Row]:
        """All records at `now`."""
        return self._spec.read(self._device, now) if self._spec.read else ()

    def run(self, command: str, arguments: Mapping[bytes, bytes], now: float) -> CommandResult:
        """Run any command but print, getall and listen. Raises TrapError when refused."""
        action = self._spec.actions.get(command)
        if action is None:
            raise TrapError("no such command", 0)
        return action(self._device, arguments, now)
