"""Images and release as skaffold.yaml describes them, made with the commands that were given."""

import json
import shlex
import sys
from typing import cast

import yaml

from e2e.commands import Document, run
from e2e.options import ROOT, Options

_BUILD_SECONDS = 900.0


def skaffold() -> Document:
    """skaffold.yaml."""
    text = (ROOT / "skaffold.yaml").read_text(encoding="utf-8")
    return cast("Document", yaml.safe_load(text))


def services() -> dict[str, str]:
    """By image of skaffold.yaml the SERVICE that it is built for."""
    return {
        one["image"]: one["docker"]["buildArgs"]["SERVICE"]
        for one in skaffold()["build"]["artifacts"]
    }


def build_and_load(options: Options) -> dict[str, float]:
    """`make images` with the suite's commands; seconds of both steps."""
    done = run(
        (
            sys.executable,
            str(ROOT / "tools/images.py"),
            f"--build={shlex.join(options.image_build)}",
            f"--load={shlex.join(options.image_load)}",
            f"--python-image={options.python_image}",
            f"--registry={options.image_registry}",
            f"--tag={options.image_tag}",
        ),
        seconds=_BUILD_SECONDS,
    )
    return json.loads(done.stdout)
