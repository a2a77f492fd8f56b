-- Samples: narrow rows, wide columns first (no padding), keyed by (device, slot, …), so
-- that an event stored twice is one event. {{partition_by_slot}} is PARTITION BY RANGE
-- (slot) on plain PostgreSQL and nothing where TimescaleDB makes the chunks.
CREATE TABLE device_status_samples (
    slot timestamptz NOT NULL,
    device_id integer NOT NULL,
    observed_after_slot_ms bigint NOT NULL,
    poll_duration_us bigint NOT NULL,
    uptime_seconds bigint,
    consecutive_failures bigint NOT NULL,
    reachable boolean NOT NULL,
    rebooted boolean NOT NULL,
    error_class text,
    PRIMARY KEY (device_id, slot)
) {{partition_by_slot}};

CREATE TABLE health_samples (
    slot timestamptz NOT NULL,
    device_id integer NOT NULL,
    bad_blocks_permille integer,
    memory_free_bytes bigint,
    memory_total_bytes bigint,
    disk_free_bytes bigint,
    disk_total_bytes bigint,
    write_sectors_total bigint,
    cpu_load_percent smallint,
    cpu_core_load_percent smallint[],
    PRIMARY KEY (device_id, slot)
) {{partition_by_slot}};

CREATE TABLE sensor_samples (
    slot timestamptz NOT NULL,
    device_id integer NOT NULL,
    sensor_id integer NOT NULL,
    value double precision,
    state text,
    PRIMARY KEY (device_id, slot, sensor_id)
) {{partition_by_slot}};

CREATE TABLE interface_samples (
    slot timestamptz NOT NULL,
    interface_id bigint NOT NULL,
    rx_bytes_total bigint,
    tx_bytes_total bigint,
    rx_packets_total bigint,
    tx_packets_total bigint,
    rx_errors_total bigint,
    tx_errors_total bigint,
    rx_drops_total bigint,
    tx_drops_total bigint,
    tx_queue_drops_total bigint,
    link_downs_total bigint,
    device_id integer NOT NULL,
    running boolean NOT NULL,
    disabled boolean NOT NULL,
    PRIMARY KEY (device_id, slot, interface_id)
) {{partition_by_slot}};

CREATE TABLE wireless_samples (
    slot timestamptz NOT NULL,
    device_id integer NOT NULL,
    radios integer NOT NULL,
    clients integer NOT NULL,
    clients_left_out bigint NOT NULL,
    package text NOT NULL,
    PRIMARY KEY (device_id, slot)
) {{partition_by_slot}};

CREATE TABLE radio_samples (
    slot timestamptz NOT NULL,
    device_id integer NOT NULL,
    frequency_mhz integer,
    channel_width_mhz integer,
    noise_floor_dbm smallint,
    tx_power_dbm smallint,
    clients integer,
    running boolean,
    interface text NOT NULL,
    ssid text NOT NULL,
    band text NOT NULL,
    PRIMARY KEY (device_id, slot, interface)
) {{partition_by_slot}};

CREATE TABLE wireless_client_samples (
    slot timestamptz NOT NULL,
    uptime_seconds bigint,
    tx_rate_bits_per_second bigint,
    rx_rate_bits_per_second bigint,
    tx_bytes_total bigint,
    rx_bytes_total bigint,
    tx_packets_total bigint,
    rx_packets_total bigint,
    device_id integer NOT NULL,
    signal_dbm smallint,
    signal_to_noise_db smallint,
    tx_ccq_percent smallint,
    rx_ccq_percent smallint,
    mac_address macaddr NOT NULL,
    interface text NOT NULL,
    ssid text NOT NULL,
    PRIMARY KEY (device_id, slot, mac_address, interface)
) {{partition_by_slot}};

CREATE TABLE firmware_samples (
    slot timestamptz NOT NULL,
    device_id integer NOT NULL,
    routerboard boolean,
    installed_version text NOT NULL,
    channel text NOT NULL,
    latest_version text NOT NULL,
    architecture text NOT NULL,
    routerboot_current text NOT NULL,
    routerboot_upgrade text NOT NULL,
    routerboot_factory text NOT NULL,
    PRIMARY KEY (device_id, slot)
) {{partition_by_slot}};

CREATE TABLE firmware_advice_samples (
    slot timestamptz NOT NULL,
    device_id integer NOT NULL,
    routerboot_upgrade_available boolean NOT NULL,
    verdict text NOT NULL,
    installed_version text NOT NULL,
    channel text NOT NULL,
    latest_version text NOT NULL,
    PRIMARY KEY (device_id, slot)
) {{partition_by_slot}};

CREATE TABLE inventory_samples (
    slot timestamptz NOT NULL,
    revision bigint NOT NULL,
    device_id integer NOT NULL,
    interfaces integer NOT NULL,
    identity text NOT NULL,
    version text NOT NULL,
    PRIMARY KEY (device_id, slot)
) {{partition_by_slot}};
