"""What is looked at before anything is declared: versions, subjects, accounts, servers."""

import pytest

from fleet_common.errors import ConfigurationError
from fleet_common.planning import (
    AccountLimits,
    BudgetTooSmallError,
    ExistingStream,
    PlanningError,
    Reservation,
    ServerBudget,
    ServerTooOldError,
    StreamBudget,
    SubjectsTakenError,
    UnlimitedAccountError,
    account_budget,
    bucket_reservations,
    check_server_version,
    check_subjects,
    plan_streams,
    server_memory_needed,
    single_budget,
    subjects_overlap,
)
from fleet_common.planning.model import PlanRequest
from fleet_common.units import format_size
from fleet_contracts.streams import (
    ASSIGNMENTS_BUCKET,
    ASSIGNMENTS_BUCKET_MAX_BYTES,
    INVENTORY_BUCKET,
    INVENTORY_BUCKET_MAX_BYTES,
    StreamStorage,
    tenant_stream,
)
from fleet_contracts.subjects import TenantId
from support.fleets import fleet

MIB = 1024**2
FILE, MEMORY = StreamStorage.FILE, StreamStorage.MEMORY
BUCKETS = sum(one.size_bytes for one in bucket_reservations())


@pytest.mark.parametrize("version", ["2.11.0", "2.15.0", "v2.11.4", "3.0.0", "2.12.0-RC.1"])
def test_a_server_with_what_we_use_is_taken(version: str) -> None:
    check_server_version(version)


@pytest.mark.parametrize("version", ["2.10.29", "2.9.0", "1.4.1"])
def test_a_server_too_old_is_refused_with_both_versions(version: str) -> None:
    with pytest.raises(ServerTooOldError, match=rf"{version}; 2\.11\.0 or later is needed"):
        check_server_version(version)


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(ServerTooOldError, match="'unknown', which is none"):
        check_server_version("unknown")


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("fleet.north.>", "fleet.north.a.status", True),
        ("fleet.north.>", "fleet.south.>", False),
        ("fleet.north.>", "fleet.*.a.status", True),
        ("fleet.north.>", "fleet.north", False),
        ("fleet.north.>", "fleet.>", True),
        ("fleet.north.>", ">", True),
        ("fleet.*.x", "fleet.y.*", True),
        ("fleet.*.x", "fleet.y.z", False),
        ("a.b", "a.b.c", False),
        ("a.b", "a.b", True),
        ("a.*", "a.>", True),
        ("*", "a.b", False),
    ],
)
def test_filters_overlap_when_a_subject_matches_both(
    one: str, other: str, *, overlap: bool
) -> None:
    assert subjects_overlap(one, other) is overlap
    assert subjects_overlap(other, one) is overlap


def test_a_foreign_stream_on_our_subjects_is_named() -> None:
    mine = tenant_stream(TenantId("north"), max_bytes=MIB, max_age_seconds=600)
    existing = [
        ExistingStream("FLEET_north", ("fleet.north.>",)),
        ExistingStream("ORDERS", ("orders.>",)),
        ExistingStream("MIRROR", ()),
    ]
    check_subjects([mine], existing)
    with pytest.raises(SubjectsTakenError, match=r"EVERYTHING listens to fleet\.>, FLEET_north"):
        check_subjects([mine], [*existing, ExistingStream("EVERYTHING", ("x.y", "fleet.>"))])


def test_every_planning_error_is_a_configuration_error() -> None:
    for error in (
        BudgetTooSmallError,
        ServerTooOldError,
        SubjectsTakenError,
        UnlimitedAccountError,
    ):
        assert issubclass(error, PlanningError)
        assert issubclass(error, ConfigurationError)


def test_an_account_gives_what_others_have_not_reserved() -> None:
    limits = AccountLimits(file_bytes=200 * MIB, memory_bytes=50 * MIB)
    others = [
        *bucket_reservations(),
        Reservation("ORDERS", FILE, 20 * MIB),
        Reservation("CACHE", MEMORY, 10 * MIB),
    ]
    left = 180 * MIB - BUCKETS
    assert account_budget(limits, others) == StreamBudget(left, 40 * MIB)
    given = single_budget(100 * MIB)
    assert account_budget(limits, others, given) == StreamBudget(100 * MIB, 40 * MIB, 100 * MIB)


def test_every_bucket_is_reserved_with_all_its_copies() -> None:
    names = {one.name for one in bucket_reservations()}
    assert {f"KV_{INVENTORY_BUCKET}", f"KV_{ASSIGNMENTS_BUCKET}"} <= names
    assert BUCKETS >= INVENTORY_BUCKET_MAX_BYTES + ASSIGNMENTS_BUCKET_MAX_BYTES
    assert sum(one.size_bytes for one in bucket_reservations(3)) == 3 * BUCKETS


def test_reservations_above_the_limit_are_refused_by_name() -> None:
    limits = AccountLimits(file_bytes=40 * MIB, memory_bytes=0)
    reserved = rf"file storage: {format_size(BUCKETS)} are reserved already"
    with pytest.raises(
        BudgetTooSmallError, match=rf"{reserved} .*KV_fleet-inventory 32\.0 MiB.*40\.0 MiB"
    ):
        account_budget(limits, bucket_reservations())


def test_an_account_without_limits_asks_for_a_budget() -> None:
    unlimited = account_budget(AccountLimits(None, 64 * MIB), [])
    with pytest.raises(UnlimitedAccountError, match="no limit on file storage: give a budget"):
        plan_streams(PlanRequest([fleet("north", 1)], unlimited))
    # A type that no fleet uses may be unlimited, and a budget given is enough.
    plan_streams(PlanRequest([fleet("north", 1, events={"storage": "memory"})], unlimited))
    bounded = account_budget(AccountLimits(None, None), [], single_budget(8 * MIB))
    plan_streams(PlanRequest([fleet("north", 1)], bounded))


def test_a_budget_below_the_floors_of_one_type_is_refused_with_the_figures() -> None:
    fleets = [fleet("a", 1), fleet("b", 1, events={"storage": "memory", "replicas": 3})]
    with pytest.raises(
        BudgetTooSmallError, match=r"2097152 bytes \(2\.0 MiB\) for memory streams .* 3145728"
    ):
        plan_streams(PlanRequest(fleets, StreamBudget(8 * MIB, 2 * MIB)))


def test_no_fleets_need_no_budget() -> None:
    assert plan_streams(PlanRequest([], StreamBudget(0, 0))) == []


def test_a_server_holds_itself_its_file_streams_and_message_ids_first() -> None:
    server = ServerBudget(memory_limit_bytes=256 * MIB, disk_bytes=1100 * MIB)
    few = server.stream_budget(file_streams=0, messages_per_second=0)
    more = server.stream_budget(file_streams=3, messages_per_second=100)
    assert few.file_bytes == pytest.approx(1000 * MIB, abs=1)
    assert few.memory_bytes == int((int(256 * MIB * 0.9) - 16 * MIB) / 1.9)
    spent = 3 * 12 * MIB + 100 * 120 * 200
    assert (few.memory_bytes or 0) - (more.memory_bytes or 0) == pytest.approx(spent / 1.9, abs=2)


def test_the_incidents_broker_is_too_small_for_its_memory_stream() -> None:
    """125 MB of messages in memory need twice that of the container's 128 MB."""
    assert server_memory_needed(0, 125_000_000, 8.4) > 2 * 128_000_000
    fits = ServerBudget(128_000_000, 0).stream_budget(0, 8.4).memory_bytes
    assert 45_000_000 < (fits or 0) < 55_000_000


@pytest.mark.parametrize("file_streams", [0, 3, 40])
@pytest.mark.parametrize("memory_bytes", [0, 64 * MIB])
def test_the_memory_needed_is_what_the_budget_gives_back(
    file_streams: int, memory_bytes: int
) -> None:
    limit = server_memory_needed(file_streams, memory_bytes, 50)
    given = ServerBudget(limit, 0).stream_budget(file_streams, 50).memory_bytes
    assert given == pytest.approx(memory_bytes, abs=4)
    assert ServerBudget(limit, 0).go_memory_limit_bytes < limit


def test_a_container_too_small_for_the_server_itself_is_refused() -> None:
    with pytest.raises(BudgetTooSmallError, match=r"32\.0 MiB is below 57\.8 MiB.* 3 file streams"):
        ServerBudget(32 * MIB, 0).stream_budget(3, 0)
