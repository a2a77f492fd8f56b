"""The firmware-checker as a process, against a real nats-server and a real HTTP host."""

import json
import signal
import time
from pathlib import Path

from nats.aio.client import Client

from fleet_common.direct import StoredMessage, last_message, last_messages
from fleet_contracts.codec import encode
from fleet_contracts.gen.fleet.v1.events_pb2 import Event, Firmware
from fleet_contracts.subjects import (
    Kind,
    kind_subjects,
)
from fleet_simulator.upgrade_host import Answer, UpgradeHost
from support.firmware_checker import (
    DURABLE,
    MODULE,
    NOW_MS,
    STABLE,
    STREAM,
    TENANT,
    advice_of,
    all_answered,
    declare,
    publish_firmware,
    settings,
    stored_advice,
    verdict_of,
    wait_for_verdict,
)
from support.nats import NatsServer
from support.ports import free_port
from support.processes import service_process
from support.waiting import eventually


async def test_events_are_answered_with_advice_of_their_own_slot(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    await publish_firmware(nats_client, "r1", "7.20.1")
    with service_process(MODULE, settings(nats_server, host), tmp_path) as service:
        await service.ready()
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.4")
        await publish_firmware(nats_client, "r2", "7.24.4")
        await publish_firmware(nats_client, "r3", "6.49.10", channel="current")
        await publish_firmware(nats_client, "r4", "6.49.10", channel="release-candidate")
        await publish_firmware(nats_client, "r5", "7.25beta5")
        await publish_firmware(nats_client, "r6", "7.20", channel="nightly")
        await publish_firmware(nats_client, "r7", "unreadable")
        await wait_for_verdict(nats_client, "r2", "up_to_date 7.24.4")
        await wait_for_verdict(nats_client, "r3", "upgrade_available 6.49.22")
        await wait_for_verdict(nats_client, "r4", "channel_unknown")
        await wait_for_verdict(nats_client, "r5", "ahead_of_channel 7.24.4")
        await wait_for_verdict(nats_client, "r6", "channel_unknown")
        await wait_for_verdict(nats_client, "r7", "version_unknown")
        await all_answered(nats_client)
        decoded = await advice_of(nats_client, "r1")
        assert decoded is not None
        assert decoded.event.slot_unix_ms == NOW_MS
        assert decoded.event.observed_after_slot_ms > 0
        assert decoded.event.firmware_advice.latest_released_unix_seconds == 1_789_558_341
        assert host.counts[STABLE] == 1
        assert await service.metric("fleet_firmware_advice_published_total") == 7
        assert await service.metric("fleet_firmware_devices") == 7
        assert await service.stop() == 0


async def test_streams_are_left_exactly_as_their_owner_made_them(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    async def config() -> bytes:
        answer = await nats_client.request(f"$JS.API.STREAM.INFO.{STREAM}", b"", timeout=5)
        return json.dumps(json.loads(answer.data)["config"], sort_keys=True).encode()

    await declare(nats_client, max_bytes=3_000_000)
    before = await config()
    with service_process(MODULE, settings(nats_server, host), tmp_path) as service:
        await service.ready()
        await publish_firmware(nats_client, "r1", "7.20.1")
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.4")
        assert await config() == before
        assert await service.stop() == 0
    assert await config() == before
    answer = await nats_client.request("$JS.API.STREAM.NAMES", b"", timeout=5)
    assert json.loads(answer.data)["streams"] == [STREAM]


async def test_a_restart_repeats_nothing_and_goes_on(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)

    async def run_once(slot: int, outcome: str) -> None:
        with service_process(MODULE, settings(nats_server, host), tmp_path / outcome) as service:
            await service.ready()
            await publish_firmware(nats_client, "r1", "7.20.1", slot=slot)
            await publish_firmware(nats_client, "r2", "7.24.4", slot=slot)
            # The channel is read anew by each process; only then could it repeat itself.
            await eventually(
                lambda: service.metric(f'fleet_firmware_checks_total{{outcome="{outcome}"}}'),
                lambda count: count >= 2,
                what=f"both devices {outcome}",
            )
            await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.4")
            await wait_for_verdict(nats_client, "r2", "up_to_date 7.24.4")
            await all_answered(nats_client)
            assert await service.stop() == 0

    await run_once(NOW_MS, "published")
    assert await stored_advice(nats_client) == 2
    await run_once(NOW_MS + 1, "unchanged")
    assert await stored_advice(nats_client) == 2
    assert host.counts[STABLE] == 2


async def test_a_newer_channel_reaches_devices_without_a_new_event(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    await publish_firmware(nats_client, "r1", "7.20.1")
    await publish_firmware(nats_client, "r2", "7.24.4")
    quick = settings(nats_server, host, refresh_seconds="0.3")
    with service_process(MODULE, quick, tmp_path) as service:
        await service.ready()
        await wait_for_verdict(nats_client, "r2", "up_to_date 7.24.4")
        host.offer(STABLE, "7.24.5")
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.5")
        await wait_for_verdict(nats_client, "r2", "upgrade_available 7.24.5")
        decoded = await advice_of(nats_client, "r1")
        assert decoded is not None
        assert decoded.event.slot_unix_ms > NOW_MS
        assert await stored_advice(nats_client) == 4
        assert any("if-none-match" in request.headers for request in host.requests)
        assert await service.stop() == 0


async def test_a_channel_that_cannot_be_read_delays_advice_and_loses_none(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    host.answers[STABLE] = Answer(status=503)
    await declare(nats_client)
    await publish_firmware(nats_client, "r1", "7.20.1")
    quick = settings(nats_server, host, first_retry_seconds="0.2", retry_seconds="0.4")
    with service_process(MODULE, quick, tmp_path) as service:
        await service.ready()
        await eventually(lambda: host.counts[STABLE], lambda asked: asked >= 3, what="retries")
        assert await verdict_of(nats_client, "r1") is None
        await all_answered(nats_client)
        host.offer(STABLE, "7.24.4")
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.4")
        decoded = await advice_of(nats_client, "r1")
        assert decoded is not None
        assert decoded.event.slot_unix_ms == NOW_MS
        assert await service.metric('fleet_firmware_channel_fetches_total{outcome="failed"}') >= 3
        assert await service.stop() == 0


async def test_a_fetch_that_hangs_holds_up_neither_events_nor_the_end(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    host.answers[STABLE] = Answer(stall=True)
    await declare(nats_client)
    await publish_firmware(nats_client, "r1", "7.20.1")
    with service_process(MODULE, settings(nats_server, host), tmp_path) as service:
        await service.ready()
        await eventually(lambda: host.counts[STABLE], lambda asked: asked == 1, what="the fetch")
        await publish_firmware(nats_client, "r2", "nonsense")
        await wait_for_verdict(nats_client, "r2", "version_unknown")
        started = time.monotonic()
        assert await service.stop() == 0
        assert time.monotonic() - started < 8


async def test_a_poison_message_is_set_aside_once_and_the_rest_goes_on(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    js = nats_client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    await js.publish("fleet.acme.r1.firmware", b"\xff garbage")
    await js.publish("fleet.acme.r2.firmware", b"")
    await js.publish("fleet.acme.UPPER.firmware", b"x")
    with service_process(MODULE, settings(nats_server, host), tmp_path) as service:
        await service.ready()
        await publish_firmware(nats_client, "r3", "7.20.1")
        await wait_for_verdict(nats_client, "r3", "upgrade_available 7.24.4")
        await all_answered(nats_client)
        metric = "fleet_firmware_events_rejected_total"
        assert await service.metric(f'{metric}{{reason="payload"}}') == 1
        assert await service.metric(f'{metric}{{reason="schema_version"}}') == 1
        assert await service.metric(f'{metric}{{reason="device"}}') == 1
        assert await service.stop() == 0
    reasons = [r["reason"] for r in service.log_records() if "malformed" in r["message"]]
    assert len(reasons) == 3
    assert "payload: not a fleet.v1.Event" in reasons


async def test_tenants_are_found_and_let_go_while_running(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    with service_process(MODULE, settings(nats_server, host), tmp_path) as service:
        await service.ready()
        await declare(nats_client, "beta")
        await publish_firmware(nats_client, "r1", "7.20.1", tenant="beta")
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.4", "beta")
        await eventually(
            lambda: service.metric("fleet_firmware_streams"), lambda n: n == 2, what="two streams"
        )
        js = nats_client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        await js.delete_stream(STREAM)
        await eventually(
            lambda: service.metric("fleet_firmware_streams"), lambda n: n == 1, what="one stream"
        )
        # Made anew: sequences begin at 1, so nothing of the old stream may be remembered.
        await declare(nats_client)
        await publish_firmware(nats_client, "r1", "7.20.1")
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.4")
        await js.delete_consumer(STREAM, DURABLE)
        await publish_firmware(nats_client, "r2", "7.24.4")
        await wait_for_verdict(nats_client, "r2", "up_to_date 7.24.4")
        assert await service.stop() == 0


async def test_advice_that_the_stream_discarded_is_published_again(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    with service_process(MODULE, settings(nats_server, host), tmp_path) as service:
        await service.ready()
        await publish_firmware(nats_client, "r1", "7.20.1")
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.4")
        first = await advice_of(nats_client, "r1")
        js = nats_client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        await js.purge_stream(STREAM)
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.4")
        again = await advice_of(nats_client, "r1")
        assert first is not None
        assert again is not None
        assert again.event.slot_unix_ms > first.event.slot_unix_ms
        assert again.event.firmware_advice == first.event.firmware_advice
        assert await service.stop() == 0


async def test_two_checkers_give_each_advice_once(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    quick = settings(nats_server, host, refresh_seconds="0.3")
    with (
        service_process(MODULE, quick, tmp_path / "one") as one,
        service_process(MODULE, quick, tmp_path / "two") as two,
    ):
        await one.ready()
        await two.ready()
        for number in range(40):
            await publish_firmware(nats_client, f"r{number}", "7.20.1")
        await eventually(
            lambda: stored_advice(nats_client), lambda count: count >= 40, what="first advice"
        )
        for version in ("7.24.5", "7.24.6"):
            host.offer(STABLE, version)
            for number in range(40):
                await wait_for_verdict(nats_client, f"r{number}", f"upgrade_available {version}")
        assert await stored_advice(nats_client) == 3 * 40
        assert await one.stop() == 0
        assert await two.stop() == 0


async def test_advice_that_the_stream_refuses_turns_health_red_until_it_is_taken(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    js = nats_client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    config = (await js.stream_info(STREAM)).config
    # An advice with its headers is larger than this, a firmware event is not.
    await js.update_stream(config, max_msg_size=100)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely

    async def failing() -> str:
        answer = await service.get("/healthz")
        return "" if answer is None else str(answer.json()["failing"].get("streams", ""))

    stalling = settings(nats_server, host, stalled_seconds="0.5")
    with service_process(MODULE, stalling, tmp_path) as service:
        await service.ready()
        await publish_firmware(nats_client, "r1", "7.20.1")
        await eventually(failing, lambda reason: "FLEET_acme: no progress" in reason, what="red")
        assert await service.metric('fleet_firmware_checks_total{outcome="failed"}') > 0
        await js.update_stream(config)  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.4")
        await eventually(failing, lambda reason: not reason, what="green")
        assert await stored_advice(nats_client) == 1
        assert await service.stop() == 0


async def test_an_event_acknowledged_before_its_channel_was_known_survives_a_crash(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    host.answers[STABLE] = Answer(stall=True)
    await declare(nats_client)
    await publish_firmware(nats_client, "r1", "7.20.1")
    with service_process(MODULE, settings(nats_server, host), tmp_path / "first") as service:
        await service.ready()
        await all_answered(nats_client)
        service.signal(signal.SIGKILL)
        await service.exit_code()
    assert await verdict_of(nats_client, "r1") is None
    host.offer(STABLE, "7.24.4")
    with service_process(MODULE, settings(nats_server, host), tmp_path / "second") as service:
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.24.4")
        decoded = await advice_of(nats_client, "r1")
        assert decoded is not None
        assert decoded.event.slot_unix_ms == NOW_MS
        await service.ready()
        assert await service.stop() == 0


async def test_the_trace_of_a_sampled_event_goes_on_in_its_advice(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    event = Event(slot_unix_ms=NOW_MS, firmware=Firmware(installed_version="x"))
    js = nats_client.jetstream()  # pyright: ignore[reportUnknownMemberType] - nats-py types its options loosely
    traced = {
        **settings(nats_server, host),
        "FLEET_TRACING__ENDPOINT": f"http://127.0.0.1:{free_port()}/v1/traces",
        "FLEET_TRACING__SAMPLE_RATIO": "0",
    }
    with service_process(MODULE, traced, tmp_path) as service:
        await service.ready()
        await js.publish(
            "fleet.acme.r1.firmware",
            encode(event),
            headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"},
        )
        await js.publish("fleet.acme.r2.firmware", encode(event))
        await wait_for_verdict(nats_client, "r1", "version_unknown")
        await wait_for_verdict(nats_client, "r2", "version_unknown")
        sampled = await last_message(nats_client, STREAM, "fleet.acme.r1.firmware-advice")
        unsampled = await last_message(nats_client, STREAM, "fleet.acme.r2.firmware-advice")
        assert sampled is not None
        assert unsampled is not None
        assert sampled.headers["traceparent"].startswith(f"00-{trace_id}-")
        assert "traceparent" not in unsampled.headers
        assert await service.stop() == 0


async def test_with_a_file_no_request_leaves_and_a_change_is_taken_up(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text("7: {stable: 7.20}\n", encoding="utf-8")
    await declare(nats_client)
    await publish_firmware(nats_client, "r1", "7.20")
    offline = settings(nats_server, host, channel_file=str(file))
    with service_process(MODULE, offline, tmp_path) as service:
        await service.ready()
        await wait_for_verdict(nats_client, "r1", "up_to_date 7.20")
        file.write_text("7: {stable: 7.20.1}\n", encoding="utf-8")
        await wait_for_verdict(nats_client, "r1", "upgrade_available 7.20.1")
        assert await service.stop() == 0
    assert not host.requests


async def test_a_bad_channel_file_refuses_to_start(nats_server: NatsServer, tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text("7: {stable: 6.1}\n", encoding="utf-8")
    bad = settings(nats_server, None, channel_file=str(file))
    with service_process(MODULE, bad, tmp_path) as service:
        assert await service.exit_code() == 2
    assert "FLEET_FIRMWARE__CHANNEL_FILE" in service.log_text()
    assert "7.stable: 6.1 is not version 7" in service.log_text()


async def test_five_hundred_devices_are_restored_and_answered(
    nats_server: NatsServer, nats_client: Client, host: UpgradeHost, tmp_path: Path
) -> None:
    await declare(nats_client)
    for number in range(500):
        await publish_firmware(nats_client, f"r{number}", "7.20.1")

    async def advised() -> list[StoredMessage]:
        filter_ = kind_subjects(TENANT, Kind.FIRMWARE_ADVICE)
        return [message async for message in last_messages(nats_client, STREAM, filter_)]

    with service_process(MODULE, settings(nats_server, host), tmp_path) as service:
        await service.ready()
        await eventually(advised, lambda found: len(found) == 500, what="500 devices advised")
        await all_answered(nats_client)
        assert await stored_advice(nats_client) == 500
        assert host.counts[STABLE] == 1
        assert await service.stop() == 0
