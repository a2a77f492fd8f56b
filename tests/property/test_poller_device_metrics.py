"""Whatever a router calls its things, both formats carry it as it is, and no series twice."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from fleet_contracts.codec import COUNTER_COLUMNS
from fleet_contracts.subjects import Kind
from fleet_poller.events import inventory_message
from fleet_poller.exposition.description import unique_names
from fleet_poller.parse.scalars import text
from fleet_poller.readings import (
    HealthReading,
    Package,
    PollReadings,
    Radio,
    Resource,
    SensorReading,
    WirelessReading,
)
from support.device_metrics import ScrapedFleet, polled
from support.device_readings import (
    interface_description,
    interfaces_reading,
    inventory_reading,
)

# Bytes as a router sends them, with those that the formats give a meaning more often.
_BYTES = st.lists(
    st.one_of(
        st.sampled_from([b'"', b"\\", b"\n", b"\\n", b"%", b"%d", b"{", b"}", b",", b"\r", b"#"]),
        st.binary(max_size=3),
        st.text(max_size=3).map(lambda one: one.encode("utf-8", "replace")),
    ),
    max_size=5,
).map(b"".join)
NAMES = _BYTES.map(text)
COUNTERS = st.one_of(st.none(), st.just(0), st.integers(0, 2**64 - 2))


def families(page: str, *, openmetrics: bool) -> Iterable[Metric]:
    if not openmetrics:
        return text_string_to_metric_families(page)
    return openmetrics_parser.text_string_to_metric_families(page + "# EOF\n")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - untyped


def values(page: str, name: str, label: str, *, openmetrics: bool) -> dict[str, float]:
    """By one label; fails when a series is there twice."""
    found: dict[str, float] = {}
    for family in families(page, openmetrics=openmetrics):
        for sample in family.samples:
            if sample.name == name:
                key = sample.labels.get(label, "")
                assert key not in found
                found[key] = float(sample.value)
    return found


@pytest.mark.parametrize("openmetrics", [False, True])
@given(
    names=st.lists(NAMES, min_size=1, max_size=4),
    comment=NAMES,
    counters=st.lists(COUNTERS, min_size=4, max_size=4),
)
async def test_interfaces_keep_their_names_comments_and_counters(
    openmetrics: bool,  # noqa: FBT001 - the case
    names: list[str],
    comment: str,
    counters: list[int | None],
) -> None:
    ids = range(1, len(names) + 1)
    described = [interface_description(id_, name, comment) for id_, name in enumerate(names, 1)]
    inventory = inventory_reading(*described)
    rows = [
        {b"rx-byte": b"%d" % value} if value is not None else {} for value in counters[: len(names)]
    ]
    readings = PollReadings(
        1,
        rebooted=False,
        interfaces=interfaces_reading(rows, ids)(inventory_message(inventory).revision),
        inventory=inventory,
    )
    fleet = ScrapedFleet()
    polled(fleet.add(), readings)
    page = await fleet.text(openmetrics=openmetrics)

    unique = unique_names(enumerate(names, 1))
    total = "routeros_interface_receive_bytes_total"
    assert values(page, total, "interface", openmetrics=openmetrics) == {
        unique[id_]: float(value)
        for id_, value in zip(ids, counters, strict=False)
        if value is not None
    }
    (info,) = [
        family
        for family in families(page, openmetrics=openmetrics)
        if family.samples and family.samples[0].name == "routeros_interface_info"
    ]
    assert {one.labels.get("comment", "") for one in info.samples} == {comment}
    assert {one.labels.get("interface", "") for one in info.samples} == set(unique.values())
    assert COUNTER_COLUMNS[0] == "rx_bytes_total"


@given(names=st.lists(NAMES, min_size=1, max_size=6), openmetrics=st.booleans())
async def test_sensors_and_radios_are_there_once(names: list[str], openmetrics: bool) -> None:  # noqa: FBT001 - drawn
    sensors = tuple(SensorReading(name, "C", 1_000 * n, None) for n, name in enumerate(names))
    radios = tuple(Radio(name, 5_180, None, None, 1, None, name, "", None) for name in names)
    readings = PollReadings(
        1,
        rebooted=False,
        health=HealthReading(Resource(*[None] * 9), (), sensors),
        wireless=WirelessReading(Package.WIFI, radios, (), 0),
    )
    fleet = ScrapedFleet()
    held = fleet.add()
    polled(held, readings)
    page = await fleet.text(openmetrics=openmetrics)

    celsius = values(page, "routeros_temperature_celsius", "sensor", openmetrics=openmetrics)
    assert celsius == {name: float(names.index(name)) for name in names}
    hertz = values(page, "routeros_wireless_frequency_hertz", "interface", openmetrics=openmetrics)
    assert hertz == dict.fromkeys(names, 5.18e9)
    assert Kind.HEALTH in held.payloads


@given(st.dictionaries(st.integers(1, 40), st.sampled_from(["a", "b", "a#2", "a#2#2", ""])))
def test_unique_names_are_unique_and_change_no_name_that_was(names: dict[int, str]) -> None:
    unique = unique_names(names.items())

    assert unique.keys() == names.keys()
    assert len(set(unique.values())) == len(names)
    for name in set(names.values()):
        assert unique[min(id_ for id_, one in names.items() if one == name)] == name
