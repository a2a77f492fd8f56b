"""Ends the pod of a shard that gives no sign of life, for certain.

First the kubelet is given a second: the pod is gone only when its containers have ended.
A node that does not answer cannot say so; then the pod is taken out of the API server by
force, and its node's own time-outs have to do the rest.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from fleet_common.errors import TransientError
from fleet_operator.kinds import POD, Document, ObjectKey
from fleet_operator.kube import Kube

_log = logging.getLogger(__name__)

_KUBELET_SECONDS: Final = 10.0
_FORCE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.25


async def fence(kube: Kube, namespace: str, pod: str) -> bool:
    """Return once the pod's process polls no more; False when none was running.

    Raises KubeError or TransientError when it cannot be said that it has ended.
    """
    key = ObjectKey(POD, namespace, pod)
    document = await kube.get(key)
    if document is None or not may_poll(document):
        return False
    uid = document["metadata"]["uid"]
    await kube.delete(key, grace_seconds=1)
    if await _gone(kube, key, uid, _KUBELET_SECONDS):
        return True
    _log.warning(
        "the pod's node does not confirm that it has ended; taking it out by force",
        extra={"namespace": namespace, "pod": pod},
    )
    await kube.delete(key, grace_seconds=0)
    if await _gone(kube, key, uid, _FORCE_SECONDS):
        return True
    raise TransientError(f"pod {namespace}/{pod} is still there after it was deleted by force")


def may_poll(document: Document) -> bool:
    """Whether one of its containers may poll: a pod that only starts polls nothing.

    One that was never ready since its container began has no assignment yet. Both moments are
    of the pod's own kubelet.
    """
    status: dict[str, Any] = document.get("status") or {}
    containers = status.get("containerStatuses")
    if containers is None:
        return status.get("phase") not in {"Pending", "Succeeded", "Failed"}
    running = [one["state"]["running"] for one in containers if "running" in (one["state"] or {})]
    unready_since = _unready_since(status)
    return any(
        unready_since is None or unready_since > str(one.get("startedAt") or "") for one in running
    )


def _unready_since(status: Mapping[str, Any]) -> str | None:
    """RFC 3339 in UTC with whole seconds, which sorts as text; None: it is ready, or not said."""
    for condition in status.get("conditions") or ():
        if condition["type"] == "Ready" and condition["status"] == "False":
            return condition.get("lastTransitionTime")
    return None


async def _gone(kube: Kube, key: ObjectKey, uid: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = await kube.get(key)
        if found is None or found["metadata"]["uid"] != uid:
            return True
        await asyncio.sleep(_LOOK_SECONDS)
    return False
