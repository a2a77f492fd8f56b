"""The installed release and its fleets, as the steps of the suite see them."""

import base64
import contextlib
import json
import os
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import httpx
import yaml
from pydantic import SecretStr

from e2e.commands import CommandError, Document, apply, get, kubectl, patch, run
from e2e.forward import forwarded
from e2e.images import skaffold
from e2e.options import ROOT, Options
from fleet_common.settings import NatsSection

RELEASE = "routerfleet"
FLEETS = ("north", "south", "east")
"""The tenants; north and south live in site A, east in site B."""
FIRST_DEVICES: Mapping[str, int] = {"north": 34, "south": 34, "east": 33}
"""101 in all; the simulator has more, for the fleets that grow."""
GROWN: dict[str, int] = {"north": 44, "south": 34, "east": 34}
"""After they have."""
NORTH_SHARDS: Mapping[str, int] = {"devicesPerShard": 20}
"""Three for 44 devices."""
SIMULATED = 150
INTERVAL = "5s"
DEVICE_MAP = "east-devices"
"""The ConfigMap that the fleet `east` lists its devices in."""
_INSTALL_SECONDS = 240
_VERIFY_SECONDS = 120.0


@dataclass
class Site:
    """Everything that exists while the suite runs. `figures` are printed at the end."""

    options: Options
    figures: dict[str, float | int | str] = field(default_factory=dict[str, float | int | str])
    manifests: dict[str, list[Document]] = field(default_factory=dict[str, list[Document]])
    """By tenant the simulator's Secrets, then its RouterFleet."""

    def namespace_of(self, tenant: str) -> str:
        """Where a tenant's fleet lives."""
        return self.options.site_b if tenant == "east" else self.options.site_a

    def install(self, changes: Document | None = None) -> float:
        """`helm upgrade --install --wait` as skaffold.yaml describes the release; seconds it took.

        `changes` are laid over the suite's values.
        """
        release = skaffold()["deploy"]["helm"]["releases"][0]
        values = _laid_over(self._values(release["setValues"]), changes or {})
        began = time.monotonic()
        run(
            (
                "helm",
                "upgrade",
                "--install",
                release["name"],
                str(ROOT / release["chartPath"]),
                "--namespace",
                self.options.system,
                "--create-namespace",
                "--values",
                "-",
                "--wait",
                "--timeout",
                f"{_INSTALL_SECONDS}s",
            ),
            stdin=yaml.safe_dump(values),
            seconds=_INSTALL_SECONDS + 30,
        )
        return time.monotonic() - began

    def _values(self, given: Mapping[str, object]) -> Document:
        """skaffold.yaml's own values, and what only the suite wants."""
        options = self.options
        values: Document = {
            "image": {"registry": options.image_registry, "tag": options.image_tag},
            "nats": {
                "image": options.nats_image,
                "streams": {"tenants": 110, "fileBytes": "1Gi"},
                "persistence": {"size": "3Gi"},
            },
            "postgresql": {"image": options.postgres_image, "persistence": {"size": "3Gi"}},
            "operator": {
                "enabled": True,
                "namespaces": [options.site_a, options.site_b, options.crowd],
            },
            "simulator": {
                "devices": SIMULATED,
                "tenantNames": list(FLEETS),
            },
        }
        for path, value in given.items():
            place = values
            *parents, last = path.split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        return values

    def read_manifests(self) -> None:
        """What the simulator wrote for kubectl, by tenant."""
        text = kubectl(
            "-n",
            self.options.system,
            "exec",
            f"deploy/{RELEASE}-simulator",
            "--",
            "cat",
            "/fleet/manifests.yaml",
        )
        secrets: dict[str, Document] = {}
        for document in yaml.safe_load_all(text):
            if document["kind"] == "Secret":
                secrets[document["metadata"]["name"]] = document
                continue
            tenant = document["metadata"]["name"]
            wanted = json.dumps(document)
            own = [one for name, one in secrets.items() if f'"{name}"' in wanted]
            self.manifests[tenant] = [*own, document]

    def devices(self, tenant: str, count: int) -> list[Document]:
        """The first entries of a tenant's fleet."""
        entries = self.manifests[tenant][-1]["spec"]["devices"]
        assert count <= len(entries), f"the simulator has {len(entries)} devices of {tenant}"
        return entries[:count]

    def fleet(self, tenant: str, count: int, **spec: object) -> Document:
        """A tenant's RouterFleet with its first devices and other fields of the spec."""
        whole = self.manifests[tenant][-1]
        return {
            **whole,
            "spec": {
                "credentials": whole["spec"]["credentials"],
                "cadence": {"interval": INTERVAL},
                "devices": self.devices(tenant, count),
                **spec,
            },
        }

    def apply_fleet(self, tenant: str, count: int, **spec: object) -> None:
        """`kubectl apply` of a tenant's Secrets and RouterFleet."""
        secrets = self.manifests[tenant][:-1]
        apply([*secrets, self.fleet(tenant, count, **spec)], self.namespace_of(tenant))

    def apply_device_map(self, devices: Sequence[Document]) -> None:
        """`kubectl apply` of the ConfigMap with the devices of `east`."""
        text = yaml.safe_dump(list(devices), sort_keys=False)
        document: Document = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": DEVICE_MAP},
            "data": {"devices.yaml": text},
        }
        apply([document], self.namespace_of("east"))

    def apply_grown(self) -> None:
        """The fleets as they are once they have grown, whatever an earlier step left."""
        self.apply_fleet("north", GROWN["north"], shards=NORTH_SHARDS)
        self.apply_fleet("south", GROWN["south"], deletionPolicy="Delete")
        self.forget_scale("south")
        self.apply_device_map(self.devices("east", GROWN["east"]))
        self.apply_fleet("east", 0, devicesFrom=[{"configMapRef": {"name": DEVICE_MAP}}])

    def forget_scale(self, tenant: str) -> None:
        """Shards by devices and load again: `kubectl apply` lets `kubectl scale`'s number be."""
        change = {"spec": {"shards": {"replicas": None}}}
        patch("routerfleet", tenant, self.namespace_of(tenant), change)

    def status(self, tenant: str) -> Document:
        """The status of a tenant's RouterFleet; empty before there is one."""
        return get("routerfleet", tenant, self.namespace_of(tenant)).get("status", {})

    def secret(self, name: str, key: str) -> str:
        """One value of a Secret of the release."""
        return base64.b64decode(get("secret", name, self.options.system)["data"][key]).decode()

    @contextlib.contextmanager
    def broker(self) -> Generator["Broker"]:
        """A way to NATS with the services' login."""
        password = self.secret(f"{RELEASE}-nats", "services-password")
        with forwarded(self.options.system, f"svc/{RELEASE}-nats", 4222) as port:
            yield Broker(f"nats://127.0.0.1:{port}", "services", password)

    @contextlib.contextmanager
    def database(self) -> Generator[str]:
        """A PostgreSQL URL."""
        password = self.secret(f"{RELEASE}-postgresql", "password")
        with forwarded(self.options.system, f"svc/{RELEASE}-postgresql", 5432) as port:
            yield f"postgresql://routerfleet:{password}@127.0.0.1:{port}/routerfleet"

    def verify(self) -> Document:
        """`routerfleet verify --json` through port-forwards; fails when it does not balance."""
        with self.broker() as broker, self.database() as database:
            done = run(
                (
                    str(ROOT / ".venv/bin/routerfleet"),
                    "verify",
                    "--nats",
                    broker.url,
                    "--database",
                    database,
                    "--json",
                ),
                seconds=_VERIFY_SECONDS,
                environment=broker.environment(),
                check=False,
            )
        if done.returncode != 0:
            raise CommandError(f"verify: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def metrics(self, component: str) -> dict[str, float]:
        """The metrics of a part of the release, by series."""
        with forwarded(self.options.system, f"deploy/{RELEASE}-{component}", 9100) as port:
            text = run(
                ("curl", "-sf", "--max-time", "10", f"http://127.0.0.1:{port}/metrics")
            ).stdout
        return {
            line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line and not line.startswith("#")
        }

    @contextlib.contextmanager
    def simulator(self) -> Generator[httpx.Client]:
        """The simulator's admin endpoint."""
        target = f"deploy/{RELEASE}-simulator"
        with (
            forwarded(self.options.system, target, 9100) as port,
            httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                trust_env=False,
                timeout=30,
                event_hooks={"response": [httpx.Response.raise_for_status]},
            ) as client,
        ):
            yield client

    def note(self, name: str, value: float | str) -> None:
        """Keep a figure and print it at once."""
        self.figures[name] = round(value, 3) if isinstance(value, float) else value
        sys.stderr.write(f"figure: {name} = {self.figures[name]}\n")


def _laid_over(values: Document, changes: Document) -> Document:
    merged = dict(values)
    for name, value in changes.items():
        if isinstance(merged.get(name), dict) and isinstance(value, dict):
            merged[name] = _laid_over(merged[name], cast("Document", value))
        else:
            merged[name] = value
    return merged


@dataclass(frozen=True, slots=True)
class Broker:
    """NATS behind a port-forward."""

    url: str
    user: str
    password: str

    def settings(self) -> NatsSection:
        """The same for our own client."""
        return NatsSection(url=self.url, user=self.user, password=SecretStr(self.password))

    def environment(self) -> dict[str, str]:
        """The environment of a command that logs in there."""
        return {
            **os.environ,  # noqa: TID251 - a child needs PATH and HOME
            "FLEET_NATS__USER": self.user,
            "FLEET_NATS__PASSWORD": self.password,
        }
