"""Which devices are gone: found from the oldest on, the same as by looking at every one."""

from hypothesis import given
from hypothesis import strategies as st

from fleet_contracts.subjects import DeviceId, Kind, tenant_id
from fleet_gateway.entries import Entry
from fleet_gateway.state import FleetState

NORTH = tenant_id("north")
DEVICES = [DeviceId(name) for name in "abcde"]
KINDS = (Kind.STATUS, Kind.HEALTH, Kind.FIRMWARE, Kind.TRIM)

events = st.lists(
    st.tuples(st.sampled_from(DEVICES), st.sampled_from(KINDS), st.floats(0, 10)), max_size=30
)


@given(events, st.lists(st.sampled_from(DEVICES)), events, st.integers(0, 70), st.floats(0, 11))
def test_the_gone_are_those_without_a_status_on_the_stream(
    before: list[tuple[DeviceId, Kind, float]],
    forgotten: list[DeviceId],
    after: list[tuple[DeviceId, Kind, float]],
    first_seq: int,
    published_before: float,
) -> None:
    state = FleetState(NORTH)
    latest: dict[DeviceId, dict[Kind, Entry]] = {}
    for seq, (device, kind, published) in enumerate([*before, *after], 1):
        if seq == len(before) + 1:
            for name in set(forgotten) & latest.keys():
                state.forget(name)
                del latest[name]
        entry = Entry(NORTH, device, kind, seq, "e", b"", b"", published)
        state.apply(entry)
        if kind is not Kind.TRIM:
            latest.setdefault(device, {})[kind] = entry

    gone = state.gone(first_seq, published_before)

    assert len(gone) == len(set(gone))
    assert set(gone) == {
        device
        for device, entries in latest.items()
        if all(
            entry.published_unix < published_before
            and (entry.seq < first_seq or entry.kind is not Kind.STATUS)
            for entry in entries.values()
        )
    }
