"""Why a stream has its size, in a word, a sentence and conditions."""

import math

import pytest

from fleet_common.fleet_spec import RouterFleet
from fleet_common.planning import (
    FLOOR_BYTES,
    ConditionType,
    PlanRequest,
    Reason,
    Sizes,
    StreamPlan,
    StreamState,
    plan,
    plan_streams,
    single_budget,
)
from fleet_contracts.streams import DUPLICATE_WINDOW_SECONDS
from fleet_contracts.subjects import Kind, TenantId
from support.fleets import fleet

MIB = 1024**2
LARGE = 2**40


def one_plan(
    one: RouterFleet,
    budget: int = LARGE,
    *,
    stream: StreamState | None = None,
    measured: Sizes | None = None,
    previous: int | None = None,
    now: float | None = None,
) -> StreamPlan:
    tenant = one.tenant
    request = PlanRequest(
        fleets=[one],
        budget=single_budget(budget),
        measured={tenant: measured or {}},
        streams={} if stream is None else {tenant: stream},
        previous={} if previous is None else {tenant: previous},
    )
    (result,) = plan_streams(request, now)
    return result


def conditions(one: StreamPlan) -> set[ConditionType]:
    return {condition.type for condition in one.conditions}


def live(size: int, *, unstored_share: float, max_bytes: int | None = None) -> StreamState:
    stored = round(100_000 * (1 - unstored_share))
    return StreamState(
        1, 100_000, 100_000, size, 0.0, 36_000.0, max_bytes or size, 43_200.0, stored
    )


def test_a_window_that_fits() -> None:
    result = one_plan(fleet("north", 101))
    assert result.reason is Reason.FITS
    assert result.sentence.endswith("hold the wanted 6h")
    assert conditions(result) == set()
    assert not result.shortened
    assert result.definition.max_age_seconds == 12 * 3600
    assert result.definition.duplicate_window_seconds == DUPLICATE_WINDOW_SECONDS


def test_no_devices_is_the_floor_and_a_condition() -> None:
    result = one_plan(fleet("north", 0))
    assert (result.reason, result.max_bytes) == (Reason.NO_DEVICES, FLOOR_BYTES)
    assert conditions(result) == {ConditionType.NO_DEVICES}
    assert not result.shortened


def test_a_small_fleet_gets_the_floor_and_more_than_it_wants() -> None:
    result = one_plan(fleet("north", 1, events={"replayWindow": "10m"}))
    assert result.reason is Reason.FLOOR
    assert "hold more than the wanted 10m" in result.sentence
    assert not result.shortened


def test_a_budget_of_floors_says_how_little_they_hold() -> None:
    result = one_plan(fleet("north", 1000), FLOOR_BYTES)
    assert result.reason is Reason.FLOOR
    assert result.sentence == "1.0 MiB, the least, hold 46s of the wanted 6h (469.0 MiB): no budget"
    assert conditions(result) == {ConditionType.WINDOW_SHORTENED}


def test_the_owners_cap_is_the_reason_when_it_decides() -> None:
    result = one_plan(fleet("north", 500, events={"maxBytes": "8MiB"}))
    assert (result.reason, result.max_bytes) == (Reason.CAPPED_BY_OWNER, 8 * MIB)
    assert result.sentence.startswith("events.maxBytes of 8.0 MiB hold ")
    assert conditions(result) == {ConditionType.WINDOW_SHORTENED}


def test_a_cap_between_two_steps_is_never_exceeded() -> None:
    result = one_plan(fleet("north", 500, events={"maxBytes": 8 * MIB + 777}))
    assert result.max_bytes == 8 * MIB


def test_a_smaller_budget_is_the_reason_when_it_decides() -> None:
    modest = fleet("b", 101, events={"replayWindow": "1h"})
    plans = plan([fleet("a", 101), modest, fleet("c", 101)], 40 * MIB)
    assert [p.reason for p in plans] == [
        Reason.SHRUNK_TO_BUDGET,
        Reason.FITS,
        Reason.SHRUNK_TO_BUDGET,
    ]
    assert plans[0].sentence.endswith("of the wanted 6h (48.0 MiB): the budget has no more")
    assert plans[0].max_bytes == plans[2].max_bytes


def test_sizes_measured_for_one_tenant_do_not_resize_another() -> None:
    fleets = [fleet("a", 101), fleet("b", 101)]
    measured = {TenantId("a"): {Kind.INTERFACES: 20_000.0}}
    before = plan(fleets, 64 * MIB)
    after = plan(fleets, 64 * MIB, measured)
    assert after[1].max_bytes == before[1].max_bytes
    assert after[0].resulting_window_seconds < before[0].resulting_window_seconds / 10


@pytest.mark.parametrize("size", [0.0, 3.0, -1.0, math.nan, math.inf, 600_000.0])
def test_a_measurement_that_cannot_be_is_not_used_and_said(size: float) -> None:
    result = one_plan(fleet("north", 101), measured={Kind.INTERFACES: size})
    assert result.max_bytes == one_plan(fleet("north", 101)).max_bytes
    (condition,) = result.conditions
    assert condition.type is ConditionType.MEASUREMENT_IMPLAUSIBLE
    assert condition.message.startswith(f"interfaces: {size:g} bytes measured")


def test_a_stream_is_held_for_a_consumer_that_is_behind() -> None:
    result = one_plan(fleet("north", 10), stream=live(60 * MIB, unstored_share=0.5))
    assert (result.reason, result.max_bytes) == (Reason.HELD_FOR_CONSUMER, 60 * MIB)
    assert result.sentence == "held at 60.0 MiB: a consumer has yet to store 30.0 MiB of it"
    assert result.loss is None
    assert conditions(result) == {ConditionType.HELD_FOR_CONSUMER}


def test_it_shrinks_once_the_rest_fits() -> None:
    result = one_plan(fleet("north", 10), stream=live(60 * MIB, unstored_share=0.05))
    assert result.reason is Reason.FITS
    assert result.max_bytes < 6 * MIB
    assert result.loss is None


def test_a_consumer_that_is_behind_is_left_room_for_what_arrives_meanwhile() -> None:
    afresh = one_plan(fleet("north", 10)).max_bytes
    # What is not stored would just fit, and the next message would push it out.
    just = one_plan(fleet("north", 10), stream=live(60 * MIB, unstored_share=afresh / 61 / MIB))
    assert (just.reason, just.max_bytes) == (Reason.HELD_FOR_CONSUMER, 60 * MIB)
    some = one_plan(fleet("north", 10), stream=live(60 * MIB, unstored_share=afresh / 80 / MIB))
    assert (some.reason, some.max_bytes) == (Reason.FITS, afresh)


def test_it_is_held_above_the_owners_cap_too() -> None:
    owner = fleet("north", 500, events={"maxBytes": "8MiB"})
    result = one_plan(owner, stream=live(60 * MIB, unstored_share=0.5))
    assert (result.reason, result.max_bytes) == (Reason.HELD_FOR_CONSUMER, 60 * MIB)


def test_what_cannot_be_held_is_said_with_its_figures() -> None:
    stream = live(60 * MIB, unstored_share=1.0)
    result = one_plan(fleet("north", 10), 40 * MIB, stream=stream)
    assert (result.reason, result.max_bytes) == (Reason.HELD_FOR_CONSUMER, 40 * MIB)
    assert result.loss is not None
    assert result.loss.bytes == pytest.approx(20 * MIB, rel=0.001)
    assert result.loss.messages == pytest.approx(33_334, abs=2)
    assert f"{result.loss.messages} messages (20.0 MiB) that a consumer" in result.sentence
    assert ConditionType.UNSTORED_DISCARDED in conditions(result)


def test_the_unstored_of_one_come_before_the_windows_of_others() -> None:
    fleets = [fleet("behind", 10), fleet("large", 500)]
    request = PlanRequest(
        fleets,
        single_budget(64 * MIB),
        streams={TenantId("behind"): live(40 * MIB, unstored_share=0.9)},
    )
    behind, large = plan_streams(request)
    assert behind.max_bytes == 40 * MIB
    assert large.max_bytes == 24 * MIB
    assert large.reason is Reason.SHRUNK_TO_BUDGET


def test_an_unlimited_stream_counts_with_what_it_holds() -> None:
    naive = StreamState(1, 1000, 1000, 133_000_000, max_age_seconds=86_400.0, stored_sequence=1000)
    result = one_plan(fleet("north", 101), 64_000_000, stream=naive)
    assert result.max_bytes == 48 * MIB
    assert (result.reason, result.loss) == (Reason.FITS, None)


def test_age_waits_for_a_consumer_too() -> None:
    shorter = fleet("north", 101, events={"replayWindow": "1h"})
    stream = live(60 * MIB, unstored_share=0.9)
    waiting = one_plan(shorter, stream=stream, now=36_000.0)
    assert waiting.definition.max_age_seconds == stream.max_age_seconds
    caught_up = one_plan(shorter, stream=live(60 * MIB, unstored_share=0.0), now=36_000.0)
    assert caught_up.definition.max_age_seconds == 2 * 3600


def test_sizes_stay_within_the_dead_band_and_follow_beyond_it() -> None:
    one = fleet("north", 101)
    right = one_plan(one).max_bytes
    assert one_plan(one, previous=right + 2 * MIB).max_bytes == right + 2 * MIB
    assert one_plan(one, previous=right - 2 * MIB).max_bytes == right - 2 * MIB
    assert one_plan(one, previous=right + 4 * MIB).max_bytes == right
    assert one_plan(one, previous=right - 4 * MIB).max_bytes == right


def test_the_dead_band_never_exceeds_the_budget_or_the_owners_cap() -> None:
    assert one_plan(fleet("north", 500), 40 * MIB, previous=41 * MIB).max_bytes == 40 * MIB
    capped = fleet("north", 500, events={"maxBytes": "40MiB"})
    assert one_plan(capped, previous=41 * MIB).max_bytes == 40 * MIB


def test_a_size_kept_a_little_too_small_is_not_called_shortened() -> None:
    result = one_plan(fleet("north", 101), previous=46 * MIB)
    assert result.max_bytes == 46 * MIB
    assert (result.reason, result.shortened) == (Reason.FITS, False)


def test_a_window_shorter_than_the_interval_is_a_contradiction() -> None:
    written = fleet("north", 1, events={"replayWindow": "10m"})
    hourly = written.spec.cadence.model_copy(update={"interval": 3600.0})
    spec = written.spec.model_copy(update={"cadence": hourly})
    # A file like this is refused; an option that replaces the interval is not.
    result = one_plan(written.model_copy(update={"spec": spec}))
    messages = [c.message for c in result.conditions]
    assert conditions(result) == {ConditionType.CONTRADICTORY_WINDOWS}
    assert "status comes every 1h, events.replayWindow is 10m: at times it holds none" in messages


def test_a_cap_below_one_poll_of_all_is_a_contradiction() -> None:
    result = one_plan(
        fleet("north", 10_000, events={"maxBytes": "1MiB"}, cadence={"interval": "10m"})
    )
    (contradiction,) = [
        c for c in result.conditions if c.type is ConditionType.CONTRADICTORY_WINDOWS
    ]
    assert "less than one poll of all devices each 10m" in contradiction.message
