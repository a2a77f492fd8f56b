"""Values on the command line, and what several commands share."""

from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from fleet_common.fleet_spec import CadenceSpec
from fleet_common.units import parse_duration, parse_size

DEFAULT_DATA_DIR: Final = Path(".demo")

RunningDataDir = Annotated[Path, typer.Option(help="The data folder of the running demo.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def seconds_of(text: str | float) -> float:
    """Seconds of `5s`, `1m30s` or a plain number above 0; raises typer.BadParameter.

    A number is a default, which typer parses too.
    """
    plain = not isinstance(text, str) or text.replace(".", "", 1).isdigit()
    try:
        value = parse_duration(float(text) if plain else text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if value <= 0:
        raise typer.BadParameter(f"{text} is not above 0")
    return value


def bytes_of(text: str) -> int:
    """Bytes of `64MiB`, `128MB` or a whole number; raises typer.BadParameter."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def interval_of(text: str) -> float:
    """A poll interval in seconds, within what a fleet file may say; raises typer.BadParameter."""
    try:
        return CadenceSpec(interval=seconds_of(text)).interval
    except ValidationError as error:
        raise typer.BadParameter(error.errors(include_url=False)[0]["msg"]) from error
