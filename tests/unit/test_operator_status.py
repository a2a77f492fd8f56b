"""The merge of a status: an unchanged one is not written, a changed one says since when."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet_operator.status import (
    ConditionStatus,
    ConditionType,
    DevicesStatus,
    Findings,
    FleetStatus,
    ShardsStatus,
    StreamStatus,
    Verdict,
    merge_status,
    read_status,
    stream_summary,
)

NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)
MIB = 1024 * 1024


def verdict(
    status: ConditionStatus = ConditionStatus.TRUE,
    reason: str = "Polling",
    message: str = "all well",
    type_: ConditionType = ConditionType.READY,
) -> Verdict:
    return Verdict(type_, status, reason, message)


def stream(held: int) -> StreamStatus:
    return StreamStatus(
        name="FLEET_north",
        max_bytes=64 * MIB,
        window_wanted="6h",
        window_planned="6h",
        bytes=held,
        messages=held // 500,
        window_now="1h",
        summary=stream_summary(held, 64 * MIB),
    )


def findings(*verdicts: Verdict, generation: int = 1) -> Findings:
    return Findings(
        generation=generation,
        verdicts=verdicts or (verdict(),),
        devices=DevicesStatus(total=3, up=2, down=1),
        stream=stream(8 * MIB),
        shards=ShardsStatus(wanted=1, replicas=1, ready=1, summary="1/1", selector="a=b"),
    )


def written(old: object, found: Findings, now: datetime) -> dict[str, Any]:
    document = merge_status(old, found, now)
    assert document is not None
    return document


def test_a_first_status_has_everything_in_camel_case() -> None:
    document = written({}, findings(), NOON)

    assert document["observedGeneration"] == 1
    assert document["conditions"] == [
        {
            "type": "Ready",
            "status": "True",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-24T12:00:00Z",
            "reason": "Polling",
            "message": "all well",
        }
    ]
    assert document["stream"]["windowPlanned"] == "6h"
    assert document["stream"]["summary"] == "8.0MiB/64.0MiB"
    assert "null" not in json.dumps(document)


def test_an_unchanged_status_is_not_written() -> None:
    document = written({}, findings(), NOON)
    assert merge_status(json.loads(json.dumps(document)), findings(), LATER) is None


def test_the_transition_time_moves_only_with_the_status() -> None:
    first = written({}, findings(), NOON)

    other_words = written(first, findings(verdict(reason="Other", message="else")), LATER)
    (condition,) = other_words["conditions"]
    assert (condition["reason"], condition["lastTransitionTime"]) == ("Other", first_time(first))

    turned = written(first, findings(verdict(ConditionStatus.FALSE)), LATER)
    assert turned["conditions"][0]["lastTransitionTime"] == "2026-11-24T12:05:00Z"


def first_time(document: dict[str, Any]) -> str:
    return document["conditions"][0]["lastTransitionTime"]


def test_a_new_generation_is_observed_by_status_and_conditions() -> None:
    first = written({}, findings(), NOON)
    second = written(first, findings(generation=2), LATER)

    assert second["observedGeneration"] == 2
    assert second["conditions"][0]["observedGeneration"] == 2
    assert first_time(second) == first_time(first)


def test_conditions_stand_in_one_order_and_unjudged_ones_stay() -> None:
    valid = verdict(type_=ConditionType.INVENTORY_VALID)
    conflict = verdict(type_=ConditionType.TENANT_CONFLICT)
    first = written({}, findings(conflict, valid), NOON)
    second = written(first, findings(verdict()), LATER)

    assert [one["type"] for one in second["conditions"]] == [
        "Ready",
        "InventoryValid",
        "TenantConflict",
    ]
    assert second["conditions"][1:] == first["conditions"]


def test_a_condition_somebody_else_added_stays() -> None:
    first = written({}, findings(), NOON)
    foreign = {
        "type": "Audited",
        "status": "True",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "reason": "Someone",
        "message": "",
    }
    document = {**first, "conditions": [*first["conditions"], foreign]}
    assert merge_status(document, findings(), LATER) is None


def test_a_part_that_is_not_known_this_time_stays_as_it_was() -> None:
    first = written({}, findings(), NOON)
    unknown = Findings(generation=1, verdicts=(verdict(),))
    assert merge_status(first, unknown, LATER) is None


def test_a_filling_stream_is_shown_in_steps() -> None:
    first = written({}, findings(), NOON)
    little = replace(findings(), stream=stream(11 * MIB))
    much = replace(findings(), stream=stream(12 * MIB))

    assert merge_status(first, little, LATER) is None
    assert written(first, much, LATER)["stream"]["bytes"] == 12 * MIB


def test_what_a_stream_holds_at_first_is_soon_shown_anew() -> None:
    first = written({}, replace(findings(), stream=stream(3_000)), NOON)
    little = replace(findings(), stream=stream(5_000))
    much = replace(findings(), stream=stream(6_000))

    assert merge_status(first, little, LATER) is None
    assert written(first, much, LATER)["stream"]["bytes"] == 6_000


@pytest.mark.parametrize("held", [0, None])
def test_an_emptied_or_unknown_stream_is_shown_at_once(held: int | None) -> None:
    small = written({}, replace(findings(), stream=stream(1 * MIB)), NOON)
    now = stream(0).model_copy(update={"bytes": held})
    assert written(small, replace(findings(), stream=now), LATER)["stream"].get("bytes") == held


def test_a_resized_stream_is_shown_at_once() -> None:
    first = written({}, findings(), NOON)
    resized = stream(8 * MIB).model_copy(update={"max_bytes": 65 * MIB})
    assert written(first, replace(findings(), stream=resized), LATER)["stream"]["maxBytes"] == (
        65 * MIB
    )


@pytest.mark.parametrize("document", [None, "text", {}, {"unknown": 1}])
def test_a_status_that_is_not_there_reads_as_empty(document: object) -> None:
    assert read_status(document) == FleetStatus()


def test_a_spoilt_part_of_a_status_costs_only_that_part() -> None:
    first = written({}, findings(), NOON)
    spoilt = {**first, "devices": {"total": "many"}}
    assert read_status(spoilt).devices is None
    assert read_status(spoilt).conditions == read_status(first).conditions
    assert written(spoilt, findings(), LATER)["devices"] == first["devices"]


def test_a_message_is_no_longer_than_kubernetes_takes() -> None:
    document = written({}, findings(verdict(message="x" * 40_000)), NOON)
    assert len(document["conditions"][0]["message"]) == 32_768
