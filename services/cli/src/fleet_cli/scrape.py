"""Counters of the services over the whole run, restarts included."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from fleet_cli.ports import LOOPBACK

type Labels = tuple[tuple[str, str], ...]
type Sample = tuple[str, Labels]
"""A series: name and sorted labels."""

_TIMEOUT_SECONDS: Final = 2.0


def parse_metrics(text: str) -> dict[Sample, float]:
    """The series of one /metrics answer."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def read_metrics(client: httpx.AsyncClient, port: int) -> dict[Sample, float] | None:
    """The series of the process at a port; None while it does not answer."""
    try:
        response = await client.get(f"http://{LOOPBACK}:{port}/metrics", timeout=_TIMEOUT_SECONDS)
        response.raise_for_status()
    except httpx.HTTPError:
        return None
    return parse_metrics(response.text)


@dataclass(slots=True)
class CounterTotals:
    """Totals of one process's counters that go on when the process begins anew at 0."""

    _last: dict[Sample, float] = field(default_factory=dict[Sample, float])
    _base: dict[Sample, float] = field(default_factory=dict[Sample, float])

    def update(self, series: Mapping[Sample, float], names: Iterable[str]) -> None:
        """Take the newest values of the counters called `names`."""
        wanted = frozenset(names)
        for sample, value in series.items():
            if sample[0] not in wanted:
                continue
            last = self._last.get(sample, 0.0)
            if value < last:
                self._base[sample] = self._base.get(sample, 0.0) + last
            self._last[sample] = value

    def total(self, name: str, choose: Callable[[dict[str, str]], bool] = lambda _: True) -> int:
        """The sum of the series of a name whose labels are chosen."""
        return round(
            sum(
                value + self._base.get(sample, 0.0)
                for sample, value in self._last.items()
                if sample[0] == name and choose(dict(sample[1]))
            )
        )

    def by_label(self, name: str, label: str) -> dict[str, int]:
        """Sums of a name by one label's value."""
        values = {dict(labels).get(label, "") for known, labels in self._last if known == name}
        return {
            value: self.total(name, lambda labels, value=value: labels.get(label, "") == value)
            for value in values
        }
