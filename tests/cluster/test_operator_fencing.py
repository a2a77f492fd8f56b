"""A shard that gives no sign is ended for certain; a pod that polls nothing is let alone."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from e2e.commands import apply, find
from fleet_operator.fencing import fence
from fleet_operator.kube import Kube
from support.kube_recorder import kube_recorder
from support.waiting import eventually

HANGS = """
import signal
signal.signal(signal.SIGTERM, lambda *_: None)
while True:
    signal.pause()
"""
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "hangs"},
    "spec": {
        "terminationGracePeriodSeconds": 600,
        "containers": [
            {
                "name": "hangs",
                "image": "localhost/python:3.13-slim",
                "imagePullPolicy": "IfNotPresent",
                "command": ["python", "-c", HANGS],
            }
        ],
    },
}


async def test_a_hanging_pod_has_ended_when_fence_returns(
    kubeconfig: Path, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(apply, [POD], namespace)
    await eventually(
        lambda: find("pod", "hangs", namespace),
        lambda pod: (pod or {}).get("status", {}).get("phase") == "Running",
        deadline_seconds=60,
        every_seconds=0.5,
        what="a running pod",
    )
    async with kube_recorder(kubeconfig, tmp_path) as recorder:
        with monkeypatch.context() as patched:
            patched.setenv("KUBECONFIG", str(recorder.kubeconfig))
            kube = Kube([namespace])
        began = time.monotonic()
        assert await fence(kube, namespace, "hangs")
        assert time.monotonic() - began < 20
        assert find("pod", "hangs", namespace) is None
        assert not await fence(kube, namespace, "hangs")
        await kube.close()
        assert recorder.rights == {("", "pods", "get"), ("", "pods", "delete")}


async def test_a_pod_that_never_ran_is_let_alone(
    kubeconfig: Path, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec: dict[str, Any] = {**POD["spec"], "nodeSelector": {"no-node": "has-this"}}
    waiting = {**POD, "metadata": {"name": "waits"}, "spec": spec}
    await asyncio.to_thread(apply, [waiting], namespace)
    async with kube_recorder(kubeconfig, tmp_path) as recorder:
        with monkeypatch.context() as patched:
            patched.setenv("KUBECONFIG", str(recorder.kubeconfig))
            kube = Kube([namespace])
        assert not await fence(kube, namespace, "waits")
        await kube.close()
    assert find("pod", "waits", namespace) is not None
