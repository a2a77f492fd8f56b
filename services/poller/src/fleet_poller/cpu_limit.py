"""How much processor this process may use: a container's CPU limit, from its cgroup."""

from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")


def usable_cores(root: Path = _ROOT) -> float:
    """Cores, at most 1: the event loop is one thread. 1 where there is no limit.

    Version 2 has `cpu.max` (quota or `max`, and period), version 1 two files; see Linux's
    Documentation/admin-guide/cgroup-v2.rst and Documentation/scheduler/sched-bwc.rst.
    """
    for words in (
        _words(root / "cpu.max"),
        [
            *_words(root / "cpu" / "cpu.cfs_quota_us"),
            *_words(root / "cpu" / "cpu.cfs_period_us"),
        ],
    ):
        match words:
            case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period):
                return min(1.0, int(quota) / int(period)) or 1.0
            case _:
                continue
    return 1.0


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return []
