"""Full lists of several namespaces: each counts for itself, one object or namespace stops none."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet_operator import relisting as relisting_module
from fleet_operator.kinds import (
    CONFIG_MAP,
    ROUTER_FLEET,
    WATCHED,
    ObjectKey,
    ObjectKind,
)
from fleet_operator.kube import Kube
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.relisting import Relisting
from fleet_operator.store import Store, trimmed
from support.kube_lists import Document, KubeLists, kube_lists
from support.operator_fleets import config_map, fleet_document
from support.waiting import eventually

FLEETS = "routerfleets"
FAILURES = "fleet_operator_failures_total"


@dataclass
class Site:
    lists: KubeLists
    kube: Kube
    store: Store
    metrics: OperatorMetrics
    relisting: Relisting

    def there(self, kind: ObjectKind) -> set[tuple[str, str]]:
        metadata = [one["metadata"] for one in self.store.all(kind)]
        return {(one["namespace"], one["name"]) for one in metadata}

    def put(self, *fleets: Document) -> None:
        for one in fleets:
            self.lists.objects.setdefault((one["metadata"]["namespace"], FLEETS), []).append(one)

    async def first(self) -> None:
        async with asyncio.timeout(10):
            await self.relisting.first()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[list[str]]:
        """Full lists in quick succession; gives the reasons to watch anew."""
        again: list[str] = []
        task = asyncio.create_task(self.relisting.run(again.append))
        try:
            yield again
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def fleet(name: str, namespace: str, version: int = 5) -> Document:
    return fleet_document(name, namespace, uid=f"{namespace}-{name}", version=version)


def key(name: str, namespace: str) -> ObjectKey:
    return ObjectKey(ROUTER_FLEET, namespace, name)


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Site]:
    async with kube_lists(tmp_path) as lists:
        monkeypatch.setenv("KUBECONFIG", str(lists.kubeconfig))
        kube, store, metrics = Kube(["a", "b"]), Store(lambda: None), OperatorMetrics()
        yield Site(lists, kube, store, metrics, Relisting(kube, store, metrics, 0.05))
        await kube.close()


async def test_what_is_made_while_another_namespace_is_listed_stays(site: Site) -> None:
    site.put(fleet("old", "a"))

    def listed(namespace: str, plural: str) -> None:
        if (namespace, plural) == ("a", FLEETS):
            # After the list of a, and before that of b, which is of a later revision.
            site.lists.revision += 10
            made = fleet("made", "a", version=site.lists.revision)
            site.store.put(ROUTER_FLEET, trimmed(ROUTER_FLEET, made))

    site.lists.listed = listed
    await site.first()
    assert site.there(ROUTER_FLEET) == {("a", "old"), ("a", "made")}


async def test_an_object_that_cannot_be_understood_is_counted_once_and_stops_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fussy(kind: ObjectKind, document: Document) -> Document:
        if document["metadata"]["name"] == "odd":
            raise TypeError("odd")
        return trimmed(kind, document)

    monkeypatch.setattr(relisting_module, "trimmed", fussy)
    known = fleet("odd", "a", version=3)
    site.store.put(ROUTER_FLEET, known)
    site.put(fleet("odd", "a"), fleet("even", "a"))
    odd = config_map("odd", {}, namespace="b")
    site.lists.objects["b", CONFIG_MAP.plural] = [odd, config_map("even", {}, namespace="b")]
    await site.first()
    assert site.there(ROUTER_FLEET) == {("a", "odd"), ("a", "even")}
    assert site.store.get(key("odd", "a")) is known
    assert site.there(CONFIG_MAP) == {("b", "even")}
    await site.first()
    counted = site.metrics.registry.get_sample_value(FAILURES, {"party": "kubernetes"})
    assert counted == 2


async def test_a_namespace_whose_fleets_may_not_be_read_stops_no_other(site: Site) -> None:
    site.lists.forbidden = {("b", kind.plural) for kind in WATCHED}
    site.put(fleet("one", "a"))
    await site.first()
    assert site.there(ROUTER_FLEET) == {("a", "one")}
    assert all(site.store.complete(kind) for kind in WATCHED)
    assert site.relisting.namespaces == ("a",)
    assert site.store.unread == {"b"}
    site.put(fleet("two", "b"))
    async with site.running() as again:
        site.lists.forbidden = set()
        await eventually(lambda: again, bool, what="watches begun anew")
        assert site.there(ROUTER_FLEET) == {("a", "one"), ("b", "two")}
        assert site.store.unread == set()


async def test_that_no_namespace_may_be_read_is_not_taken_for_no_fleets(site: Site) -> None:
    site.lists.forbidden = {(namespace, FLEETS) for namespace in ("a", "b")}
    site.put(fleet("one", "a"))
    waiting = asyncio.create_task(site.first())
    await eventually(
        lambda: site.metrics.registry.get_sample_value(FAILURES, {"party": "kubernetes"}),
        bool,
        what="a list that was refused",
    )
    assert not waiting.done()
    assert not site.store.complete(ROUTER_FLEET)
    site.lists.forbidden = set()
    await waiting
    assert site.there(ROUTER_FLEET) == {("a", "one")}


async def test_a_fleet_whose_namespace_may_not_be_read_any_more_stays_and_others_are_found(
    site: Site,
) -> None:
    site.put(fleet("one", "a"), fleet("two", "b"))
    await site.first()
    site.lists.forbidden = {("b", kind.plural) for kind in WATCHED}
    site.lists.objects["a", FLEETS] = [fleet("other", "a", version=site.lists.revision + 1)]
    async with site.running():
        await eventually(
            lambda: site.there(ROUTER_FLEET),
            lambda there: there == {("a", "other"), ("b", "two")},
            what="what the list of a says, and what was known of b",
        )
    assert site.store.unread == set()


async def test_of_a_namespace_that_went_with_its_role_nothing_is_left(site: Site) -> None:
    going = fleet("two", "b")
    going["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    site.put(fleet("one", "a"), going)
    site.lists.objects["b", CONFIG_MAP.plural] = [config_map("rows", {}, namespace="b")]
    await site.first()
    site.lists.forbidden = {("b", kind.plural) for kind in WATCHED}
    async with site.running():
        await eventually(
            lambda: site.there(ROUTER_FLEET) | site.there(CONFIG_MAP),
            lambda there: there == {("a", "one")},
            what="nothing of b",
        )
    assert site.store.unread == {"b"}
