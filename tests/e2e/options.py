"""What the suite is told: how images are made and loaded, and what its objects are called."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Options:
    """`image_build` takes `docker build`'s arguments -t, -f, --build-arg and a context;
    `image_load` takes image names and brings them into the cluster's nodes.
    """

    image_build: tuple[str, ...]
    image_load: tuple[str, ...]
    image_registry: str
    image_tag: str
    python_image: str
    nats_image: str
    postgres_image: str
    prefix: str
    keep: bool
    reuse: bool
    rebuild: bool

    @property
    def system(self) -> str:
        """The namespace of the release."""
        return f"{self.prefix}-system"

    @property
    def site_a(self) -> str:
        """A namespace with two fleets."""
        return f"{self.prefix}-site-a"

    @property
    def site_b(self) -> str:
        """A namespace with one fleet."""
        return f"{self.prefix}-site-b"

    @property
    def crowd(self) -> str:
        """A namespace with a hundred fleets."""
        return f"{self.prefix}-crowd"

    @property
    def namespaces(self) -> tuple[str, ...]:
        """All of them."""
        return (self.system, self.site_a, self.site_b, self.crowd)

    def image(self, service: str) -> str:
        """The whole name of one of our images."""
        registry = f"{self.image_registry}/" if self.image_registry else ""
        return f"{registry}routerfleet-{service}:{self.image_tag}"


def add_options(parser: pytest.Parser) -> None:
    """The options of `pytest tests/e2e`."""
    group = parser.getgroup("e2e", "the whole system on a cluster")
    group.addoption("--image-build", default="docker build", help="command that builds an image")
    group.addoption("--image-load", default="kind load docker-image", help="command that loads it")
    group.addoption("--image-registry", default="localhost", help="first part of image names")
    group.addoption("--image-tag", default="e2e", help="tag of the images built")
    group.addoption("--python-image", default="python:3.13-slim", help="base image")
    group.addoption("--nats-image", default="nats:2", help="image of the bundled NATS")
    group.addoption("--postgres-image", default="postgres:15", help="of the bundled PostgreSQL")
    group.addoption("--e2e-prefix", default="routerfleet-e2e", help="begin of the namespaces")
    group.addoption("--e2e-keep", action="store_true", help="leave everything as it is at the end")
    group.addoption(
        "--e2e-reuse", action="store_true", help="go on with the site an earlier run left"
    )
    group.addoption(
        "--e2e-rebuild",
        action="store_true",
        help="with --e2e-reuse: build and load the images, upgrade the release first",
    )


def read_options(config: pytest.Config) -> Options:
    """What was given on the command line."""

    def text(name: str) -> str:
        return str(config.getoption(name))

    return Options(
        image_build=tuple(shlex.split(text("--image-build"))),
        image_load=tuple(shlex.split(text("--image-load"))),
        image_registry=text("--image-registry"),
        image_tag=text("--image-tag"),
        python_image=text("--python-image"),
        nats_image=text("--nats-image"),
        postgres_image=text("--postgres-image"),
        prefix=text("--e2e-prefix"),
        keep=bool(config.getoption("--e2e-keep")),
        reuse=bool(config.getoption("--e2e-reuse")),
        rebuild=bool(config.getoption("--e2e-rebuild")),
    )
