"""What rarely changes: identity, board, licence, firmware."""

from fleet_poller.parse.scalars import boolean, text, unsigned32, version_and_channel
from fleet_poller.readings import FirmwareReading, InterfaceDescription, InventoryReading
from fleet_poller.routeros.wire import Attributes

INVENTORY_RESOURCE_ATTRIBUTES = (
    "version",
    "architecture-name",
    "board-name",
    "platform",
    "cpu",
    "cpu-count",
    "cpu-frequency",
    "factory-software",
)


def parse_firmware(
    resource: Attributes, update: Attributes, routerboard: Attributes
) -> FirmwareReading:
    """From `/system/resource`, `/system/package/update` and `/system/routerboard`.

    A row the router does not have is empty. The resource's version is the one that runs;
    its channel in parentheses stands in for a missing update menu.
    """
    version, channel = version_and_channel(resource.get(b"version"))
    installed, _ = version_and_channel(update.get(b"installed-version"))
    return FirmwareReading(
        installed_version=version or installed,
        channel=text(update.get(b"channel")) or channel,
        latest_version=version_and_channel(update.get(b"latest-version"))[0],
        architecture=text(resource.get(b"architecture-name")),
        routerboot_current=text(routerboard.get(b"current-firmware")),
        routerboot_upgrade=text(routerboard.get(b"upgrade-firmware")),
        routerboot_factory=text(routerboard.get(b"factory-firmware")),
        routerboard=boolean(routerboard.get(b"routerboard")),
    )


def parse_inventory(
    identity: Attributes,
    resource: Attributes,
    routerboard: Attributes,
    license_: Attributes,
    interfaces: tuple[InterfaceDescription, ...],
) -> InventoryReading:
    """The whole picture; a row the router does not have is empty."""
    return InventoryReading(
        identity=text(identity.get(b"name")),
        board_name=text(resource.get(b"board-name")),
        model=text(routerboard.get(b"model")),
        serial_number=text(routerboard.get(b"serial-number")),
        architecture=text(resource.get(b"architecture-name")),
        version=text(resource.get(b"version")),
        platform=text(resource.get(b"platform")),
        cpu_name=text(resource.get(b"cpu")),
        cpu_count=unsigned32(resource.get(b"cpu-count")),
        cpu_frequency_mhz=unsigned32((resource.get(b"cpu-frequency") or b"").removesuffix(b"MHz")),
        license_level=text(license_.get(b"nlevel") or license_.get(b"level")),
        factory_software=text(resource.get(b"factory-software")),
        interfaces=interfaces,
    )
