"""The doctor's judgements: grade, what was seen, what to do."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from nats.js.api import AccountInfo

from fleet_cli.database import Schema
from fleet_cli.doctor import broker, postgres
from fleet_cli.doctor.fleet import check_fleet
from fleet_cli.doctor.host import (
    DISK_FAIL_BYTES,
    DISK_WARN_BYTES,
    check_data_dir,
    check_packages,
    check_python,
    judge_disk,
)
from fleet_cli.doctor.result import Grade, Result, exit_code, fail, ok, to_json, warn
from fleet_cli.doctor.router import RouterTarget, explain, judge_clock, parse_target
from fleet_common.fleet_spec import TlsMode
from fleet_poller.routeros.errors import (
    LoginRejectedError,
    ProtocolViolatedError,
    RefusedError,
    RouterError,
    TimedOutError,
    TlsError,
    UnreachableError,
)
from fleet_poller.routeros.session import Credentials
from fleet_poller.routeros.tls import Tls

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
MIB = 1024**2


def target(mode: TlsMode = TlsMode.PLAIN) -> RouterTarget:
    return RouterTarget("192.0.2.1", 8728, Tls(mode), Credentials("admin", "secret"))


def test_only_a_failed_check_makes_the_exit_code_1() -> None:
    results = [ok("a", "fine"), warn("b", "so so", "do this")]
    assert exit_code(results) == 0
    assert exit_code([*results, fail("c", "broken", "do that")]) == 1


def test_json_has_every_check_with_grade_and_advice() -> None:
    document = to_json([ok("a", "fine"), fail("c", "broken", "do that")])
    assert document == {
        "ok": False,
        "checks": [
            {"name": "a", "grade": "ok", "seen": "fine", "advice": ""},
            {"name": "c", "grade": "fail", "seen": "broken", "advice": "do that"},
        ],
    }


def test_an_old_python_is_refused_with_what_to_use() -> None:
    result = check_python((3, 11, 9))
    assert (result.grade, result.seen) == (Grade.FAIL, "3.11.9")
    assert "3.12" in result.advice
    assert check_python((3, 12, 0)).grade is Grade.OK


def test_a_missing_package_is_named() -> None:
    result = check_packages(["pydantic", "no-such-package-at-all"])
    assert result.grade is Grade.FAIL
    assert result.seen == "not installed: no-such-package-at-all"


@pytest.mark.parametrize(
    ("free", "grade"),
    [
        (DISK_FAIL_BYTES - 1, Grade.FAIL),
        (DISK_FAIL_BYTES, Grade.WARN),
        (DISK_WARN_BYTES, Grade.OK),
    ],
)
def test_disk_space_is_judged_by_what_a_demo_needs(free: int, grade: Grade) -> None:
    assert judge_disk(free, "/data").grade is grade


def test_a_data_folder_below_a_file_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = check_data_dir(tmp_path / "file" / "demo")
    assert result.grade is Grade.FAIL
    assert "--data-dir" in result.advice


def test_an_old_nats_server_is_refused() -> None:
    assert broker.judge_version("2.10.22", "nats://a").grade is Grade.FAIL
    assert broker.judge_version("2.11.0", "nats://a").grade is Grade.OK


def account(storage: int, limit: int, streams: int = 1) -> AccountInfo:
    return AccountInfo.from_response(
        {
            "memory": 0,
            "storage": storage,
            "streams": streams,
            "consumers": 0,
            "limits": {
                "max_memory": 0,
                "max_storage": limit,
                "max_streams": -1,
                "max_consumers": -1,
                "max_ack_pending": -1,
                "memory_max_stream_bytes": -1,
                "storage_max_stream_bytes": -1,
                "max_bytes_required": False,
            },
            "api": {"total": 1, "errors": 0},
        }
    )


def grades(results: list[Result]) -> dict[str, Grade]:
    return {result.name: result.grade for result in results}


def test_a_broker_near_its_limit_fails_because_every_stream_would_stop() -> None:
    full = grades(broker.judge_account(account(125 * MIB, 128 * MIB)))
    assert full["jetstream file storage"] is Grade.FAIL
    roomy = grades(broker.judge_account(account(64 * MIB, 128 * MIB)))
    assert roomy["jetstream file storage"] is Grade.OK


def test_a_broker_without_streams_is_a_warning() -> None:
    assert (
        grades(broker.judge_account(account(0, -1, streams=0)))["jetstream streams"] is Grade.WARN
    )


@pytest.mark.parametrize(
    ("version", "grade"),
    [("13.2", Grade.FAIL), ("14.0", Grade.OK), ("18.4 (Debian 18.4-1)", Grade.OK)],
)
def test_postgresql_versions(version: str, grade: Grade) -> None:
    assert postgres.judge_version(version).grade is grade


def test_a_database_of_a_newer_release_fails_and_an_older_one_warns() -> None:
    known = ("0001_a.sql", "0002_b.sql")
    newer = postgres.judge_schema(Schema((*known, "0003_c.sql"), None), known)
    older = postgres.judge_schema(Schema(("0001_a.sql",), "2.28.3"), known)
    same = postgres.judge_schema(Schema(known, None), known)
    assert [results[0].grade for results in (newer, older, same)] == [
        Grade.FAIL,
        Grade.WARN,
        Grade.OK,
    ]
    assert "0003_c.sql" in newer[0].seen
    assert older[1].seen == "version 2.28.3 is used"


def test_the_installed_writer_s_migrations_are_found() -> None:
    assert postgres.known_migrations()[0].startswith("0001_")


@pytest.mark.parametrize(
    ("error", "name", "word"),
    [
        (UnreachableError("no route"), "router tcp", "route"),
        (RefusedError("refused"), "router tcp", "/ip/service/enable api"),
        (TlsError("bad certificate"), "router tls", "--fingerprint"),
        (LoginRejectedError("invalid user"), "router login", "policies"),
        (TimedOutError("nothing"), "router login", "firewall"),
        (ProtocolViolatedError("HTTP"), "router login", "really"),
    ],
)
def test_each_failed_step_to_a_router_says_what_to_do(
    error: RouterError, name: str, word: str
) -> None:
    result = explain(error, target())
    assert (result.grade, result.name) == (Grade.FAIL, name)
    assert word in result.advice


def test_with_tls_the_other_service_is_named() -> None:
    assert "api-ssl" in explain(RefusedError("refused"), target(TlsMode.ANONYMOUS)).advice


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [
        ("192.0.2.1", TlsMode.PLAIN, ("192.0.2.1", 8728)),
        ("core.example", TlsMode.VERIFY, ("core.example", 8729)),
        ("core.example:1234", TlsMode.VERIFY, ("core.example", 1234)),
        ("2001:db8::1", TlsMode.PLAIN, ("2001:db8::1", 8728)),
        ("[2001:db8::1]:99", TlsMode.PLAIN, ("2001:db8::1", 99)),
    ],
)
def test_router_addresses(text: str, mode: TlsMode, expected: tuple[str, int]) -> None:
    assert parse_target(text, mode) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "host:ssh", "[2001:db8::1", "[::1]99", ":8728",
        "10.0.0.1:99999", "10.0.0.1:0", "[::1]:65536", "host:²", f"host:{'1' * 5000}",
    ],
)  # fmt: skip
def test_what_is_no_router_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_target(text, TlsMode.PLAIN)


@pytest.mark.parametrize(
    ("date", "time", "offset", "grade"),
    [
        (b"2026-11-24", b"14:00:00", b"+02:00", Grade.OK),
        (b"nov/24/2026", b"12:00:30", b"+00:00", Grade.OK),
        (b"2026-11-24", b"06:30:00", b"-05:30", Grade.OK),
        (b"2026-11-24", b"12:05:00", b"+00:00", Grade.WARN),
        (b"1970-01-02", b"00:00:00", b"+00:00", Grade.WARN),
        (b"yesterday", b"noon", b"+00:00", Grade.WARN),
    ],
)
def test_the_router_s_clock_in_both_formats(
    date: bytes, time: bytes, offset: bytes, grade: Grade
) -> None:
    row = {b"date": date, b"time": time, b"gmt-offset": offset}
    assert judge_clock(row, NOW).grade is grade


def test_a_wrong_fleet_file_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("kind: RouterFleet\nmetadata: {name: north}\nspec: {devices: []}\n")
    (result,) = check_fleet(file, tmp_path, 128_000_000)
    assert result.grade is Grade.FAIL
    assert "spec.credentials" in result.seen
