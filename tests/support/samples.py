"""The sample resources under operator/samples, with what is expected of the invalid ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

SAMPLES: Final = Path(__file__).resolve().parents[2] / "operator/samples"
_ACCEPTED: Final = "accepts it"


@dataclass(frozen=True, slots=True)
class InvalidSample:
    """One invalid sample; `operator` is None where only the API server refuses it."""

    path: Path
    api_server: str
    operator: str | None

    def document(self) -> dict[str, Any]:
        """The resource."""
        return yaml.safe_load(self.path.read_text(encoding="utf-8"))

    def __str__(self) -> str:
        return self.path.stem


def valid_samples() -> list[Path]:
    """The files with valid resources."""
    return sorted((SAMPLES / "valid").glob("*.yaml"))


def invalid_samples() -> list[InvalidSample]:
    """The files with one invalid resource each. Raises ValueError where the heading is wrong."""
    return [_read(path) for path in sorted((SAMPLES / "invalid").glob("*.yaml"))]


def _read(path: Path) -> InvalidSample:
    lines = path.read_text(encoding="utf-8").splitlines()
    expected: list[str] = []
    for line, heading in zip(lines, ("# api-server: ", "# operator: "), strict=False):
        if not line.startswith(heading) or not line.removeprefix(heading).strip():
            raise ValueError(f"{path}: a line must begin with {heading!r}: {line!r}")
        expected.append(line.removeprefix(heading).strip())
    api_server, operator = expected
    return InvalidSample(path, api_server, None if operator == _ACCEPTED else operator)
