"""All families, in the order in which a scrape gives them."""

from typing import Final

from fleet_common.metrics import MetricRow
from fleet_poller.exposition.families import Family
from fleet_poller.exposition.interfaces import INTERFACE_FAMILIES
from fleet_poller.exposition.system import DEVICE_FAMILIES
from fleet_poller.exposition.wireless import WIRELESS_FAMILIES

FAMILIES: Final[tuple[Family, ...]] = (
    *DEVICE_FAMILIES,
    *INTERFACE_FAMILIES,
    *WIRELESS_FAMILIES,
)


def rows() -> list[MetricRow]:
    """For the documentation."""
    return [
        MetricRow(family.name, family.type, ("tenant", "device", *family.labels), family.help)
        for family in FAMILIES
    ]
