# Made from proto/fleet/v1/events.proto by tools/generate.py (`make generate`). Do not edit.
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Reachability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REACHABILITY_UNSPECIFIED: _ClassVar[Reachability]
    REACHABILITY_UP: _ClassVar[Reachability]
    REACHABILITY_DOWN: _ClassVar[Reachability]

class ErrorClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_CLASS_UNSPECIFIED: _ClassVar[ErrorClass]
    ERROR_CLASS_UNREACHABLE: _ClassVar[ErrorClass]
    ERROR_CLASS_REFUSED: _ClassVar[ErrorClass]
    ERROR_CLASS_TIMEOUT: _ClassVar[ErrorClass]
    ERROR_CLASS_TLS: _ClassVar[ErrorClass]
    ERROR_CLASS_LOGIN_REJECTED: _ClassVar[ErrorClass]
    ERROR_CLASS_CREDENTIALS_MISSING: _ClassVar[ErrorClass]
    ERROR_CLASS_DISCONNECTED: _ClassVar[ErrorClass]
    ERROR_CLASS_PROTOCOL: _ClassVar[ErrorClass]
    ERROR_CLASS_FATAL: _ClassVar[ErrorClass]
    ERROR_CLASS_TRAP: _ClassVar[ErrorClass]

class SensorName(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SENSOR_NAME_UNSPECIFIED: _ClassVar[SensorName]
    SENSOR_NAME_TEMPERATURE: _ClassVar[SensorName]
    SENSOR_NAME_CPU_TEMPERATURE: _ClassVar[SensorName]
    SENSOR_NAME_BOARD_TEMPERATURE1: _ClassVar[SensorName]
    SENSOR_NAME_BOARD_TEMPERATURE2: _ClassVar[SensorName]
    SENSOR_NAME_SFP_TEMPERATURE: _ClassVar[SensorName]
    SENSOR_NAME_SWITCH_TEMPERATURE: _ClassVar[SensorName]
    SENSOR_NAME_PHY_TEMPERATURE: _ClassVar[SensorName]
    SENSOR_NAME_VOLTAGE: _ClassVar[SensorName]
    SENSOR_NAME_CURRENT: _ClassVar[SensorName]
    SENSOR_NAME_POWER_CONSUMPTION: _ClassVar[SensorName]
    SENSOR_NAME_FAN1_SPEED: _ClassVar[SensorName]
    SENSOR_NAME_FAN2_SPEED: _ClassVar[SensorName]
    SENSOR_NAME_FAN3_SPEED: _ClassVar[SensorName]
    SENSOR_NAME_FAN4_SPEED: _ClassVar[SensorName]
    SENSOR_NAME_PSU1_STATE: _ClassVar[SensorName]
    SENSOR_NAME_PSU2_STATE: _ClassVar[SensorName]
    SENSOR_NAME_PSU1_VOLTAGE: _ClassVar[SensorName]
    SENSOR_NAME_PSU2_VOLTAGE: _ClassVar[SensorName]
    SENSOR_NAME_PSU1_CURRENT: _ClassVar[SensorName]
    SENSOR_NAME_PSU2_CURRENT: _ClassVar[SensorName]
    SENSOR_NAME_FAN_STATE: _ClassVar[SensorName]
    SENSOR_NAME_STATE: _ClassVar[SensorName]
    SENSOR_NAME_STATE_AFTER_REBOOT: _ClassVar[SensorName]
    SENSOR_NAME_POE_OUT_CONSUMPTION: _ClassVar[SensorName]
    SENSOR_NAME_JACK_VOLTAGE: _ClassVar[SensorName]

class SensorUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SENSOR_UNIT_UNSPECIFIED: _ClassVar[SensorUnit]
    SENSOR_UNIT_CELSIUS: _ClassVar[SensorUnit]
    SENSOR_UNIT_VOLT: _ClassVar[SensorUnit]
    SENSOR_UNIT_AMPERE: _ClassVar[SensorUnit]
    SENSOR_UNIT_WATT: _ClassVar[SensorUnit]
    SENSOR_UNIT_RPM: _ClassVar[SensorUnit]
    SENSOR_UNIT_PERCENT: _ClassVar[SensorUnit]
    SENSOR_UNIT_STATE: _ClassVar[SensorUnit]

class WirelessPackage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WIRELESS_PACKAGE_UNSPECIFIED: _ClassVar[WirelessPackage]
    WIRELESS_PACKAGE_WIRELESS: _ClassVar[WirelessPackage]
    WIRELESS_PACKAGE_WIFIWAVE2: _ClassVar[WirelessPackage]
    WIRELESS_PACKAGE_WIFI: _ClassVar[WirelessPackage]
    WIRELESS_PACKAGE_CAPSMAN: _ClassVar[WirelessPackage]
    WIRELESS_PACKAGE_WIFI_CAPSMAN: _ClassVar[WirelessPackage]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_UP_TO_DATE: _ClassVar[Verdict]
    VERDICT_UPGRADE_AVAILABLE: _ClassVar[Verdict]
    VERDICT_AHEAD_OF_CHANNEL: _ClassVar[Verdict]
    VERDICT_CHANNEL_UNKNOWN: _ClassVar[Verdict]
    VERDICT_VERSION_UNKNOWN: _ClassVar[Verdict]

class ChannelSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANNEL_SOURCE_UNSPECIFIED: _ClassVar[ChannelSource]
    CHANNEL_SOURCE_UPGRADE_HOST: _ClassVar[ChannelSource]
    CHANNEL_SOURCE_FILE: _ClassVar[ChannelSource]

class TrimCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRIM_CAUSE_UNSPECIFIED: _ClassVar[TrimCause]
    TRIM_CAUSE_SHRUNK: _ClassVar[TrimCause]
    TRIM_CAUSE_DISCARDED_UNSTORED: _ClassVar[TrimCause]
REACHABILITY_UNSPECIFIED: Reachability
REACHABILITY_UP: Reachability
REACHABILITY_DOWN: Reachability
ERROR_CLASS_UNSPECIFIED: ErrorClass
ERROR_CLASS_UNREACHABLE: ErrorClass
ERROR_CLASS_REFUSED: ErrorClass
ERROR_CLASS_TIMEOUT: ErrorClass
ERROR_CLASS_TLS: ErrorClass
ERROR_CLASS_LOGIN_REJECTED: ErrorClass
ERROR_CLASS_CREDENTIALS_MISSING: ErrorClass
ERROR_CLASS_DISCONNECTED: ErrorClass
ERROR_CLASS_PROTOCOL: ErrorClass
ERROR_CLASS_FATAL: ErrorClass
ERROR_CLASS_TRAP: ErrorClass
SENSOR_NAME_UNSPECIFIED: SensorName
SENSOR_NAME_TEMPERATURE: SensorName
SENSOR_NAME_CPU_TEMPERATURE: SensorName
SENSOR_NAME_BOARD_TEMPERATURE1: SensorName
SENSOR_NAME_BOARD_TEMPERATURE2: SensorName
SENSOR_NAME_SFP_TEMPERATURE: SensorName
SENSOR_NAME_SWITCH_TEMPERATURE: SensorName
SENSOR_NAME_PHY_TEMPERATURE: SensorName
SENSOR_NAME_VOLTAGE: SensorName
SENSOR_NAME_CURRENT: SensorName
SENSOR_NAME_POWER_CONSUMPTION: SensorName
SENSOR_NAME_FAN1_SPEED: SensorName
SENSOR_NAME_FAN2_SPEED: SensorName
SENSOR_NAME_FAN3_SPEED: SensorName
SENSOR_NAME_FAN4_SPEED: SensorName
SENSOR_NAME_PSU1_STATE: SensorName
SENSOR_NAME_PSU2_STATE: SensorName
SENSOR_NAME_PSU1_VOLTAGE: SensorName
SENSOR_NAME_PSU2_VOLTAGE: SensorName
SENSOR_NAME_PSU1_CURRENT: SensorName
SENSOR_NAME_PSU2_CURRENT: SensorName
SENSOR_NAME_FAN_STATE: SensorName
SENSOR_NAME_STATE: SensorName
SENSOR_NAME_STATE_AFTER_REBOOT: SensorName
SENSOR_NAME_POE_OUT_CONSUMPTION: SensorName
SENSOR_NAME_JACK_VOLTAGE: SensorName
SENSOR_UNIT_UNSPECIFIED: SensorUnit
SENSOR_UNIT_CELSIUS: SensorUnit
SENSOR_UNIT_VOLT: SensorUnit
SENSOR_UNIT_AMPERE: SensorUnit
SENSOR_UNIT_WATT: SensorUnit
SENSOR_UNIT_RPM: SensorUnit
SENSOR_UNIT_PERCENT: SensorUnit
SENSOR_UNIT_STATE: SensorUnit
WIRELESS_PACKAGE_UNSPECIFIED: WirelessPackage
WIRELESS_PACKAGE_WIRELESS: WirelessPackage
WIRELESS_PACKAGE_WIFIWAVE2: WirelessPackage
WIRELESS_PACKAGE_WIFI: WirelessPackage
WIRELESS_PACKAGE_CAPSMAN: WirelessPackage
WIRELESS_PACKAGE_WIFI_CAPSMAN: WirelessPackage
VERDICT_UNSPECIFIED: Verdict
VERDICT_UP_TO_DATE: Verdict
VERDICT_UPGRADE_AVAILABLE: Verdict
VERDICT_AHEAD_OF_CHANNEL: Verdict
VERDICT_CHANNEL_UNKNOWN: Verdict
VERDICT_VERSION_UNKNOWN: Verdict
CHANNEL_SOURCE_UNSPECIFIED: ChannelSource
CHANNEL_SOURCE_UPGRADE_HOST: ChannelSource
CHANNEL_SOURCE_FILE: ChannelSource
TRIM_CAUSE_UNSPECIFIED: TrimCause
TRIM_CAUSE_SHRUNK: TrimCause
TRIM_CAUSE_DISCARDED_UNSTORED: TrimCause

class Event(_message.Message):
    __slots__ = ("slot_unix_ms", "observed_after_slot_ms", "poll_duration_us", "schema_version", "status", "health", "interfaces", "wireless", "firmware", "inventory", "firmware_advice", "trim")
    SLOT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AFTER_SLOT_MS_FIELD_NUMBER: _ClassVar[int]
    POLL_DURATION_US_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    INTERFACES_FIELD_NUMBER: _ClassVar[int]
    WIRELESS_FIELD_NUMBER: _ClassVar[int]
    FIRMWARE_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    FIRMWARE_ADVICE_FIELD_NUMBER: _ClassVar[int]
    TRIM_FIELD_NUMBER: _ClassVar[int]
    slot_unix_ms: int
    observed_after_slot_ms: int
    poll_duration_us: int
    schema_version: int
    status: Status
    health: Health
    interfaces: Interfaces
    wireless: Wireless
    firmware: Firmware
    inventory: Inventory
    firmware_advice: FirmwareAdvice
    trim: Trim
    def __init__(self, slot_unix_ms: _Optional[int] = ..., observed_after_slot_ms: _Optional[int] = ..., poll_duration_us: _Optional[int] = ..., schema_version: _Optional[int] = ..., status: _Optional[_Union[Status, _Mapping]] = ..., health: _Optional[_Union[Health, _Mapping]] = ..., interfaces: _Optional[_Union[Interfaces, _Mapping]] = ..., wireless: _Optional[_Union[Wireless, _Mapping]] = ..., firmware: _Optional[_Union[Firmware, _Mapping]] = ..., inventory: _Optional[_Union[Inventory, _Mapping]] = ..., firmware_advice: _Optional[_Union[FirmwareAdvice, _Mapping]] = ..., trim: _Optional[_Union[Trim, _Mapping]] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("reachability", "error_class", "error_message", "uptime_seconds", "consecutive_failures", "rebooted")
    REACHABILITY_FIELD_NUMBER: _ClassVar[int]
    ERROR_CLASS_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CONSECUTIVE_FAILURES_FIELD_NUMBER: _ClassVar[int]
    REBOOTED_FIELD_NUMBER: _ClassVar[int]
    reachability: Reachability
    error_class: ErrorClass
    error_message: str
    uptime_seconds: int
    consecutive_failures: int
    rebooted: bool
    def __init__(self, reachability: _Optional[_Union[Reachability, str]] = ..., error_class: _Optional[_Union[ErrorClass, str]] = ..., error_message: _Optional[str] = ..., uptime_seconds: _Optional[int] = ..., consecutive_failures: _Optional[int] = ..., rebooted: _Optional[bool] = ...) -> None: ...

class Health(_message.Message):
    __slots__ = ("cpu_load_percent", "cpu_core_load_percent", "memory_free_bytes", "memory_total_bytes", "disk_free_bytes", "disk_total_bytes", "bad_blocks_permille", "write_sectors_total", "sensors")
    CPU_LOAD_PERCENT_FIELD_NUMBER: _ClassVar[int]
    CPU_CORE_LOAD_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    BAD_BLOCKS_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    WRITE_SECTORS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    SENSORS_FIELD_NUMBER: _ClassVar[int]
    cpu_load_percent: int
    cpu_core_load_percent: _containers.RepeatedScalarFieldContainer[int]
    memory_free_bytes: int
    memory_total_bytes: int
    disk_free_bytes: int
    disk_total_bytes: int
    bad_blocks_permille: int
    write_sectors_total: int
    sensors: _containers.RepeatedCompositeFieldContainer[Sensor]
    def __init__(self, cpu_load_percent: _Optional[int] = ..., cpu_core_load_percent: _Optional[_Iterable[int]] = ..., memory_free_bytes: _Optional[int] = ..., memory_total_bytes: _Optional[int] = ..., disk_free_bytes: _Optional[int] = ..., disk_total_bytes: _Optional[int] = ..., bad_blocks_permille: _Optional[int] = ..., write_sectors_total: _Optional[int] = ..., sensors: _Optional[_Iterable[_Union[Sensor, _Mapping]]] = ...) -> None: ...

class Sensor(_message.Message):
    __slots__ = ("known_name", "name", "unit", "value_thousandths", "state")
    KNOWN_NAME_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    VALUE_THOUSANDTHS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    known_name: SensorName
    name: str
    unit: SensorUnit
    value_thousandths: int
    state: str
    def __init__(self, known_name: _Optional[_Union[SensorName, str]] = ..., name: _Optional[str] = ..., unit: _Optional[_Union[SensorUnit, str]] = ..., value_thousandths: _Optional[int] = ..., state: _Optional[str] = ...) -> None: ...

class Interfaces(_message.Message):
    __slots__ = ("ids", "running_bitmap", "disabled_bitmap", "zero_columns", "rx_bytes_total", "tx_bytes_total", "rx_packets_total", "tx_packets_total", "rx_errors_total", "tx_errors_total", "rx_drops_total", "tx_drops_total", "tx_queue_drops_total", "link_downs_total", "link_changes", "inventory_revision")
    IDS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_BITMAP_FIELD_NUMBER: _ClassVar[int]
    DISABLED_BITMAP_FIELD_NUMBER: _ClassVar[int]
    ZERO_COLUMNS_FIELD_NUMBER: _ClassVar[int]
    RX_BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    TX_BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    RX_PACKETS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    TX_PACKETS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    RX_ERRORS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    TX_ERRORS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    RX_DROPS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    TX_DROPS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    TX_QUEUE_DROPS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    LINK_DOWNS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    LINK_CHANGES_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_REVISION_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    running_bitmap: bytes
    disabled_bitmap: bytes
    zero_columns: int
    rx_bytes_total: _containers.RepeatedScalarFieldContainer[int]
    tx_bytes_total: _containers.RepeatedScalarFieldContainer[int]
    rx_packets_total: _containers.RepeatedScalarFieldContainer[int]
    tx_packets_total: _containers.RepeatedScalarFieldContainer[int]
    rx_errors_total: _containers.RepeatedScalarFieldContainer[int]
    tx_errors_total: _containers.RepeatedScalarFieldContainer[int]
    rx_drops_total: _containers.RepeatedScalarFieldContainer[int]
    tx_drops_total: _containers.RepeatedScalarFieldContainer[int]
    tx_queue_drops_total: _containers.RepeatedScalarFieldContainer[int]
    link_downs_total: _containers.RepeatedScalarFieldContainer[int]
    link_changes: _containers.RepeatedCompositeFieldContainer[LinkChange]
    inventory_revision: int
    def __init__(self, ids: _Optional[_Iterable[int]] = ..., running_bitmap: _Optional[bytes] = ..., disabled_bitmap: _Optional[bytes] = ..., zero_columns: _Optional[int] = ..., rx_bytes_total: _Optional[_Iterable[int]] = ..., tx_bytes_total: _Optional[_Iterable[int]] = ..., rx_packets_total: _Optional[_Iterable[int]] = ..., tx_packets_total: _Optional[_Iterable[int]] = ..., rx_errors_total: _Optional[_Iterable[int]] = ..., tx_errors_total: _Optional[_Iterable[int]] = ..., rx_drops_total: _Optional[_Iterable[int]] = ..., tx_drops_total: _Optional[_Iterable[int]] = ..., tx_queue_drops_total: _Optional[_Iterable[int]] = ..., link_downs_total: _Optional[_Iterable[int]] = ..., link_changes: _Optional[_Iterable[_Union[LinkChange, _Mapping]]] = ..., inventory_revision: _Optional[int] = ...) -> None: ...

class LinkChange(_message.Message):
    __slots__ = ("id", "last_up_router_unix_seconds", "last_down_router_unix_seconds")
    ID_FIELD_NUMBER: _ClassVar[int]
    LAST_UP_ROUTER_UNIX_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LAST_DOWN_ROUTER_UNIX_SECONDS_FIELD_NUMBER: _ClassVar[int]
    id: int
    last_up_router_unix_seconds: int
    last_down_router_unix_seconds: int
    def __init__(self, id: _Optional[int] = ..., last_up_router_unix_seconds: _Optional[int] = ..., last_down_router_unix_seconds: _Optional[int] = ...) -> None: ...

class Wireless(_message.Message):
    __slots__ = ("package", "radios", "clients", "clients_left_out")
    PACKAGE_FIELD_NUMBER: _ClassVar[int]
    RADIOS_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    package: WirelessPackage
    radios: _containers.RepeatedCompositeFieldContainer[Radio]
    clients: _containers.RepeatedCompositeFieldContainer[WirelessClient]
    clients_left_out: int
    def __init__(self, package: _Optional[_Union[WirelessPackage, str]] = ..., radios: _Optional[_Iterable[_Union[Radio, _Mapping]]] = ..., clients: _Optional[_Iterable[_Union[WirelessClient, _Mapping]]] = ..., clients_left_out: _Optional[int] = ...) -> None: ...

class Radio(_message.Message):
    __slots__ = ("interface", "frequency_mhz", "channel_width_mhz", "noise_floor_dbm", "clients_count", "running", "ssid", "band", "tx_power_dbm")
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    FREQUENCY_MHZ_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_WIDTH_MHZ_FIELD_NUMBER: _ClassVar[int]
    NOISE_FLOOR_DBM_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_COUNT_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    SSID_FIELD_NUMBER: _ClassVar[int]
    BAND_FIELD_NUMBER: _ClassVar[int]
    TX_POWER_DBM_FIELD_NUMBER: _ClassVar[int]
    interface: str
    frequency_mhz: int
    channel_width_mhz: int
    noise_floor_dbm: int
    clients_count: int
    running: bool
    ssid: str
    band: str
    tx_power_dbm: int
    def __init__(self, interface: _Optional[str] = ..., frequency_mhz: _Optional[int] = ..., channel_width_mhz: _Optional[int] = ..., noise_floor_dbm: _Optional[int] = ..., clients_count: _Optional[int] = ..., running: _Optional[bool] = ..., ssid: _Optional[str] = ..., band: _Optional[str] = ..., tx_power_dbm: _Optional[int] = ...) -> None: ...

class WirelessClient(_message.Message):
    __slots__ = ("mac_address", "interface", "signal_dbm", "signal_to_noise_db", "tx_rate_bits_per_second", "rx_rate_bits_per_second", "tx_ccq_percent", "rx_ccq_percent", "uptime_seconds", "tx_bytes_total", "rx_bytes_total", "tx_packets_total", "rx_packets_total", "ssid")
    MAC_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_DBM_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_TO_NOISE_DB_FIELD_NUMBER: _ClassVar[int]
    TX_RATE_BITS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    RX_RATE_BITS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    TX_CCQ_PERCENT_FIELD_NUMBER: _ClassVar[int]
    RX_CCQ_PERCENT_FIELD_NUMBER: _ClassVar[int]
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TX_BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    RX_BYTES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    TX_PACKETS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    RX_PACKETS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    SSID_FIELD_NUMBER: _ClassVar[int]
    mac_address: bytes
    interface: str
    signal_dbm: int
    signal_to_noise_db: int
    tx_rate_bits_per_second: int
    rx_rate_bits_per_second: int
    tx_ccq_percent: int
    rx_ccq_percent: int
    uptime_seconds: int
    tx_bytes_total: int
    rx_bytes_total: int
    tx_packets_total: int
    rx_packets_total: int
    ssid: str
    def __init__(self, mac_address: _Optional[bytes] = ..., interface: _Optional[str] = ..., signal_dbm: _Optional[int] = ..., signal_to_noise_db: _Optional[int] = ..., tx_rate_bits_per_second: _Optional[int] = ..., rx_rate_bits_per_second: _Optional[int] = ..., tx_ccq_percent: _Optional[int] = ..., rx_ccq_percent: _Optional[int] = ..., uptime_seconds: _Optional[int] = ..., tx_bytes_total: _Optional[int] = ..., rx_bytes_total: _Optional[int] = ..., tx_packets_total: _Optional[int] = ..., rx_packets_total: _Optional[int] = ..., ssid: _Optional[str] = ...) -> None: ...

class Firmware(_message.Message):
    __slots__ = ("installed_version", "channel", "latest_version", "architecture", "routerboot_current", "routerboot_upgrade", "routerboot_factory", "routerboard")
    INSTALLED_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    ROUTERBOOT_CURRENT_FIELD_NUMBER: _ClassVar[int]
    ROUTERBOOT_UPGRADE_FIELD_NUMBER: _ClassVar[int]
    ROUTERBOOT_FACTORY_FIELD_NUMBER: _ClassVar[int]
    ROUTERBOARD_FIELD_NUMBER: _ClassVar[int]
    installed_version: str
    channel: str
    latest_version: str
    architecture: str
    routerboot_current: str
    routerboot_upgrade: str
    routerboot_factory: str
    routerboard: bool
    def __init__(self, installed_version: _Optional[str] = ..., channel: _Optional[str] = ..., latest_version: _Optional[str] = ..., architecture: _Optional[str] = ..., routerboot_current: _Optional[str] = ..., routerboot_upgrade: _Optional[str] = ..., routerboot_factory: _Optional[str] = ..., routerboard: _Optional[bool] = ...) -> None: ...

class Inventory(_message.Message):
    __slots__ = ("revision", "identity", "board_name", "model", "serial_number", "architecture", "version", "platform", "cpu_name", "cpu_count", "cpu_frequency_mhz", "license_level", "factory_software", "interfaces")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    BOARD_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SERIAL_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    CPU_NAME_FIELD_NUMBER: _ClassVar[int]
    CPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    CPU_FREQUENCY_MHZ_FIELD_NUMBER: _ClassVar[int]
    LICENSE_LEVEL_FIELD_NUMBER: _ClassVar[int]
    FACTORY_SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    INTERFACES_FIELD_NUMBER: _ClassVar[int]
    revision: int
    identity: str
    board_name: str
    model: str
    serial_number: str
    architecture: str
    version: str
    platform: str
    cpu_name: str
    cpu_count: int
    cpu_frequency_mhz: int
    license_level: str
    factory_software: str
    interfaces: _containers.RepeatedCompositeFieldContainer[InterfaceDescription]
    def __init__(self, revision: _Optional[int] = ..., identity: _Optional[str] = ..., board_name: _Optional[str] = ..., model: _Optional[str] = ..., serial_number: _Optional[str] = ..., architecture: _Optional[str] = ..., version: _Optional[str] = ..., platform: _Optional[str] = ..., cpu_name: _Optional[str] = ..., cpu_count: _Optional[int] = ..., cpu_frequency_mhz: _Optional[int] = ..., license_level: _Optional[str] = ..., factory_software: _Optional[str] = ..., interfaces: _Optional[_Iterable[_Union[InterfaceDescription, _Mapping]]] = ...) -> None: ...

class InterfaceDescription(_message.Message):
    __slots__ = ("id", "name", "default_name", "type", "mac_address", "mtu", "actual_mtu", "l2mtu", "comment", "slave", "link_rate_bits_per_second", "full_duplex", "last_up_router_unix_seconds", "last_down_router_unix_seconds")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MAC_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_MTU_FIELD_NUMBER: _ClassVar[int]
    L2MTU_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    SLAVE_FIELD_NUMBER: _ClassVar[int]
    LINK_RATE_BITS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    FULL_DUPLEX_FIELD_NUMBER: _ClassVar[int]
    LAST_UP_ROUTER_UNIX_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LAST_DOWN_ROUTER_UNIX_SECONDS_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    default_name: str
    type: str
    mac_address: bytes
    mtu: int
    actual_mtu: int
    l2mtu: int
    comment: str
    slave: bool
    link_rate_bits_per_second: int
    full_duplex: bool
    last_up_router_unix_seconds: int
    last_down_router_unix_seconds: int
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., default_name: _Optional[str] = ..., type: _Optional[str] = ..., mac_address: _Optional[bytes] = ..., mtu: _Optional[int] = ..., actual_mtu: _Optional[int] = ..., l2mtu: _Optional[int] = ..., comment: _Optional[str] = ..., slave: _Optional[bool] = ..., link_rate_bits_per_second: _Optional[int] = ..., full_duplex: _Optional[bool] = ..., last_up_router_unix_seconds: _Optional[int] = ..., last_down_router_unix_seconds: _Optional[int] = ...) -> None: ...

class FirmwareAdvice(_message.Message):
    __slots__ = ("verdict", "installed_version", "channel", "latest_version", "latest_released_unix_seconds", "routerboot_upgrade_available", "routerboot_current", "routerboot_upgrade", "channel_read_unix_seconds", "channel_source")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    INSTALLED_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_FIELD_NUMBER: _ClassVar[int]
    LATEST_RELEASED_UNIX_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ROUTERBOOT_UPGRADE_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    ROUTERBOOT_CURRENT_FIELD_NUMBER: _ClassVar[int]
    ROUTERBOOT_UPGRADE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_READ_UNIX_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_SOURCE_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    installed_version: str
    channel: str
    latest_version: str
    latest_released_unix_seconds: int
    routerboot_upgrade_available: bool
    routerboot_current: str
    routerboot_upgrade: str
    channel_read_unix_seconds: int
    channel_source: ChannelSource
    def __init__(self, verdict: _Optional[_Union[Verdict, str]] = ..., installed_version: _Optional[str] = ..., channel: _Optional[str] = ..., latest_version: _Optional[str] = ..., latest_released_unix_seconds: _Optional[int] = ..., routerboot_upgrade_available: _Optional[bool] = ..., routerboot_current: _Optional[str] = ..., routerboot_upgrade: _Optional[str] = ..., channel_read_unix_seconds: _Optional[int] = ..., channel_source: _Optional[_Union[ChannelSource, str]] = ...) -> None: ...

class Trim(_message.Message):
    __slots__ = ("cause", "from_sequence", "to_sequence", "dropped_messages", "dropped_bytes", "unstored_messages", "from_unix_ms", "to_unix_ms", "max_bytes_before", "max_bytes", "window_seconds")
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TO_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNSTORED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    FROM_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    TO_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_BEFORE_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_SECONDS_FIELD_NUMBER: _ClassVar[int]
    cause: TrimCause
    from_sequence: int
    to_sequence: int
    dropped_messages: int
    dropped_bytes: int
    unstored_messages: int
    from_unix_ms: int
    to_unix_ms: int
    max_bytes_before: int
    max_bytes: int
    window_seconds: int
    def __init__(self, cause: _Optional[_Union[TrimCause, str]] = ..., from_sequence: _Optional[int] = ..., to_sequence: _Optional[int] = ..., dropped_messages: _Optional[int] = ..., dropped_bytes: _Optional[int] = ..., unstored_messages: _Optional[int] = ..., from_unix_ms: _Optional[int] = ..., to_unix_ms: _Optional[int] = ..., max_bytes_before: _Optional[int] = ..., max_bytes: _Optional[int] = ..., window_seconds: _Optional[int] = ...) -> None: ...
