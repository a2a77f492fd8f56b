"""A nats-server with the chart's rendered configuration, moved to loopback and free ports."""

import base64
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from support.helm import Rendered
from support.nats import SERVER_BINARY, NatsServer
from support.ports import free_port


def environment(rendered: Rendered, name: str) -> dict[str, str]:
    """What the container's variables are; passwords from the rendered Secret."""
    stateful_set = rendered.one("StatefulSet", name)
    variables: dict[str, str] = {"POD_NAME": f"{name}-0"}
    for entry in stateful_set["spec"]["template"]["spec"]["containers"][0]["env"]:
        if "value" in entry:
            value = str(entry["value"])
            variables[entry["name"]] = re.sub(
                r"\$\((\w+)\)", lambda found: variables[found[1]], value
            )
        elif "secretKeyRef" in entry["valueFrom"]:
            source = entry["valueFrom"]["secretKeyRef"]
            coded = rendered.one("Secret", source["name"])["data"][source["key"]]
            variables[entry["name"]] = base64.b64decode(coded).decode()
    return variables


@dataclass
class ChartServer(NatsServer):
    """The server of a render with one node. `user` is who `url` logs in as."""

    config: str = ""
    variables: dict[str, str] = field(default_factory=dict[str, str])
    user: str = "services"

    @property
    def url(self) -> str:
        password = self.variables[f"NATS_{self.user.upper()}_PASSWORD"]
        return f"nats://{self.user}:{password}@127.0.0.1:{self.port}"

    def as_user(self, user: str) -> "ChartServer":
        """The same running server, for another user's connections."""
        return ChartServer(
            self.directory, self.port, config=self.config, variables=self.variables, user=user
        )

    def log(self) -> str:
        return (self.directory / "nats.log").read_text(encoding="utf-8")

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "nats.conf"
        config.write_text(self._moved(), encoding="utf-8")
        with (self.directory / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own binary
                [str(SERVER_BINARY), "-c", str(config)],
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/bin:/bin", **self.variables},
            )
        self._wait_until_ready()

    def _moved(self) -> str:
        """Only places change; users, permissions and limits stay the chart's."""
        text = self.config
        for pattern, place in (
            (r"listen: 0\.0\.0\.0:4222", f"listen: 127.0.0.1:{self.port}"),
            (r"http: 0\.0\.0\.0:8222", f"http: 127.0.0.1:{free_port()}"),
            (r"pid_file: \S+", f"pid_file: {self.directory / 'nats.pid'}"),
            (r"store_dir: \S+", f"store_dir: {self.directory / 'js'}"),
        ):
            text, count = re.subn(pattern, place, text)
            assert count == 1, f"{pattern} in:\n{text}"
        return text


def checked(config: str, variables: dict[str, str], directory: Path) -> str:
    """The server's own check of a configuration; its complaints, empty when it has none."""
    path = directory / "nats.conf"
    path.write_text(config, encoding="utf-8")
    outcome = subprocess.run(  # noqa: S603 - our own binary
        [str(SERVER_BINARY), "-t", "-c", str(path)],
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return "" if outcome.returncode == 0 else outcome.stderr + outcome.stdout
