"""The read model's fold: deterministic, and blind to duplicates and late arrivals."""

from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts.codec import DecodedEvent
from fleet_contracts.gen.fleet.v1.events_pb2 import (
    REACHABILITY_DOWN,
    REACHABILITY_UP,
    ErrorClass,
    Event,
    Firmware,
    FirmwareAdvice,
    InterfaceDescription,
    Interfaces,
    Inventory,
    LinkChange,
    Status,
    Verdict,
)
from fleet_contracts.subjects import DeviceId, EventSubject, Kind, TenantId
from fleet_writer.fold import NEW_DEVICE, DeviceState, fold

MINUTE_MS = 60_000
SLOTS = st.integers(1, 12).map(lambda number: 1_700_000_000_000 + number * MINUTE_MS)
TEXTS = st.sampled_from(["a", "b", "c"])


def _status(slot: int, up: bool, number: int, rebooted: bool) -> Event:  # noqa: FBT001 - drawn
    if up:
        status = Status(reachability=REACHABILITY_UP, uptime_seconds=number, rebooted=rebooted)
    else:
        status = Status(
            reachability=REACHABILITY_DOWN,
            error_class=ErrorClass.ERROR_CLASS_TIMEOUT,
            error_message="late",
            consecutive_failures=number,
        )
    return Event(slot_unix_ms=slot, observed_after_slot_ms=number, status=status)


def _inventory(slot: int, names: dict[int, str], up_seconds: int) -> Event:
    return Event(
        slot_unix_ms=slot,
        inventory=Inventory(
            revision=len(names),
            identity="x",
            interfaces=[
                InterfaceDescription(id=id_, name=name, last_up_router_unix_seconds=up_seconds)
                for id_, name in names.items()
            ],
        ),
    )


def _interfaces(slot: int, changes: dict[int, int]) -> Event:
    return Event(
        slot_unix_ms=slot,
        interfaces=Interfaces(
            link_changes=[
                LinkChange(id=id_, last_down_router_unix_seconds=seconds)
                for id_, seconds in changes.items()
            ]
        ),
    )


def _firmware(slot: int, channel: str) -> Event:
    return Event(slot_unix_ms=slot, firmware=Firmware(channel=channel))


def _advice(slot: int, latest: str) -> Event:
    advice = FirmwareAdvice(verdict=Verdict.VERDICT_UP_TO_DATE, latest_version=latest)
    return Event(slot_unix_ms=slot, firmware_advice=advice)


def _decoded(kind: Kind, event: Event) -> DecodedEvent:
    return DecodedEvent(EventSubject(TenantId("t"), DeviceId("d"), kind), event)


IDS = st.integers(1, 4)
EVENTS = st.one_of(
    st.builds(_status, SLOTS, st.booleans(), st.integers(0, 99), st.booleans()).map(
        lambda event: _decoded(Kind.STATUS, event)
    ),
    st.builds(_inventory, SLOTS, st.dictionaries(IDS, TEXTS, max_size=3), st.integers(1, 9)).map(
        lambda event: _decoded(Kind.INVENTORY, event)
    ),
    st.builds(_interfaces, SLOTS, st.dictionaries(IDS, st.integers(1, 9), max_size=2)).map(
        lambda event: _decoded(Kind.INTERFACES, event)
    ),
    st.builds(_firmware, SLOTS, TEXTS).map(lambda event: _decoded(Kind.FIRMWARE, event)),
    st.builds(_advice, SLOTS, TEXTS).map(lambda event: _decoded(Kind.FIRMWARE_ADVICE, event)),
)
HISTORIES = st.lists(EVENTS, max_size=30)


def _fold_all(history: list[DecodedEvent], state: DeviceState = NEW_DEVICE) -> DeviceState:
    for event in history:
        state = fold(state, event)
    return state


@given(HISTORIES)
def test_a_repeated_history_changes_nothing(history: list[DecodedEvent]) -> None:
    state = _fold_all(history)

    assert _fold_all(history, state) is state


@given(HISTORIES, st.data())
def test_an_event_at_or_before_its_kinds_newest_slot_changes_nothing(
    history: list[DecodedEvent], data: st.DataObject
) -> None:
    state = _fold_all(history)
    late = data.draw(EVENTS)
    newest = max(
        (event.event.slot_unix_ms for event in history if event.subject.kind is late.subject.kind),
        default=0,
    )

    after = fold(state, late)

    assert (after is state) == (late.event.slot_unix_ms <= newest)


@given(HISTORIES)
def test_duplicates_and_late_events_anywhere_give_the_state_of_the_rest(
    history: list[DecodedEvent],
) -> None:
    newest: dict[Kind, int] = {}
    rest: list[DecodedEvent] = []
    for event in history:
        slot = event.event.slot_unix_ms
        if slot > newest.get(event.subject.kind, 0):
            newest[event.subject.kind] = slot
            rest.append(event)

    assert _fold_all(history) == _fold_all(rest)


@given(HISTORIES)
def test_an_offline_devices_last_seen_does_not_move(history: list[DecodedEvent]) -> None:
    state = NEW_DEVICE
    for event in history:
        before, state = state, fold(state, event)
        if state.status is before.status or state.status is None:
            continue
        seen = before.status.last_seen_ms if before.status is not None else None
        if state.status.reachable:
            expected = event.event.slot_unix_ms + event.event.observed_after_slot_ms
            assert state.status.last_seen_ms == expected
            assert state.status.unreachable_since_ms is None
        else:
            assert state.status.last_seen_ms == seen
            assert state.status.reachable_since_ms is None


@given(HISTORIES)
def test_since_is_the_first_slot_of_the_present_run(history: list[DecodedEvent]) -> None:
    run_start: int | None = None
    reachable: bool | None = None
    newest = 0
    for event in history:
        slot = event.event.slot_unix_ms
        if event.subject.kind is not Kind.STATUS or slot <= newest:
            continue
        newest = slot
        up = event.event.status.reachability == REACHABILITY_UP
        if up is not reachable:
            reachable, run_start = up, slot

    status = _fold_all(history).status

    if status is None:
        assert reachable is None
    else:
        since = status.reachable_since_ms if reachable else status.unreachable_since_ms
        assert (status.reachable, since) == (reachable, run_start)


@given(HISTORIES)
def test_present_interfaces_are_those_of_the_newest_inventory(
    history: list[DecodedEvent],
) -> None:
    newest: Event | None = None
    for event in history:
        if event.subject.kind is Kind.INVENTORY and (
            newest is None or event.event.slot_unix_ms > newest.slot_unix_ms
        ):
            newest = event.event

    present = {record.id: record.name for record in _fold_all(history).interfaces if record.present}

    inventory = newest.inventory if newest is not None else Inventory()
    assert present == {interface.id: interface.name for interface in inventory.interfaces}
