"""What the planner, asked directly, says of the resources that are in the cluster."""

from collections.abc import Iterable
from typing import Any

from e2e.commands import Document, get, wait_until
from e2e.site import Site
from fleet_common.fleet_spec import RouterFleet, parse_fleet
from fleet_common.planning import plan

_AMPLE_BYTES = 1 << 40


def planned_limits(site: Site, tenants: Iterable[str]) -> dict[str, int]:
    """max_bytes by tenant for the catalogue's sizes and a budget that shortens nothing."""
    fleets = [_parsed(get("routerfleet", name, site.namespace_of(name))) for name in tenants]
    return {str(one.tenant): one.max_bytes for one in plan(fleets, _AMPLE_BYTES)}


def _parsed(document: Document) -> RouterFleet:
    wanted = {key: value for key, value in document.items() if key != "status"}
    return parse_fleet(wanted, document["metadata"]["name"])


def condition(status: Document, name: str) -> Document:
    """One condition of a status; empty when it is not there."""
    conditions: list[Document] = status.get("conditions", [])
    return next((one for one in conditions if one["type"] == name), dict[str, Any]())


def wait_for_condition(
    site: Site, tenant: str, name: str, value: str = "True", *, seconds: float, generation: int = 0
) -> tuple[Document, float]:
    """Wait for a condition about the resource as it is now; it, and the seconds it took."""
    wanted = (
        generation
        or get("routerfleet", tenant, site.namespace_of(tenant))["metadata"]["generation"]
    )

    def holds(status: Document) -> bool:
        return (
            status.get("observedGeneration", 0) >= wanted
            and condition(status, name).get("status") == value
        )

    status, waited = wait_until(
        lambda: site.status(tenant), holds, seconds=seconds, what=f"{tenant}: {name}={value}"
    )
    return condition(status, name), waited


def wait_for_shards(site: Site, tenant: str, count: int, *, seconds: float) -> float:
    """Wait until so many shards are wanted and poll; the seconds it took."""
    _, waited = wait_until(
        lambda: site.status(tenant).get("shards", {}),
        lambda shards: shards.get("wanted") == count and shards.get("ready") == count,
        seconds=seconds,
        what=f"{tenant}: {count} shards",
    )
    return waited
