"""The objects of a fleet in the cluster: what they should be. Pure.

A shard is a pod of the StatefulSet `<tenant>-shard`; its name follows from its ordinal.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fleet_common.fleet_spec import API_VERSION, KIND, RouterFleet
from fleet_operator.kinds import (
    CONFIG_MAP,
    DISRUPTION_BUDGET,
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    TENANT_LABEL,
    Document,
    ObjectKey,
    ObjectKind,
)
from fleet_operator.poller_pods import (
    CA_FILE,
    CERT_FILE,
    CREDENTIALS_FILE,
    KEY_FILE,
    PollerPods,
)
from fleet_operator.store import digest

ADMIN_PORT: Final = 9100
USER_ID: Final = 10001
"""Of the images' user."""
SECRETS_DIRECTORY: Final = "/etc/routerfleet/secrets"
NATS_DIRECTORY: Final = "/etc/routerfleet/nats"
HASH_ANNOTATION: Final = "routerfleet.io/applied-hash"
"""Of what was applied last: a field that is asked for no more is noticed by it."""
EXTRA_ANNOTATION: Final = "routerfleet.io/extra-shards"
"""Shards beyond what the number of devices asks for, for saturation."""
TEMPLATE_ANNOTATION: Final = "routerfleet.io/template-hash"
"""Of the pods' template: another one means that all pods are replaced."""
LEAVE_SECONDS: Final = 5
"""How long a pod that is told to end polls on, at most, until others have its devices."""
_STOP_SECONDS: Final = 10
"""What it needs then to finish polls, log out and flush."""
_NATS_FILES: Final = {
    CA_FILE: "FLEET_NATS__CA_FILE",
    CERT_FILE: "FLEET_NATS__CERT_FILE",
    KEY_FILE: "FLEET_NATS__KEY_FILE",
    CREDENTIALS_FILE: "FLEET_NATS__CREDENTIALS_FILE",
}
_SECRET_KEYS: Final = ("username", "password", "ca.crt")
_INDEX_LABEL: Final = "apps.kubernetes.io/pod-index"


@dataclass(frozen=True, slots=True)
class Owner:
    """The RouterFleet that the objects belong to."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object: what is applied, with its hash in an annotation."""

    key: ObjectKey
    document: Document
    hash: str


def object_name(tenant: str) -> str:
    """Of StatefulSet, Service, budget and ConfigMap."""
    return f"{tenant}-shard"


def stateful_set_key(owner: Owner) -> ObjectKey:
    """Of the fleet's StatefulSet."""
    return ObjectKey(STATEFUL_SET, owner.namespace, object_name(owner.name))


def nats_secret_name(tenant: str) -> str:
    """Of the Secret with what the pollers' NATS connection needs."""
    return f"{tenant}-shard-nats"


def pod_name(tenant: str, shard: str) -> str:
    """Of the pod that is the shard `shard-<ordinal>`."""
    return f"{object_name(tenant)}-{shard.rpartition('-')[2]}"


def keys_of(owner: Owner) -> tuple[ObjectKey, ...]:
    """Every object that a fleet may have."""
    shard = object_name(owner.name)
    kinds = (CONFIG_MAP, SERVICE, DISRUPTION_BUDGET, STATEFUL_SET)
    return (
        *(ObjectKey(kind, owner.namespace, shard) for kind in kinds),
        ObjectKey(SECRET, owner.namespace, nats_secret_name(owner.name)),
    )


def router_secrets(fleet: RouterFleet) -> tuple[str, ...]:
    """The Secrets that its pollers need: credentials and CAs, of the fleet and of devices."""
    spec = fleet.spec
    credentials = [spec.credentials, *(one.credentials for one in spec.devices)]
    tls = [spec.tls, *(one.tls for one in spec.devices)]
    names = {one.secret_ref.name for one in credentials if one is not None}
    names |= {
        one.ca_secret_ref.name for one in tls if one is not None and one.ca_secret_ref is not None
    }
    return tuple(sorted(names))


def workloads(
    owner: Owner, fleet: RouterFleet, pods: PollerPods, replicas: int, extra: int = 0
) -> tuple[Wanted, ...]:
    """All objects, in the order of applying."""
    environment = {"data": _environment(fleet, pods)}
    made = [_object(owner, CONFIG_MAP, object_name(owner.name), environment)]
    if (secret := _nats_secret(owner, pods)) is not None:
        data = _nats_user(pods)
        data |= {name: _coded(content) for name, content in pods.nats_files.items()}
        made.append(_object(owner, SECRET, secret, {"type": "Opaque", "data": data}))
    made += [
        _object(owner, SERVICE, object_name(owner.name), {"spec": _service(owner)}),
        _object(owner, DISRUPTION_BUDGET, object_name(owner.name), {"spec": _budget(owner)}),
    ]
    template = _template(owner, fleet, pods)
    stateful_set = {"spec": _stateful_set(owner, template, replicas)}
    annotations = {EXTRA_ANNOTATION: str(extra), TEMPLATE_ANNOTATION: digest(template)}
    made.append(_object(owner, STATEFUL_SET, object_name(owner.name), stateful_set, annotations))
    return tuple(made)


def template_hash(owner: Owner, fleet: RouterFleet, pods: PollerPods) -> str:
    """What TEMPLATE_ANNOTATION will be."""
    return digest(_template(owner, fleet, pods))


def labels(tenant: str) -> dict[str, str]:
    """On every object of the fleet and its pods."""
    return selector(tenant) | {
        "app.kubernetes.io/part-of": "routerfleet",
        MANAGED_BY_LABEL: FIELD_MANAGER,
        TENANT_LABEL: tenant,
    }


def selector(tenant: str) -> dict[str, str]:
    """What its pods are found by; also the scale subresource's selector."""
    return {
        "app.kubernetes.io/name": "routerfleet",
        "app.kubernetes.io/component": "poller-shard",
        "app.kubernetes.io/instance": tenant,
    }


def _object(
    owner: Owner,
    kind: ObjectKind,
    name: str,
    content: Mapping[str, Any],
    annotations: Mapping[str, str] | None = None,
) -> Wanted:
    document: Document = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": labels(owner.name),
            "annotations": dict(annotations or {}),
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": KIND,
                    "name": owner.name,
                    "uid": owner.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        **content,
    }
    hashed = digest(document)
    document["metadata"]["annotations"][HASH_ANNOTATION] = hashed
    return Wanted(ObjectKey(kind, owner.namespace, name), document, hashed)


def _environment(fleet: RouterFleet, pods: PollerPods) -> dict[str, str]:
    return {
        "FLEET_LOG__FORMAT": pods.log.format,
        "FLEET_LOG__LEVEL": pods.log.level,
        **_leaving(pods.extras.termination_grace_period_seconds),
        **pods.extras.env,
        "FLEET_ADMIN__HOST": "0.0.0.0",  # noqa: S104 - a pod's own address
        "FLEET_ADMIN__PORT": str(ADMIN_PORT),
        "FLEET_NATS__URL": pods.nats_url,
        **{_NATS_FILES[name]: f"{NATS_DIRECTORY}/{name}" for name in pods.nats_files},
        **({"FLEET_NATS__SERVER_NAME": pods.nats_server_name} if pods.nats_server_name else {}),
        "FLEET_POLLER__SECRETS_DIRECTORY": SECRETS_DIRECTORY,
        "FLEET_POLLER__TENANT": fleet.tenant,
    }


def _leaving(grace_seconds: int) -> dict[str, str]:
    """Within the pod's own grace period."""
    leave = max(0, min(LEAVE_SECONDS, grace_seconds - _STOP_SECONDS - 1))
    return {
        "FLEET_POLLER__LEAVE_SECONDS": str(leave),
        "FLEET_RUNTIME__GRACE_SECONDS": str(_STOP_SECONDS + leave),
    }


def _nats_secret(owner: Owner, pods: PollerPods) -> str | None:
    return nats_secret_name(owner.name) if pods.nats_user or pods.nats_files else None


def _nats_user(pods: PollerPods) -> dict[str, str]:
    """By variable, coded; none without a user."""
    if pods.nats_user is None:
        return {}
    values = {"FLEET_NATS__USER": pods.nats_user, "FLEET_NATS__PASSWORD": pods.nats_password}
    return {name: _coded((value or "").encode()) for name, value in values.items()}


def _coded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _service(owner: Owner) -> Document:
    return {
        "type": "ClusterIP",
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": selector(owner.name),
        "ports": [{"name": "admin", "port": ADMIN_PORT, "targetPort": "admin", "protocol": "TCP"}],
    }


def _budget(owner: Owner) -> Document:
    return {
        "maxUnavailable": 1,
        # A pod that does not work is in nobody's way when its node is drained.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": selector(owner.name)},
    }


def _stateful_set(owner: Owner, template: Document, replicas: int) -> Document:
    return {
        "serviceName": object_name(owner.name),
        "replicas": replicas,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate"},
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": selector(owner.name)},
        "template": template,
    }


def _template(owner: Owner, fleet: RouterFleet, pods: PollerPods) -> Document:
    extras = pods.extras
    nats_secret = _nats_secret(owner, pods)
    checksums = {"routerfleet.io/config-checksum": digest({"data": _environment(fleet, pods)})}
    if user := _nats_user(pods):
        # Files are no part of it: the kubelet brings them, the poller reads them anew.
        checksums["routerfleet.io/nats-user-checksum"] = digest({"type": "Opaque", "data": user})
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(ADMIN_PORT),
        "prometheus.io/path": "/metrics",
        **extras.pod_annotations,
        **checksums,
    }
    spec: Document = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": extras.termination_grace_period_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": _spread(owner, extras.topology_spread_constraints),
        "containers": [_container(owner.name, pods, nats_secret)],
        "volumes": [
            _secrets_volume(router_secrets(fleet)),
            *_nats_volume(nats_secret, sorted(pods.nats_files)),
        ],
    }
    optional = {
        "nodeSelector": extras.node_selector,
        "tolerations": extras.tolerations,
        "affinity": extras.affinity,
        "imagePullSecrets": extras.image_pull_secrets,
        "priorityClassName": extras.priority_class_name,
    }
    spec |= {name: value for name, value in optional.items() if value}
    return {
        "metadata": {
            "labels": {**extras.pod_labels, **labels(owner.name)},
            "annotations": annotations,
        },
        "spec": spec,
    }


def _spread(owner: Owner, given: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    found = {"labelSelector": {"matchLabels": selector(owner.name)}}
    if given is None:
        given = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
            }
        ]
    return [found | one for one in given]


def _container(tenant: str, pods: PollerPods, nats_secret: str | None) -> Document:
    container: Document = {
        "name": "poller",
        "image": pods.image,
        "imagePullPolicy": pods.pull_policy,
        "envFrom": [{"configMapRef": {"name": object_name(tenant)}}],
        "env": [
            {
                "name": "POD_INDEX",
                "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{_INDEX_LABEL}']"}},
            },
            {"name": "FLEET_POLLER__SHARD", "value": "shard-$(POD_INDEX)"},
            *(
                {"name": name, "valueFrom": {"secretKeyRef": {"name": nats_secret, "key": name}}}
                for name in _nats_user(pods)
            ),
        ],
        "ports": [{"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"}],
        # Ready: an assignment is known. To be restarted: polling has stalled, or the client of
        # NATS; not when NATS stores nothing, which would lose the events that wait for it.
        "readinessProbe": _probe("/readyz", period=2, failures=3),
        "livenessProbe": _probe("/livez", period=10, failures=3),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "secrets", "mountPath": SECRETS_DIRECTORY, "readOnly": True}],
    }
    if pods.nats_files:
        container["volumeMounts"].append(
            {"name": "nats", "mountPath": NATS_DIRECTORY, "readOnly": True}
        )
    if pods.extras.resources:
        container["resources"] = pods.extras.resources
    return container


def _probe(path: str, *, period: int, failures: int) -> Document:
    return {
        "httpGet": {"path": path, "port": "admin"},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _secrets_volume(names: Iterable[str]) -> Document:
    """One folder a Secret. Each is optional: a missing one fails its own devices only."""
    return {
        "name": "secrets",
        "projected": {
            "defaultMode": 0o440,
            "sources": [
                {
                    "secret": {
                        "name": name,
                        "optional": True,
                        "items": [{"key": key, "path": f"{name}/{key}"} for key in _SECRET_KEYS],
                    }
                }
                for name in names
            ],
        },
    }


def _nats_volume(secret: str | None, names: Iterable[str]) -> list[Document]:
    """What the connection to NATS reads from files. Not the password: that is a variable."""
    items = [{"key": name, "path": name} for name in names]
    if not items:
        return []
    return [
        {"name": "nats", "secret": {"secretName": secret, "defaultMode": 0o440, "items": items}}
    ]
