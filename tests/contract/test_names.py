"""Subjects, message ids and stream definitions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts.streams import DUPLICATE_WINDOW_SECONDS, StreamDefinition, tenant_stream
from fleet_contracts.subjects import (
    DEVICE_KINDS,
    BadNameError,
    DeviceId,
    EventSubject,
    Kind,
    TenantId,
    check_label,
    device_id,
    kind_subjects,
    message_id,
    parse_subject,
    stream_name,
    tenant_id,
    tenant_subjects,
)

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
kinds = st.sampled_from(DEVICE_KINDS)
slots = st.integers(1_577_836_800_000, 4_102_444_799_999)
subjects = st.builds(EventSubject, labels.map(TenantId), labels.map(DeviceId), kinds)


@given(subjects)
def test_a_subject_reads_back(subject: EventSubject) -> None:
    assert parse_subject(str(subject)) == subject


@given(st.text(max_size=80))
def test_any_text_is_a_subject_or_a_named_error(text: str) -> None:
    try:
        subject = parse_subject(text)
    except BadNameError:
        return
    assert str(subject) == text


@given(subjects)
def test_the_tenant_s_filters_match_its_subjects_alone(subject: EventSubject) -> None:
    def matches(pattern: str, other: TenantId) -> bool:
        one_token = re.escape(pattern).replace(r"\*", "[^.]+").replace(">", ".+")
        return (
            re.fullmatch(one_token, str(EventSubject(other, subject.device, subject.kind)))
            is not None
        )

    stranger = TenantId("x" if subject.tenant != "x" else "y")
    for pattern in (tenant_subjects(subject.tenant), kind_subjects(subject.tenant, subject.kind)):
        assert matches(pattern, subject.tenant)
        assert not matches(pattern, stranger)


@given(st.tuples(labels, kinds, slots), st.tuples(labels, kinds, slots))
def test_message_ids_are_equal_only_for_the_same_event(
    one: tuple[str, Kind, int], other: tuple[str, Kind, int]
) -> None:
    ids = [message_id(DeviceId(device), kind, slot) for device, kind, slot in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)


@given(labels, kinds, slots)
def test_a_message_id_is_a_short_header_value(device: str, kind: Kind, slot: int) -> None:
    identity = message_id(DeviceId(device), kind, slot)
    assert len(identity) <= len(device) + 11
    assert re.fullmatch(r"[a-z0-9-]+", identity)
    letter, digits, rest = identity[0], identity[1:].partition("-")[0], identity.partition("-")[2]
    assert (letter.isalpha(), int(digits, 36), rest) == (True, slot, device)


@pytest.mark.parametrize("good", ["a", "0", "a-b", "a" * 63, "7-eleven", "xn--bro-hoa"])
def test_labels_that_kubernetes_takes(good: str) -> None:
    assert check_label(good, "device") == good
    assert device_id(good) == tenant_id(good) == good


@pytest.mark.parametrize(
    "bad", ["", "-a", "a-", "a" * 64, "A", "a.b", "a_b", "a b", "ä", "a\n", "*", ">", "٣"]
)
def test_labels_that_would_be_no_single_subject_token(bad: str) -> None:
    with pytest.raises(BadNameError, match=r"^device: .* is not a DNS-1123 label"):
        device_id(bad)


@given(labels, st.integers(1, 2**40), st.floats(DUPLICATE_WINDOW_SECONDS, 10**7))
def test_a_tenant_s_stream_holds_exactly_its_subjects(
    tenant: str, max_bytes: int, max_age: float
) -> None:
    definition = tenant_stream(TenantId(tenant), max_bytes=max_bytes, max_age_seconds=max_age)
    assert definition.name == stream_name(TenantId(tenant)) == f"FLEET_{tenant}"
    assert definition.subjects == (f"fleet.{tenant}.>",)
    assert (definition.max_bytes, definition.max_age_seconds) == (max_bytes, max_age)


@pytest.mark.parametrize("max_bytes", [0, -1])
def test_a_stream_without_a_bound_is_refused(max_bytes: int) -> None:
    with pytest.raises(ValueError, match="is not a bound"):
        StreamDefinition("FLEET_a", ("fleet.a.>",), max_bytes, 3600)


def test_an_age_below_the_duplicate_window_is_refused() -> None:
    with pytest.raises(ValueError, match="duplicate window"):
        StreamDefinition("FLEET_a", ("fleet.a.>",), 1, DUPLICATE_WINDOW_SECONDS - 1)
