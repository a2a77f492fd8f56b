"""Which slots of a fleet were polled, which were not, and which of those somebody has named.

A device's slots are exactly its interval apart, so the rows of a device say what is missing
between the first and the last of them. A poller that takes devices over names in its log
every slot that passed meanwhile.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from e2e.commands import run
from e2e.site import GROWN, INTERVAL, Site
from fleet_cli.database import read_model
from fleet_common.units import parse_duration
from fleet_contracts.subjects import Kind
from fleet_operator.workloads import selector

INTERVAL_MS: Final = round(parse_duration(INTERVAL) * 1000)
_NAMED: Final = "nobody polled them"


class Slot(NamedTuple):
    """Of one device; in Unix milliseconds."""

    tenant: str
    device: str
    slot_ms: int


@dataclass(frozen=True, slots=True)
class Account:
    """What became of all slots since a moment. `doubles`: events with more than one row."""

    polled: int
    missing: frozenset[Slot]
    named: frozenset[Slot]
    doubles: int

    @property
    def unnamed(self) -> frozenset[Slot]:
        """Missing, and nobody said so."""
        return self.missing - self.named

    @property
    def worst(self) -> int:
        """The most that one device misses."""
        return max(Counter(one[:2] for one in self.missing).values(), default=0)


@dataclass
class SlotWatch:
    """The slots of some tenants from its making on."""

    site: Site
    tenants: Iterable[str] = tuple(GROWN)
    since_ms: int = field(default_factory=lambda: round(time.time() * 1000))
    _named: set[Slot] = field(default_factory=set[Slot])

    def read_logs(self) -> None:
        """Take what the pods that are there now have named; a log goes with its pod."""
        for tenant in self.tenants:
            labels = ",".join(f"{name}={value}" for name, value in selector(tenant).items())
            done = run(
                (
                    "kubectl", "-n", self.site.namespace_of(tenant), "logs", "-l", labels,
                    "--tail=400", "--ignore-errors",
                ),
                check=False,
            )  # fmt: skip
            for line in done.stdout.splitlines():
                if _NAMED in line:
                    self._named.update(_slots(tenant, json.loads(line)["slots_first_last"]))

    def account(self) -> Account:
        """As the tables have it now."""
        self.read_logs()
        with self.site.database() as url:
            polled, doubles = asyncio.run(self._rows(url))
        missing = {
            Slot(tenant, device, slot)
            for (tenant, device), slots in polled.items()
            for slot in set(range(min(slots), max(slots), INTERVAL_MS)) - slots
        }
        count = sum(map(len, polled.values()))
        return Account(count, frozenset(missing), frozenset(self._named), doubles)

    async def _rows(self, url: str) -> tuple[dict[tuple[str, str], set[int]], int]:
        found: dict[tuple[str, str], set[int]] = {}
        async with read_model(url) as model:
            for tenant in self.tenants:
                for device, slot in await model.stored_keys(tenant, Kind.STATUS, self.since_ms):
                    found.setdefault((tenant, device), set()).add(slot)
            return found, await model.duplicate_keys(self.since_ms)


def _slots(tenant: str, passed: Mapping[str, tuple[int, int, int]]) -> Iterable[Slot]:
    for device, (_, first, last) in passed.items():
        for slot in range(first, last + 1, INTERVAL_MS):
            yield Slot(tenant, device, slot)
