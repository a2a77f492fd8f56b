-- Dimensions and what is folded from events. One writer owns each tenant's rows.
CREATE TABLE tenants (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);

-- The read model's hot part: rewritten with every poll, so it is narrow and leaves room
-- on its pages for in-place updates.
CREATE TABLE devices (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id integer NOT NULL REFERENCES tenants,
    name text NOT NULL,
    reachable boolean,
    status_slot timestamptz,
    interfaces_slot timestamptz,
    last_seen timestamptz,
    reachable_since timestamptz,
    unreachable_since timestamptz,
    last_reboot_seen timestamptz,
    uptime_seconds bigint,
    consecutive_failures bigint NOT NULL DEFAULT 0,
    error_class text,
    error_message text,
    UNIQUE (tenant_id, name)
) WITH (fillfactor = 70);
COMMENT ON COLUMN devices.reachable IS 'NULL until the first status event';
COMMENT ON COLUMN devices.last_seen IS 'when the router last answered; does not move while it is away';
COMMENT ON COLUMN devices.last_reboot_seen IS 'slot of the last poll that found the uptime fallen';

CREATE TABLE device_inventories (
    device_id integer PRIMARY KEY REFERENCES devices ON DELETE CASCADE,
    slot timestamptz NOT NULL,
    revision bigint NOT NULL,
    identity text NOT NULL,
    board_name text NOT NULL,
    model text NOT NULL,
    serial_number text NOT NULL,
    architecture text NOT NULL,
    version text NOT NULL,
    platform text NOT NULL,
    cpu_name text NOT NULL,
    cpu_count bigint,
    cpu_frequency_mhz bigint,
    license_level text NOT NULL,
    factory_software text NOT NULL
);

CREATE TABLE device_firmware (
    device_id integer PRIMARY KEY REFERENCES devices ON DELETE CASCADE,
    slot timestamptz NOT NULL,
    installed_version text NOT NULL,
    channel text NOT NULL,
    latest_version text NOT NULL,
    architecture text NOT NULL,
    routerboot_current text NOT NULL,
    routerboot_upgrade text NOT NULL,
    routerboot_factory text NOT NULL,
    routerboard boolean
);

CREATE TABLE device_firmware_advice (
    device_id integer PRIMARY KEY REFERENCES devices ON DELETE CASCADE,
    slot timestamptz NOT NULL,
    verdict text NOT NULL,
    installed_version text NOT NULL,
    channel text NOT NULL,
    latest_version text NOT NULL,
    latest_released timestamptz,
    routerboot_upgrade_available boolean NOT NULL,
    channel_read timestamptz
);

CREATE TABLE interfaces (
    device_id integer NOT NULL REFERENCES devices ON DELETE CASCADE,
    interface_id bigint NOT NULL,
    present boolean NOT NULL,
    inventory_revision bigint NOT NULL,
    name text NOT NULL,
    default_name text NOT NULL,
    type text NOT NULL,
    mac_address macaddr,
    mtu bigint,
    actual_mtu bigint,
    l2mtu bigint,
    comment text NOT NULL,
    slave boolean,
    link_rate_bits_per_second bigint,
    full_duplex boolean,
    last_link_up timestamp,
    last_link_down timestamp,
    PRIMARY KEY (device_id, interface_id)
);
COMMENT ON COLUMN interfaces.interface_id IS 'RouterOS .id, hexadecimal read as a number';
COMMENT ON COLUMN interfaces.present IS 'in the newest inventory';
COMMENT ON COLUMN interfaces.last_link_up IS 'by the router''s own clock, local to the router';

CREATE TABLE sensors (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    unit text NOT NULL,
    UNIQUE (name, unit)
);
COMMENT ON COLUMN sensors.unit IS 'celsius, volt, ampere, watt, rpm, percent, state; empty where unknown';
