"""Evolution is additive: readers keep what they do not know, and `buf breaking` guards it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.internal import encoder

from fleet_contracts.codec import SCHEMA_VERSION, decode
from support.examples import ValidExample, valid_examples

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
BASELINE = PROTO / "baseline.binpb"
BUF = Path(sys.prefix) / "bin/buf"
BREAKING = 100  # buf's exit code for findings


def buf(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the pinned tool of our own environment
        [str(BUF), *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def against_baseline(folder: Path) -> subprocess.CompletedProcess[str]:
    return buf("breaking", str(folder), "--against", str(BASELINE))


def test_the_contract_breaks_nothing_since_the_baseline() -> None:
    result = against_baseline(PROTO)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_contract_follows_the_style_rules() -> None:
    result = buf("lint", str(PROTO))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("optional uint64 uptime_seconds = 4;", "", 'field "4"'),
        ("uint32 consecutive_failures", "string consecutive_failures", "consecutive_failures"),
        ("uint32 consecutive_failures", "uint32 failures_in_a_row", "failures_in_a_row"),
        ("bool rebooted = 6;", "bool rebooted = 7;", 'field "6"'),
        ("  ERROR_CLASS_TRAP = 10;\n", "", "ERROR_CLASS"),
    ],
    ids=["field-removed", "type-changed", "name-changed", "number-changed", "enum-value-removed"],
)  # fmt: skip
def test_a_breaking_change_is_detected(
    tmp_path: Path, before: str, after: str, complaint: str
) -> None:
    changed = copy_of_contract(tmp_path, before, after)
    result = against_baseline(changed)
    assert result.returncode == BREAKING, result.stdout + result.stderr
    assert complaint in result.stdout


def test_an_additive_change_is_no_break(tmp_path: Path) -> None:
    changed = copy_of_contract(
        tmp_path, "bool rebooted = 6;", "bool rebooted = 6;\n  optional uint32 reboots = 7;"
    )
    result = against_baseline(changed)
    assert result.returncode == 0, result.stdout + result.stderr


def copy_of_contract(folder: Path, before: str, after: str) -> Path:
    shutil.copytree(PROTO / "fleet", folder / "fleet")
    shutil.copy(PROTO / "buf.yaml", folder)
    source = folder / "fleet/v1/events.proto"
    text = source.read_text(encoding="utf-8")
    assert text.count(before) == 1
    source.write_text(text.replace(before, after), encoding="utf-8")
    return folder


def unknown_field(number: int, value: bytes) -> bytes:
    """A length-delimited field that no reader of today knows."""
    return encoder.TagBytes(number, 2) + bytes([len(value)]) + value


@pytest.mark.parametrize("example", valid_examples(), ids=lambda example: example.name)
def test_fields_of_a_newer_producer_are_read_over_and_kept(example: ValidExample) -> None:
    newer = example.payload + unknown_field(900, b"from the future")
    decoded = decode(example.subject, newer)
    assert b"from the future" in decoded.event.SerializeToString()
    decoded.event.DiscardUnknownFields()
    assert decoded.event == example.event


def test_a_higher_schema_version_is_read() -> None:
    example = next(e for e in valid_examples() if e.name == "status-up.yaml")
    event = example.event
    event.schema_version = SCHEMA_VERSION + 1
    decoded = decode(example.subject, event.SerializeToString())
    assert decoded.event.schema_version == SCHEMA_VERSION + 1


def test_generated_code_is_that_of_the_contract(tmp_path: Path) -> None:
    result = subprocess.run(  # noqa: S603 - our own tool
        [sys.executable, str(ROOT / "tools/generate.py"), "--protobuf-to", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    committed = PROTO / "src/fleet_contracts/gen/fleet/v1"
    for name in ("events_pb2.py", "events_pb2.pyi"):
        made = (tmp_path / "fleet/v1" / name).read_text(encoding="utf-8")
        assert made == (committed / name).read_text(encoding="utf-8"), (
            f"{name}: run `make generate`"
        )
