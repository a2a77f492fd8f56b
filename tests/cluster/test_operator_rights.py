"""The operator's rules are what it uses: no right is missing, and none is left over."""

from pathlib import Path

from fleet_operator.rbac import RULES
from support.kube_recorder import kube_recorder
from support.operator_cluster import operator_at
from support.operator_fleets import applicable, routers_secret

NATS_USER = {
    "FLEET_OPERATOR__POLLER_NATS_USER": "poller",
    "FLEET_OPERATOR__POLLER_NATS_PASSWORD": "secret",
}


async def test_every_rule_is_used_and_every_request_allowed(
    kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    allowed = {(rule.group, rule.resource, verb) for rule in RULES for verb in rule.verbs}
    async with kube_recorder(kubeconfig, tmp_path) as recorder:
        settings = {"KUBECONFIG": str(recorder.kubeconfig), **NATS_USER}
        with operator_at([namespace], tmp_path, settings) as site:
            # A life: made with a shard whose process hangs, its user taken away, its end.
            shards = {"shards": {"replicas": 1}}
            site.apply(routers_secret(), applicable("life", **shards))
            await site.until(
                lambda: site.find("secret", "life-shard-nats"),
                lambda found: found is not None,
                what="the pollers' NATS user",
            )
            await site.until(
                lambda: (site.find("statefulset", "life-shard") or {}).get("status", {}),
                lambda status: status.get("replicas") == 1,
                what="a pod",
            )
            site.apply(routers_secret(password="renewed"))
            await site.until(
                lambda: ("", "pods", "patch") in recorder.rights, bool, what="its kubelet is told"
            )
            await site.service.stop()
            for name in NATS_USER:
                del site.service.settings[name]
            site.service.start()
            await site.until(
                lambda: site.find("secret", "life-shard-nats"),
                lambda found: found is None,
                what="the Secret's end",
            )
            site.delete("rf", "life")
            await site.until(
                lambda: site.find("rf", "life"), lambda found: found is None, what="its end"
            )
            refused, used = recorder.refused, set(recorder.rights)
    # Fencing is in tests/cluster/test_operator_fencing.py; it needs a pod that ran.
    fencing = {("", "pods", "get"), ("", "pods", "delete")}
    assert not refused
    assert used - allowed == set()
    assert allowed - used - fencing == set()
