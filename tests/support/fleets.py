"""RouterFleet resources for tests of the planner, the capacity model and assignments."""

from fleet_common.fleet_spec import RouterFleet, parse_fleet


def fleet(name: str, devices: int, **spec: object) -> RouterFleet:
    """A fleet of so many devices `d0`, `d1`, …; other fields of the spec as in YAML."""
    return parse_fleet(
        {
            "apiVersion": "routerfleet.io/v1alpha1",
            "kind": "RouterFleet",
            "metadata": {"name": name},
            "spec": {
                "credentials": {"secretRef": {"name": "s"}},
                "devices": [{"name": f"d{n}", "address": "h"} for n in range(devices)],
                **spec,
            },
        },
        name,
    )
