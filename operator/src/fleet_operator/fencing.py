"""Ends the pod of a shard that gives no sign of life, for certain.

First the kubelet is given a second: the pod is gone only when its containers have ended.
A node that does not answer cannot say so; then the pod is taken out of the API server by
force, and an Event says so. Waiting for such a node would leave its devices unpolled until
somebody comes. What speaks for it: the shard has written nothing to NATS for its whole lease
and the kubelet has said nothing for twice that, so most likely there is no process. Should
there be one (a node cut off from API server and NATS, but not from its routers), a router has
two sessions for so long; the events of both have the same ids and are stored once, and the
process lets go as soon as it reaches NATS or its kubelet the API server.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fleet_common.errors import TransientError
from fleet_operator.kinds import POD, Document, ObjectKey, part
from fleet_operator.kube import Kube

_log = logging.getLogger(__name__)

_KUBELET_SECONDS: Final = 10.0
_FORCE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Fenced:
    """A pod that was ended. `confirmed`: its node said that its containers have ended."""

    pod: str
    node: str
    confirmed: bool

    def event(self, shard: str) -> tuple[str, str]:
        """Reason and message."""
        silent = f"{shard} gave no sign of life"
        if self.confirmed:
            return "ShardFenced", f"{silent}; pod {self.pod} on node {self.node} was ended"
        return "ShardFencedByForce", (
            f"{silent}, and node {self.node} did not confirm within {_KUBELET_SECONDS:g} s that "
            f"pod {self.pod} has ended; it was removed by force. Should that node be cut off "
            "rather than dead, it goes on polling until it reaches NATS again: its events are "
            "stored once all the same"
        )


async def fence(kube: Kube, namespace: str, pod: str) -> Fenced | None:
    """Return once the pod's process polls no more; None when none was running.

    Raises KubeError or TransientError when it cannot be said that it has ended.
    """
    key = ObjectKey(POD, namespace, pod)
    document = await kube.get(key)
    if document is None or not may_poll(document):
        return None
    uid, node = document["metadata"]["uid"], str(part(document, "spec").get("nodeName"))
    await kube.delete(key, grace_seconds=1)
    if await _gone(kube, key, uid, _KUBELET_SECONDS):
        return Fenced(pod, node, confirmed=True)
    _log.warning(
        "the pod's node does not confirm that it has ended; taking it out by force",
        extra={"namespace": namespace, "pod": pod, "node": node},
    )
    await kube.delete(key, grace_seconds=0)
    if await _gone(kube, key, uid, _FORCE_SECONDS):
        return Fenced(pod, node, confirmed=False)
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
    running = [
        one["state"]["running"] for one in containers if "running" in (one.get("state") or {})
    ]
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
