from pathlib import Path

import pytest

from fleet_poller.cpu_limit import usable_cores


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", 1.0),
        ("20000 100000\n", 0.2),
        ("250000 100000\n", 1.0),
        ("", 1.0),
        ("nonsense", 1.0),
        ("20000 0", 1.0),
    ],
)
def test_version_2(tmp_path: Path, text: str, cores: float) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert usable_cores(tmp_path) == cores


@pytest.mark.parametrize(
    ("quota", "period", "cores"),
    [("-1", "100000", 1.0), ("15000", "100000", 0.15), ("400000", "100000", 1.0)],
)
def test_version_1(tmp_path: Path, quota: str, period: str, cores: float) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text(period + "\n")
    assert usable_cores(tmp_path) == cores


def test_without_cgroups(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "absent") == 1.0
