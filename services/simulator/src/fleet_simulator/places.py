"""Where the devices of a fleet listen, and with which TLS."""

import ipaddress
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fleet_simulator.certificates import Authority, anonymous_context
from fleet_simulator.device import FleetRouter, TlsMode
from fleet_simulator.server import Place

PLAIN_PORT: Final = 8728
TLS_PORT: Final = 8729
PORT_LIMIT: Final = 32768
"""Ports from here on are taken by outgoing connections of this machine."""

_FIRST_ADDRESS: Final = int(ipaddress.ip_address("127.1.0.1"))


class AddressMode(StrEnum):
    """One port each on one address, or one loopback address each with RouterOS's own ports."""

    PORT = "port"
    ADDRESS = "address"


class FleetTls(StrEnum):
    """The fleet's TLS: the same for all devices, or all kinds in turn."""

    NONE = "none"
    CERTIFICATE = "certificate"
    ANONYMOUS = "anonymous"
    MIXED = "mixed"


_TURNS: Final = (TlsMode.NONE, TlsMode.CERTIFICATE, TlsMode.ANONYMOUS)


class PlaceError(Exception):
    """Places that cannot be given out; the message names the option to change."""


@dataclass(frozen=True, slots=True)
class PlacePlan:
    """How to place a fleet. `address` is what clients connect to, `listen` what is bound.

    `device_port` is every device's port in mode `address`, RouterOS's own when None.
    """

    mode: AddressMode = AddressMode.PORT
    tls: FleetTls = FleetTls.NONE
    base_port: int = 20_000
    address: str = "127.0.0.1"
    listen: str | None = None
    device_port: int | None = None


def give_places(
    routers: Sequence[FleetRouter], plan: PlacePlan, authority: Authority
) -> list[Place]:
    """A place for each router, in order. Raises PlaceError when ports do not suffice."""
    if plan.mode is AddressMode.PORT:
        end = plan.base_port + len(routers)
        if plan.base_port < 1 or end > PORT_LIMIT:
            raise PlaceError(
                f"--base-port {plan.base_port}: {len(routers)} devices would need ports up to "
                f"{end - 1}; they have to stay below {PORT_LIMIT}"
            )
    anonymous: ssl.SSLContext | None = None
    places: list[Place] = []
    for router, tls, (address, port) in zip(
        routers, _modes(plan.tls, len(routers)), _addresses(plan, len(routers)), strict=True
    ):
        own_port = port or (PLAIN_PORT if tls is TlsMode.NONE else TLS_PORT)
        if tls is TlsMode.CERTIFICATE:
            made = authority.server(router.name, address)
            places.append(
                Place(address, own_port, tls, made.context, made.fingerprint, plan.listen)
            )
            continue
        if tls is TlsMode.ANONYMOUS and anonymous is None:
            anonymous = anonymous_context()
        context = anonymous if tls is TlsMode.ANONYMOUS else None
        places.append(Place(address, own_port, tls, context, listen=plan.listen))
    return places


def _modes(tls: FleetTls, count: int) -> Iterator[TlsMode]:
    for index in range(count):
        yield _TURNS[index % len(_TURNS)] if tls is FleetTls.MIXED else TlsMode(tls.value)


def _addresses(plan: PlacePlan, count: int) -> Iterator[tuple[str, int]]:
    """Address and port; port 0 stands for RouterOS's own."""
    for index in range(count):
        if plan.mode is AddressMode.PORT:
            yield plan.address, plan.base_port + index
        else:
            yield str(ipaddress.ip_address(_FIRST_ADDRESS + index)), plan.device_port or 0
