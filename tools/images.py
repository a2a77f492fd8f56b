"""Build every image of skaffold.yaml and load it into a cluster, with any builder.

    python tools/images.py --build "docker build" --load "kind load docker-image"

`--build` takes `docker build`'s arguments -t, -f, --build-arg and a context; `--load` takes
image names. Prints the seconds of both as JSON.
"""

import argparse
import json
import shlex
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import yaml

_ROOT = Path(__file__).resolve().parents[1]
_WORKERS = 2
_SECONDS = 900


def main() -> None:
    """Build, load, report; exit code 1 with the failed command's output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="docker build")
    parser.add_argument("--load", default="kind load docker-image", help="empty: do not load")
    parser.add_argument("--python-image", default="python:3.13-slim", help="the base")
    parser.add_argument("--registry", default="localhost", help="first part of the names")
    parser.add_argument("--tag", default=_chart()["appVersion"])
    given = parser.parse_args()
    prefix = f"{given.registry}/" if given.registry else ""
    artifacts = _skaffold()["build"]["artifacts"]
    names = [f"{prefix}{one['image']}:{given.tag}" for one in artifacts]
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=_WORKERS) as workers:
        under_way = [
            workers.submit(_build, shlex.split(given.build), name, one, given.python_image)
            for name, one in zip(names, artifacts, strict=True)
        ]
        for one in under_way:
            one.result()
    built = time.monotonic()
    if given.load:
        _run([*shlex.split(given.load), *names])
    print(json.dumps({"build": built - began, "load": time.monotonic() - built}))


def _skaffold() -> dict[str, Any]:
    text = (_ROOT / "skaffold.yaml").read_text(encoding="utf-8")
    return cast("dict[str, Any]", yaml.safe_load(text))


def _chart() -> dict[str, Any]:
    text = (_ROOT / "charts/routerfleet/Chart.yaml").read_text(encoding="utf-8")
    return cast("dict[str, Any]", yaml.safe_load(text))


def _build(command: Sequence[str], name: str, artifact: dict[str, Any], python_image: str) -> None:
    docker = artifact["docker"]
    arguments = {**docker["buildArgs"], "PYTHON_IMAGE": python_image}
    options = [
        part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")
    ]
    _run([*command, "-t", name, "-f", docker["dockerfile"], *options, artifact["context"]])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        list(command), check=False, capture_output=True, text=True, timeout=_SECONDS, cwd=_ROOT
    )
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
