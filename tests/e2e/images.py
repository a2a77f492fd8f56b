"""Images and release as skaffold.yaml describes them, made with the commands that were given."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import yaml

from e2e.commands import Document, run
from e2e.options import ROOT, Options

_BUILD_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Artifact:
    """One image of skaffold.yaml."""

    image: str
    context: str
    dockerfile: str
    build_args: dict[str, str]


def skaffold() -> Document:
    """skaffold.yaml."""
    text = (ROOT / "skaffold.yaml").read_text(encoding="utf-8")
    return cast("Document", yaml.safe_load(text))


def artifacts() -> list[Artifact]:
    """Its images."""
    return [
        Artifact(
            one["image"], one["context"], one["docker"]["dockerfile"], one["docker"]["buildArgs"]
        )
        for one in skaffold()["build"]["artifacts"]
    ]


def build_and_load(options: Options) -> dict[str, float]:
    """Build all images, two at a time, and load them; seconds of both."""
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=2) as workers:
        under_way = [workers.submit(_build, options, one) for one in artifacts()]
        for one in under_way:
            one.result()
    built = time.monotonic()
    names = [options.image(one.image.removeprefix("routerfleet-")) for one in artifacts()]
    run((*options.image_load, *names), seconds=_BUILD_SECONDS)
    return {"build": built - began, "load": time.monotonic() - built}


def _build(options: Options, artifact: Artifact) -> None:
    arguments = {**artifact.build_args, "PYTHON_IMAGE": options.python_image}
    run(
        (
            *options.image_build,
            "-t",
            options.image(artifact.image.removeprefix("routerfleet-")),
            "-f",
            artifact.dockerfile,
            *(
                part
                for name, value in arguments.items()
                for part in ("--build-arg", f"{name}={value}")
            ),
            artifact.context,
        ),
        seconds=_BUILD_SECONDS,
    )
