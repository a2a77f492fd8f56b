"""The services whose settings and metrics the reference pages describe."""

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Final


@dataclass(frozen=True, slots=True)
class Service:
    """One service by the name a user knows and its package."""

    name: str
    package: str
    metrics_module: str = "metrics"


SERVICES: Final = (
    Service("poller", "fleet_poller"),
    Service("metrics-writer", "fleet_writer"),
    Service("firmware-checker", "fleet_firmware"),
    Service("sse-gateway", "fleet_gateway", metrics_module="telemetry"),
    Service("simulator", "fleet_simulator"),
    Service("local runner", "fleet_cli"),
    Service("operator", "fleet_operator"),
)


def module_of(service: Service, name: str) -> ModuleType | None:
    """The service's module, or None where the package has no module of that name.

    An error inside the module is not hidden.
    """
    full_name = f"{service.package}.{name}"
    try:
        return importlib.import_module(full_name)
    except ModuleNotFoundError as error:
        if error.name == full_name:
            return None
        raise


def classes_of(module: ModuleType, base: type) -> list[type]:
    """The classes defined in the module that derive from `base`, in their order."""
    return [
        item
        for item in vars(module).values()
        if isinstance(item, type)
        and issubclass(item, base)
        and item is not base
        and item.__module__ == module.__name__
    ]
