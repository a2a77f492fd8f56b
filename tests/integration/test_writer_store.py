"""Events of a real stream become rows of a real database, exactly once."""

from fleet_contracts.gen.fleet.v1.events_pb2 import (
    Event,
    FirmwareAdvice,
    Health,
    Sensor,
    Trim,
    TrimCause,
    Verdict,
)
from fleet_contracts.subjects import STREAM_DEVICE, Kind, tenant_id
from support.waiting import eventually
from support.writer import (
    MINUTE_MS,
    ROWS_OF_A_POLL,
    interfaces,
    inventory,
    now_slot_ms,
    poll_events,
    status_down,
    status_up,
)
from support.writer_fleet import Fleet


async def test_every_event_becomes_its_rows(fleet: Fleet) -> None:
    slots = [now_slot_ms() - n * MINUTE_MS for n in (3, 2, 1)]
    events = await fleet.publish_polls(slots, ["gw-1", "gw-2"])
    fleet.writer()

    account = await fleet.stored(events)

    assert account["events_stored"] == events == 30
    assert account["rows_stored"] == await fleet.sample_rows() == 6 * ROWS_OF_A_POLL
    assert account["events_unaccounted"] == 0
    row = await fleet.rows(
        "SELECT rx_bytes_total, tx_packets_total, tx_queue_drops_total, running "
        "FROM interface_samples ORDER BY slot, device_id, interface_id LIMIT 1"
    )
    assert row == [
        {
            "rx_bytes_total": 900_000_000,
            "tx_packets_total": 500_000,
            "tx_queue_drops_total": 0,
            "running": True,
        }
    ]
    sensors = await fleet.rows(
        "SELECT DISTINCT name, unit, value, state FROM sensor_samples "
        "JOIN sensors ON sensors.id = sensor_id ORDER BY name"
    )
    assert [tuple(sensor.values()) for sensor in sensors] == [
        ("cpu-temperature", "celsius", 42.5, None),
        ("psu1-state", "state", None, "ok"),
        ("voltage", "volt", 42.5, None),
    ]
    client = await fleet.value("SELECT min(mac_address::text) FROM wireless_client_samples")
    assert client == "02:00:00:00:00:00"


async def test_a_value_the_router_did_not_give_is_null(fleet: Fleet) -> None:
    await fleet.publish("gw-1", Kind.HEALTH, Event(slot_unix_ms=now_slot_ms(), health=Health()))
    fleet.writer()
    await fleet.stored(1)

    (row,) = await fleet.rows("SELECT * FROM health_samples")

    given = {name: value for name, value in row.items() if value is not None}
    assert given.keys() == {"slot", "device_id"}


async def test_the_consumer_shows_the_stored_position_on_the_broker(fleet: Fleet) -> None:
    last = await fleet.publish_polls([now_slot_ms()], ["gw-1"])
    fleet.writer()
    await fleet.stored(last)

    info = await eventually(
        lambda: fleet.js.consumer_info(fleet.stream, "metrics-writer"),
        lambda info: info.ack_floor is not None and info.ack_floor.stream_seq == last,
        what="acknowledged up to the stored position",
    )

    assert info.num_ack_pending == 0


async def test_events_published_twice_are_stored_once(fleet: Fleet) -> None:
    slots = [now_slot_ms() - MINUTE_MS, now_slot_ms()]
    events = await fleet.publish_polls(slots, ["gw-1", "gw-2"])
    writer = fleet.writer()
    await fleet.stored(events)
    once = await fleet.sample_rows()

    # Without message ids the broker takes them as new; a fresh event goes with them.
    await fleet.publish_polls(slots, ["gw-1", "gw-2"])
    last = await fleet.publish("gw-3", Kind.STATUS, status_up(now_slot_ms()))
    account = await fleet.stored(last)

    assert await fleet.sample_rows() == once + 1
    assert account["rows_duplicate"] == once
    assert account["rows_stored"] == once + 1
    absorbed = writer.value("fleet_writer_duplicate_rows_total", table="interface_samples")
    assert absorbed == 40


async def test_the_same_event_twice_in_one_batch_is_stored_once(fleet: Fleet) -> None:
    for _ in range(2):
        await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms()))
    fleet.writer()

    account = await fleet.stored(2)

    assert account["events_stored"] == 2
    assert (account["rows_stored"], account["rows_duplicate"]) == (1, 1)


async def test_a_poison_message_is_set_aside_and_the_rest_goes_on(fleet: Fleet) -> None:
    writer = fleet.writer()
    await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms()))
    await fleet.js.publish("fleet.acme.gw-1.status", b"\xff" * 9000)
    last = await fleet.publish("gw-2", Kind.STATUS, status_up(now_slot_ms()))

    account = await fleet.stored(last)

    assert (account["events_stored"], account["events_rejected"]) == (2, 1)
    (rejected,) = await fleet.rows("SELECT * FROM rejected_events")
    assert rejected["sequence"] == 2
    assert rejected["subject"] == "fleet.acme.gw-1.status"
    assert rejected["reason"] == "payload: not a fleet.v1.Event"
    assert rejected["payload"] == b"\xff" * 4096
    assert rejected["payload_bytes"] == 9000
    assert writer.value("fleet_writer_rejected_events_total", reason="payload") == 1


async def test_a_value_no_column_holds_is_found_and_set_aside(fleet: Fleet) -> None:
    """The database refuses the whole batch; the one message is found, the others stored."""
    too_large = interfaces(now_slot_ms(), 1)
    too_large.interfaces.rx_bytes_total[0] = 2**64 - 1
    nul = Event(
        slot_unix_ms=now_slot_ms(),
        health=Health(sensors=[Sensor(name="fan\0", value_thousandths=1)]),
    )
    await fleet.publish_polls([now_slot_ms()], [f"gw-{n}" for n in range(10)])
    await fleet.publish("bad-1", Kind.INTERFACES, too_large)
    await fleet.publish("bad-2", Kind.HEALTH, nul)
    last = await fleet.publish_polls([now_slot_ms()], [f"sw-{n}" for n in range(10)])
    last += 50 + 2
    fleet.writer()

    account = await fleet.stored(last)

    assert (account["events_stored"], account["events_rejected"]) == (100, 2)
    assert await fleet.sample_rows() == 20 * ROWS_OF_A_POLL
    reasons = await fleet.rows("SELECT subject, reason FROM rejected_events ORDER BY sequence")
    assert [reason["subject"].split(".")[2] for reason in reasons] == ["bad-1", "bad-2"]
    assert "interface_samples" in reasons[0]["reason"]


async def test_another_tenants_event_in_the_stream_is_rejected(fleet: Fleet) -> None:
    await fleet.js.update_stream(  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        name=fleet.stream,
        subjects=["fleet.acme.>", "fleet.other.>"],
        max_bytes=1 << 24,
        allow_direct=True,
        max_msg_size=512 * 1024,
    )
    message = poll_events(now_slot_ms())[Kind.STATUS]
    message.schema_version = 1
    await fleet.js.publish("fleet.other.gw-1.status", message.SerializeToString())
    fleet.writer()

    account = await fleet.stored(1)

    assert account["events_rejected"] == 1
    assert await fleet.value("SELECT count(*) FROM devices") == 0


async def test_a_slot_in_the_future_is_rejected_and_one_before_retention_not_stored(
    fleet: Fleet,
) -> None:
    writer = fleet.writer()
    await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms() + 48 * 60 * MINUTE_MS))
    old = await fleet.publish("gw-1", Kind.STATUS, status_up(now_slot_ms() - 1000 * 86_400_000))

    account = await fleet.stored(old)

    assert account["events_rejected"] == 1
    assert account["rows_expired"] == 1
    assert account["events_unaccounted"] == 0
    assert await fleet.sample_rows() == 0
    assert writer.value("fleet_writer_expired_rows_total", tenant="acme") == 1


async def test_many_rejected_messages_turn_health_red_and_are_all_kept(fleet: Fleet) -> None:
    writer = fleet.writer(rejected_window_messages=50, rejected_limit_ratio=0.2)
    for _ in range(11):
        await fleet.js.publish("fleet.acme.gw-1.status", b"garbage")
    account = await fleet.stored(11)

    assert account["events_rejected"] == 11
    report = writer.health.report()
    assert report.failing["rejected events"].startswith("11 of the last 11 messages")

    await fleet.publish_polls([now_slot_ms()], [f"gw-{n}" for n in range(12)])
    await fleet.stored(11 + 60)
    assert "rejected events" not in writer.health.report().failing


async def test_the_read_model_follows_the_events(fleet: Fleet) -> None:
    slot = now_slot_ms() - 10 * MINUTE_MS
    await fleet.publish("gw-1", Kind.INVENTORY, inventory(slot, {1: "ether1", 2: "ether2"}))
    await fleet.publish("gw-1", Kind.STATUS, status_up(slot))
    await fleet.publish("gw-1", Kind.STATUS, status_down(slot + MINUTE_MS, 1))
    fleet.writer()
    await fleet.stored(3)
    # A second session must go on from what the first one stored.
    await fleet.end()
    await fleet.publish("gw-1", Kind.STATUS, status_down(slot + 2 * MINUTE_MS, 2))
    await fleet.publish("gw-1", Kind.INVENTORY, inventory(slot + MINUTE_MS, {2: "uplink"}, 78))
    advice = FirmwareAdvice(verdict=Verdict.VERDICT_UPGRADE_AVAILABLE, latest_version="7.21")
    last = await fleet.publish(
        "gw-1", Kind.FIRMWARE_ADVICE, Event(slot_unix_ms=slot, firmware_advice=advice)
    )
    fleet.writer()
    await fleet.stored(last)

    (device,) = await fleet.rows("SELECT * FROM current_devices")
    assert (device["state"], device["error_class"], device["consecutive_failures"]) == (
        "down",
        "timeout",
        2,
    )
    assert device["last_seen"].timestamp() * 1000 == slot + 120
    assert device["unreachable_since"].timestamp() * 1000 == slot + MINUTE_MS
    assert device["reachable_since"] is None
    assert (device["model"], device["firmware_verdict"]) == ("CCR2004", "upgrade_available")
    listed = await fleet.rows("SELECT interface_id, name, present FROM interfaces ORDER BY 1")
    assert [tuple(one.values()) for one in listed] == [(1, "ether1", False), (2, "uplink", True)]
    current = await fleet.rows("SELECT device, name FROM current_interfaces")
    assert current == [{"device": "gw-1", "name": "uplink"}]
    (overview,) = await fleet.rows("SELECT * FROM fleet_overview")
    assert (overview["devices"], overview["down"], overview["upgrades_available"]) == (1, 1, 1)


async def test_what_a_stream_says_it_dropped_is_stored_once_and_is_no_device(fleet: Fleet) -> None:
    slot = now_slot_ms()
    trim = Trim(
        cause=TrimCause.TRIM_CAUSE_SHRUNK,
        from_sequence=3, to_sequence=9, dropped_messages=6, dropped_bytes=2_000,
        unstored_messages=1, from_unix_ms=slot - MINUTE_MS,
        max_bytes_before=4096, max_bytes=2048, window_seconds=900,
    )  # fmt: skip
    for _ in range(2):
        await fleet.publish(STREAM_DEVICE, Kind.TRIM, Event(slot_unix_ms=slot, trim=trim))
    last = await fleet.publish("gw-1", Kind.STATUS, status_up(slot))
    fleet.writer()
    account = await fleet.stored(last)

    assert account["events_stored"] == last
    (stored,) = await fleet.rows("SELECT * FROM stream_trims")
    assert (stored["cause"], stored["from_sequence"], stored["to_sequence"]) == ("shrunk", 3, 9)
    assert (stored["dropped_messages"], stored["unstored_messages"]) == (6, 1)
    assert stored["first_published_at"].timestamp() * 1000 == slot - MINUTE_MS
    assert stored["last_published_at"] is None
    assert [one["name"] for one in await fleet.rows("SELECT name FROM devices")] == ["gw-1"]


async def test_a_new_tenant_is_found_by_itself(fleet: Fleet) -> None:
    writer = fleet.writer()
    await eventually(lambda: writer.value("fleet_writer_owned_streams"), lambda n: n == 1)
    other = Fleet(fleet.client, fleet.nats_url, fleet.database_url, tenant_id("zeta"))
    await other.declare()
    await other.publish("gw-1", Kind.STATUS, status_up(now_slot_ms()))

    account = await other.stored(1)
    assert (account["tenant"], account["events_stored"]) == ("zeta", 1)


async def test_one_transaction_for_two_tenants_accounts_each_its_own(fleet: Fleet) -> None:
    """Duplicates and refused values of the one are not the other's."""
    other = Fleet(fleet.client, fleet.nats_url, fleet.database_url, tenant_id("zeta"))
    await other.declare()
    bad = interfaces(now_slot_ms(), 1)
    bad.interfaces.rx_bytes_total[0] = 2**64 - 1
    await other.publish("bad", Kind.INTERFACES, bad)
    for _ in range(2):
        await other.publish_polls([now_slot_ms()], ["gw-1"])
    await fleet.publish_polls([now_slot_ms()], ["gw-1", "gw-2"])
    fleet.writer(linger_seconds=0.3)

    acme = await fleet.stored(10)
    zeta = await other.stored(11)

    assert (acme["events_stored"], acme["rows_stored"]) == (10, 2 * ROWS_OF_A_POLL)
    assert (acme["rows_duplicate"], acme["events_rejected"]) == (0, 0)
    assert (zeta["events_stored"], zeta["rows_stored"]) == (10, ROWS_OF_A_POLL)
    assert (zeta["rows_duplicate"], zeta["events_rejected"]) == (ROWS_OF_A_POLL, 1)
