-- The longest distance between two samples of an interface that still gives a rate. The
-- writer keeps it at FLEET_WRITER__RATE_GAP_SECONDS.
CREATE TABLE rate_settings (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    max_gap interval NOT NULL
);
INSERT INTO rate_settings (max_gap) VALUES ('3 minutes');

-- How far a total moved. NULL where that cannot be known: a value is missing, or the
-- total fell. A total that fell alone, below half of 2^32 in serial arithmetic, wrapped.
CREATE FUNCTION counter_delta(before bigint, now bigint, may_wrap boolean) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN now >= before THEN now - before
        WHEN may_wrap AND before < 4294967296 AND now - before + 4294967296 <= 2147483648
            THEN now - before + 4294967296
    END
$$;

-- Rates between consecutive samples of each interface whose later sample lies within
-- [from_time, to_time). A pair gives no rate (all NULL) when
--   * it is further apart than rate_settings.max_gap: nobody knows what happened between;
--   * the device rebooted between (its status says so, or its uptime did not advance with
--     the clock, 30 s of slack): totals began anew.
-- A single total that fell gives NULL for that rate alone (its counter was reset), unless
-- it is a 32-bit counter that wrapped: uptimes are known, so there was no reboot, and no
-- other of the four traffic totals fell (a reset takes all of them down).
CREATE FUNCTION interface_rates_between(from_time timestamptz, to_time timestamptz)
RETURNS TABLE (
    device_id integer, interface_id bigint, slot timestamptz, seconds double precision,
    usable boolean,
    rx_bits_per_second double precision, tx_bits_per_second double precision,
    rx_packets_per_second double precision, tx_packets_per_second double precision,
    rx_errors_per_second double precision, tx_errors_per_second double precision,
    rx_drops_per_second double precision, tx_drops_per_second double precision,
    link_downs bigint
)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH samples AS (
        SELECT s.*, status.uptime_seconds, coalesce(status.rebooted, false) AS rebooted
        FROM interface_samples s
        LEFT JOIN device_status_samples status
            ON status.device_id = s.device_id AND status.slot = s.slot
            AND status.slot >= from_time - (SELECT max_gap FROM rate_settings)
            AND status.slot < to_time
        WHERE s.slot >= from_time - (SELECT max_gap FROM rate_settings) AND s.slot < to_time
    ), pairs AS (
        SELECT device_id, interface_id, slot, rebooted, uptime_seconds,
            rx_bytes_total, tx_bytes_total, rx_packets_total, tx_packets_total,
            rx_errors_total, tx_errors_total, rx_drops_total, tx_drops_total, link_downs_total,
            lag(slot) OVER pair AS slot_0,
            lag(uptime_seconds) OVER pair AS uptime_0,
            lag(rx_bytes_total) OVER pair AS rx_bytes_0,
            lag(tx_bytes_total) OVER pair AS tx_bytes_0,
            lag(rx_packets_total) OVER pair AS rx_packets_0,
            lag(tx_packets_total) OVER pair AS tx_packets_0,
            lag(rx_errors_total) OVER pair AS rx_errors_0,
            lag(tx_errors_total) OVER pair AS tx_errors_0,
            lag(rx_drops_total) OVER pair AS rx_drops_0,
            lag(tx_drops_total) OVER pair AS tx_drops_0,
            lag(link_downs_total) OVER pair AS link_downs_0
        FROM samples
        WINDOW pair AS (PARTITION BY device_id, interface_id ORDER BY slot)
    ), judged AS (
        SELECT *,
            extract(epoch FROM slot - slot_0)::double precision AS seconds,
            slot - slot_0 <= (SELECT max_gap FROM rate_settings)
                AND NOT rebooted
                AND coalesce(
                    uptime_seconds + 30 >= uptime_0 + extract(epoch FROM slot - slot_0), true
                ) AS usable,
            uptime_seconds IS NOT NULL AND uptime_0 IS NOT NULL
                AND coalesce((rx_bytes_total < rx_bytes_0)::integer, 0)
                    + coalesce((tx_bytes_total < tx_bytes_0)::integer, 0)
                    + coalesce((rx_packets_total < rx_packets_0)::integer, 0)
                    + coalesce((tx_packets_total < tx_packets_0)::integer, 0) <= 1 AS may_wrap
        FROM pairs
        WHERE slot_0 IS NOT NULL AND slot >= from_time
    )
    SELECT device_id, interface_id, slot, seconds, usable,
        8 * counter_delta(rx_bytes_0, rx_bytes_total, may_wrap) / divisor,
        8 * counter_delta(tx_bytes_0, tx_bytes_total, may_wrap) / divisor,
        counter_delta(rx_packets_0, rx_packets_total, may_wrap) / divisor,
        counter_delta(tx_packets_0, tx_packets_total, may_wrap) / divisor,
        counter_delta(rx_errors_0, rx_errors_total, false) / divisor,
        counter_delta(tx_errors_0, tx_errors_total, false) / divisor,
        counter_delta(rx_drops_0, rx_drops_total, false) / divisor,
        counter_delta(tx_drops_0, tx_drops_total, false) / divisor,
        CASE WHEN usable THEN counter_delta(link_downs_0, link_downs_total, false) END
    FROM judged, LATERAL (SELECT CASE WHEN usable THEN seconds END AS divisor) AS d
$$;

CREATE VIEW interface_rates AS
SELECT tenants.name AS tenant, devices.name AS device, interfaces.name AS interface, rates.*
FROM interface_rates_between('-infinity', 'infinity') AS rates
JOIN devices ON devices.id = rates.device_id
JOIN tenants ON tenants.id = devices.tenant_id
LEFT JOIN interfaces
    ON interfaces.device_id = rates.device_id AND interfaces.interface_id = rates.interface_id;
COMMENT ON VIEW interface_rates IS
    'over everything stored; a panel with a time range calls interface_rates_between(from, to)';

CREATE VIEW current_devices AS
SELECT devices.id AS device_id, tenants.name AS tenant, devices.name AS device,
    CASE reachable WHEN true THEN 'up' WHEN false THEN 'down' ELSE 'unknown' END AS state,
    last_seen, reachable_since, unreachable_since, last_reboot_seen, status_slot,
    uptime_seconds, consecutive_failures, error_class, error_message,
    inventory.identity, inventory.board_name, inventory.model, inventory.serial_number,
    inventory.architecture, inventory.version, inventory.platform,
    firmware.channel, firmware.routerboot_current, firmware.routerboot_upgrade,
    advice.verdict AS firmware_verdict, advice.latest_version AS firmware_latest_version,
    advice.routerboot_upgrade_available
FROM devices
JOIN tenants ON tenants.id = devices.tenant_id
LEFT JOIN device_inventories inventory ON inventory.device_id = devices.id
LEFT JOIN device_firmware firmware ON firmware.device_id = devices.id
LEFT JOIN device_firmware_advice advice ON advice.device_id = devices.id;

CREATE VIEW current_interfaces AS
SELECT tenants.name AS tenant, devices.name AS device, interfaces.*,
    latest.slot, latest.running, latest.disabled,
    latest.rx_bytes_total, latest.tx_bytes_total,
    latest.rx_errors_total, latest.tx_errors_total, latest.link_downs_total
FROM interfaces
JOIN devices ON devices.id = interfaces.device_id
JOIN tenants ON tenants.id = devices.tenant_id
LEFT JOIN interface_samples latest
    ON latest.device_id = interfaces.device_id AND latest.interface_id = interfaces.interface_id
    AND latest.slot = devices.interfaces_slot
WHERE interfaces.present;

CREATE VIEW fleet_overview AS
SELECT tenant,
    count(*) AS devices,
    count(*) FILTER (WHERE state = 'up') AS up,
    count(*) FILTER (WHERE state = 'down') AS down,
    count(*) FILTER (WHERE state = 'unknown') AS unknown,
    count(*) FILTER (WHERE firmware_verdict = 'upgrade_available') AS upgrades_available,
    min(last_seen) FILTER (WHERE state = 'down') AS longest_away_last_seen,
    max(status_slot) AS newest_slot
FROM current_devices GROUP BY tenant;
