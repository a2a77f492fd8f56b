"""Check skaffold.yaml against the schema that skaffold itself publishes for its apiVersion.

    python tools/check_skaffold.py

The schema comes with skaffold's Go module, whose checksum is checked by `go mod download`; it
is not copied here. Without `go` nothing is checked, and that is said.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import jsonschema
import yaml

_MODULE = "github.com/GoogleContainerTools/skaffold/v2@v2.16.1"
_DOWNLOAD_SECONDS = 300
_ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Print what was checked; exit code 1 with the place when it does not fit."""
    go = shutil.which("go")
    if go is None:
        print("skipped: skaffold.yaml against skaffold's schema needs go")
        return
    done = subprocess.run(
        [go, "mod", "download", "-json", _MODULE],
        check=False,
        capture_output=True,
        text=True,
        timeout=_DOWNLOAD_SECONDS,
        cwd="/",  # no go.mod there that could change
    )
    if done.returncode != 0:
        raise SystemExit(f"go mod download {_MODULE}: {done.stdout}{done.stderr}")
    folder = Path(json.loads(done.stdout)["Dir"]) / "docs-v2/content/en/schemas"
    document = cast(
        "dict[str, Any]", yaml.safe_load((_ROOT / "skaffold.yaml").read_text(encoding="utf-8"))
    )
    name = document["apiVersion"].removeprefix("skaffold/")
    schema = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    try:
        jsonschema.validate(document, schema)
    except jsonschema.ValidationError as error:
        where = "/".join(map(str, error.absolute_path))
        raise SystemExit(f"skaffold.yaml: {where}: {error.message}") from error
    print(f"skaffold.yaml fits {name}.json of {_MODULE}")


if __name__ == "__main__":
    sys.exit(main())
