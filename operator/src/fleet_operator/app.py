"""The operator, put together: watches and lists → store → controller → cluster and NATS."""

import asyncio
import logging
from typing import Final

from fleet_common.broker import close
from fleet_common.runtime import Runtime, unless_stopped
from fleet_contracts.subjects import TenantId
from fleet_operator.announcing import Announcer
from fleet_operator.applying import Objects
from fleet_operator.assigning import Assigning
from fleet_operator.broker_side import BrokerSide
from fleet_operator.cleanup import Cleanup
from fleet_operator.controller import Controller
from fleet_operator.devices_up import DevicesUp
from fleet_operator.fencing import fence
from fleet_operator.fleets import Fleets
from fleet_operator.kube import Kube
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.parts import Parts
from fleet_operator.poller_pods import PodSource
from fleet_operator.relisting import Relisting
from fleet_operator.reporting import Reporter, Sources
from fleet_operator.scaling import Pace
from fleet_operator.secret_sync import SecretSync
from fleet_operator.settings import OperatorSettings
from fleet_operator.shards import Shards
from fleet_operator.store import Store
from fleet_operator.to_count import ToCount
from fleet_operator.wake import Wake
from fleet_operator.watching import Watching
from fleet_operator.workloads import pod_name

_log = logging.getLogger(__name__)

_FLUSH_SECONDS: Final = 1.0


async def run(runtime: Runtime, settings: OperatorSettings, metrics: OperatorMetrics) -> None:
    """Reconcile until told to stop."""
    _quiet()
    section = settings.operator
    pods = PodSource(settings)
    wake = Wake()
    kube = Kube(section.namespace_list)
    store = Store(wake.ring)
    relisting = Relisting(kube, store, metrics, section.resync_seconds)
    progress = runtime.health.progress("controller", section.stalled_seconds)
    progress.idle()
    # Only what exists can be watched: the CRD may come after the operator.
    if await unless_stopped(runtime.stop, _listed(relisting)) is None:
        await kube.close()
        return
    progress.expect()
    broker = BrokerSide(settings.nats, section, metrics)
    fleets = Fleets(store)
    announcer = Announcer(kube, metrics)

    async def end(tenant: TenantId, shard: str) -> None:
        owner = next((one.owner for one in fleets.read() if one.tenant == tenant), None)
        if owner is None:
            return
        fenced = await fence(kube, owner.namespace, pod_name(tenant, shard))
        if fenced is not None:
            metrics.fenced.labels(tenant).inc()
            announcer.say(owner, *fenced.event(shard), warning=True)

    pace = Pace(section.saturated_seconds, section.calm_seconds)
    shards = Shards(store, pace, broker.state.without_record)
    assigning = Assigning(broker.client, broker.js, end, metrics, wake.ring)
    up = DevicesUp(broker.client, ToCount(fleets, broker.state, assigning, shards), wake.ring)
    cleanup = Cleanup(
        kube,
        store,
        broker,
        assigning,
        announcer=announcer,
        metrics=metrics,
        deadline_seconds=section.cleanup_seconds,
    )
    sources = Sources(kube, store, fleets, broker, assigning, up, announcer, metrics)
    reporter = Reporter(sources, section.status_seconds)
    parts = Parts(
        store=store,
        fleets=fleets,
        broker=broker,
        assigning=assigning,
        shards=shards,
        secrets=SecretSync(kube, store, metrics),
        objects=Objects(kube, store, metrics),
        cleanup=cleanup,
        reporter=reporter,
        up=up,
        announcer=announcer,
        pods=pods,
        metrics=metrics,
    )
    controller = Controller(parts, wake, progress)
    watches = Watching(store, lambda: relisting.namespaces, metrics)
    watching = runtime.spawn(watches.run(runtime.stop), "watches")
    work = [
        runtime.spawn(broker.connect(), "broker"),
        runtime.spawn(relisting.run(watches.again), "resync"),
        runtime.spawn(assigning.run(), "assigning"),
        runtime.spawn(up.run(), "devices up"),
        runtime.spawn(announcer.run(), "events"),
        runtime.spawn(controller.run(), "controller"),
    ]
    runtime.health.set_ready(ready=True)
    await runtime.stop.wait()
    for task in work:
        task.cancel()
    await asyncio.wait([*work, watching])
    await close(broker.client, flush_seconds=_FLUSH_SECONDS)
    await kube.close()


def _quiet() -> None:
    """Every request and every object seen is a line at info; ours say what came of them."""
    for name in ("kopf", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # That it takes no signals, which are the operator's own to take.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)


async def _listed(relisting: Relisting) -> bool:
    await relisting.first()
    return True
