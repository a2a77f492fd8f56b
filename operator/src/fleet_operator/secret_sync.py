"""Changed Secrets reach the shards' pods at once.

A kubelet refreshes mounted Secrets when it looks at a pod: about once a minute by itself, at
once when something of the pod changes. So an annotation of the pods is changed.
"""

import logging
from typing import Final

from fleet_operator.fleets import Known
from fleet_operator.kinds import POD, SECRET, Document, ObjectKey, part
from fleet_operator.kube import Kube, KubeRefusedError
from fleet_operator.metrics import OperatorMetrics
from fleet_operator.store import Store, digest, version_of
from fleet_operator.workloads import object_name, stateful_set_key

_log = logging.getLogger(__name__)

SECRETS_ANNOTATION: Final = "routerfleet.io/secrets"
"""Of which versions of its Secrets a pod was told; changes nothing but the kubelet's mind."""
_NOT_FOUND: Final = 404


class SecretSync:
    """Remembers which versions of its Secrets each fleet had. What it misses, a minute mends."""

    def __init__(self, kube: Kube, store: Store, metrics: OperatorMetrics) -> None:
        self._kube = kube
        self._store = store
        self._metrics = metrics
        self._seen: dict[str, dict[str, int]] = {}

    async def look(self, known: Known) -> None:
        """Tell the fleet's pods when a Secret is another than last time. Raises KubeError."""
        now = {
            name: 0 if (secret := self._secret(known, name)) is None else version_of(secret)
            for name in known.needs
        }
        seen = self._seen.get(known.owner.uid)
        changed = seen is not None and any(seen.get(name, now[name]) != now[name] for name in now)
        if changed:
            await self._tell(known, digest(now))
        self._seen[known.owner.uid] = now

    def forget(self, uid: str) -> None:
        """The fleet has gone."""
        self._seen.pop(uid, None)

    async def _tell(self, known: Known, versions: str) -> None:
        live = self._store.get(stateful_set_key(known.owner))
        patch: Document = {"metadata": {"annotations": {SECRETS_ANNOTATION: versions}}}
        pods = int(part(live, "status").get("replicas") or 0)
        for ordinal in range(pods):
            name = f"{object_name(known.owner.name)}-{ordinal}"
            try:
                await self._kube.merge(ObjectKey(POD, known.owner.namespace, name), patch)
            except KubeRefusedError as error:
                if error.status != _NOT_FOUND:
                    raise
        self._metrics.writes.labels("Pod", "told").inc(pods)
        _log.info(
            "Secrets changed; the pods' kubelets were told",
            extra={"tenant": known.owner.name, "pods": pods},
        )

    def _secret(self, known: Known, name: str) -> Document | None:
        return self._store.get(ObjectKey(SECRET, known.owner.namespace, name))
