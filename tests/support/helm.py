"""The chart, rendered by helm.

rendered = chart.render(values_file, "nats.replicas=3")
rendered.one("StatefulSet", "rf-routerfleet-nats")["spec"]["replicas"]
"""

import base64
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "charts/routerfleet"
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
RELEASE = "rf"
NAMESPACE = "fleets"
KUBE_VERSION = "1.33.0"
_SECONDS = 60

type Document = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """The documents of one render, and its text with placeholders for what is random."""

    documents: tuple[Document, ...]
    text: str
    passwords: tuple[str, ...]

    def of(self, kind: str) -> list[Document]:
        return [one for one in self.documents if one["kind"] == kind]

    def one(self, kind: str, name: str) -> Document:
        found = [one for one in self.of(kind) if one["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} of {kind} {name}"
        return found[0]

    def pod_specs(self) -> Iterator[tuple[str, Document]]:
        """Every pod that would run, with a name for messages."""
        for one in self.documents:
            name = f"{one['kind']} {one['metadata']['name']}"
            if one["kind"] == "Pod":
                yield name, one["spec"]
            elif one["kind"] in {"Deployment", "StatefulSet", "DaemonSet", "Job"}:
                yield name, one["spec"]["template"]["spec"]


@dataclass
class Chart:
    """Renders of the chart, each made once."""

    directory: Path
    made: dict[tuple[str, ...], Rendered] = field(default_factory=dict[tuple[str, ...], Rendered])

    def render(self, values: Path | None = None, *settings: str) -> Rendered:
        """With a values file and `--set` settings."""
        arguments = ["-f", str(values)] if values is not None else []
        for setting in settings:
            arguments += ["--set", setting]
        key = tuple(arguments)
        if key not in self.made:
            outcome = self.template(*arguments)
            assert outcome.returncode == 0, outcome.stderr
            self.made[key] = parsed(outcome.stdout)
        return self.made[key]

    def template(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`helm template`, whatever comes of it."""
        return subprocess.run(  # noqa: S603 - helm and files of ours
            [  # noqa: S607 - the user's helm
                "helm", "template", RELEASE, str(CHART), "--namespace", NAMESPACE,
                "--kube-version", KUBE_VERSION, *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )  # fmt: skip


def parsed(text: str) -> Rendered:
    """A render's documents; random passwords become `<secret>/<key>` in the text."""
    documents = tuple(cast("Document", one) for one in yaml.safe_load_all(text) if one is not None)
    passwords: list[str] = []
    for secret in (one for one in documents if one["kind"] == "Secret"):
        plain = cast("dict[str, str]", secret.get("stringData", {}))
        coded = cast("dict[str, str]", secret.get("data", {}))
        decoded = {key: base64.b64decode(value).decode() for key, value in coded.items()}
        for key, value in (plain | decoded).items():
            if key == "token" or key.endswith("password"):
                passwords.append(value)
                shown = f"<{secret['metadata']['name']}/{key}>"
                text = text.replace(coded.get(key, value), shown).replace(value, shown)
    return Rendered(documents, text, tuple(passwords))
